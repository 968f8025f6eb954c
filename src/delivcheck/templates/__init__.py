"""Templates: rendered with real data into a real message, and every finding led back to the template's own line."""
