"""Data access: closed vocabularies, tables and repositories. The only room that knows SQLAlchemy."""
