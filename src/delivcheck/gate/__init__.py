"""The gate: mail comes in by SMTP, LMTP or a milter, is prepared and judged, and only what passes goes on.

The framings (`smtp/`, `milter/`) are state machines without I/O and a thin driver each; `pipeline` is what stands behind all of
them; `relay/` hands on what passed; `serve/` runs it all. `model` has the nouns, `reply` what is said to a client, `settings`
what an operator chose.
"""
