"""The data that templates are rendered with: read from files, made up, and changed to see what the template does then."""
