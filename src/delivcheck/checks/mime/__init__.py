"""Rules about how a message is put together, encoded and labelled."""
