"""What the one declared error of each parser here has in common."""


class ParseError(ValueError):
    """A text is not what it should be. `span` is the half-open range of characters at fault, `kind` a stable word."""

    def __init__(self, message: str, span: tuple[int, int], kind: str = "") -> None:
        """Keep the message, one clause without a final stop, the place and the kind."""
        super().__init__(message)
        self.message = message
        self.span = span
        self.kind = kind
