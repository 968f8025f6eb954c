"""What a run prints: text, concise lines, JSON's schema, rule pages. Every function returns strings; nothing here writes."""
