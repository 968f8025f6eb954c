"""The pages over the trace, for people; server-rendered (extra `web`)."""
