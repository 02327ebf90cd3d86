"""How a database came to its present schema, one Alembic revision per change."""
