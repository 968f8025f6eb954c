"""Tells a fault of our own from one of somebody's template: ours must not be told as theirs."""

_BUGS = (AssertionError, NameError)  # nothing that a template does raises these


def is_ours(error: BaseException) -> bool:
    """Whether an error that came up while rendering was raised in our own code, by a mistake in it."""
    traceback = error.__traceback__
    if traceback is None or not isinstance(error, _BUGS):
        return False
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return str(traceback.tb_frame.f_globals.get("__name__", "")).startswith("delivcheck.")
