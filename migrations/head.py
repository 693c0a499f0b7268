"""The newest revision that this code knows, for processes that only compare it and need no Alembic for that."""

HEAD = "0019"
