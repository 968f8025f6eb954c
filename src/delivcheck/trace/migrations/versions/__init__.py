"""A module for each migration; Alembic finds them by itself."""
