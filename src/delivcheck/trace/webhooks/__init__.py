"""Events told to other people's servers, signed and retried as Standard Webhooks asks: one event a request, at least once.

`signing` is the signature, `register` who wants to hear what, `deliveries` what is still to be told, `sender` the task that
tells it.
"""
