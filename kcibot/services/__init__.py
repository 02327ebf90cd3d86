"""Adapters to the services that production consists of. Each translates its vendor's words and errors into ours."""
