"""The milter protocol: codec, the state machine of a connection, and a thin driver."""
