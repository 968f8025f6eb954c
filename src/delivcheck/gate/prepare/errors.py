"""What preparing can raise: at start about keys and settings, later about the message, and about loops."""


class PreparationError(ValueError):
    """A key, or a field to add, cannot be used as it is configured. Raised at start and reload only; one clause, no secret."""


class NotPreparedError(ValueError):
    """The header section is such that nothing can safely be added to it or taken out; one clause. The message is at fault."""


class LoopError(ValueError):
    """The message has gone in circles (RFC 5321 section 6.3); one clause."""
