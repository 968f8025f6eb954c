"""One milter connection, without I/O."""
