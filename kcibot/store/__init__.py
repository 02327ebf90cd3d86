"""The store: one database in which a change, its audit entry and what is said about it are written together.

`opening.open_store` builds it; the core knows it as `Journal`, `Inbox` and `Outbox`.
"""
