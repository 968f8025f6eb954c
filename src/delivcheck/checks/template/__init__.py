"""Rules about templates: their source, what rendering left behind, and whom the message was made for."""
