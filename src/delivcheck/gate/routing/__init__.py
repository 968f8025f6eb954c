"""Sending rules: what the operator's `[[gate.rule]]` tables say of a message, rates, and who is on the suppression list.

`patterns` and `rules` are pure; `rates` is a file that all workers of the machine share; `suppressed` asks the trace's store.
"""
