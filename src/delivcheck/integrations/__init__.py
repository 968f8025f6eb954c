"""Hooks for other senders: each is thin, over one call, and imports its host only when it is imported itself.

`guard` is that call. It knows `settings`, `errors`, `bypass` (what is recorded) and `judge` (the rule book, kept warm in this
process) or `asking` (the same in the daemon's process).
"""
