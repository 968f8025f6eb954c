"""Safe repairs in the template's own source: small, the same every time, and proved to change nothing that a reader gets."""
