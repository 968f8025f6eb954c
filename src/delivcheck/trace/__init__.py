"""The trace: what became of every message, for as long as the operator keeps it (DESIGN section 9).

The gate writes `records` into its journal; `ingest` brings them into the `store`, where all else here reads.
"""
