"""The SMTP and LMTP server: syntax, the state machine, and a thin driver."""
