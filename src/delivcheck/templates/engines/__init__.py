"""Template engines, each behind the one shape of `templates.model.Engine`, and imported only when a template wants it."""
