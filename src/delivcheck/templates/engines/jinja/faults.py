"""What goes wrong in a template, in one line with its place."""

import re
from types import TracebackType
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError, TemplateNotFound

from ....model import Where
from ...model import TemplateFault
from .limits import LimitReached

if TYPE_CHECKING:
    from .compiling import Compiled

MAX_MESSAGE = 500  # characters: a value of the data may stand in it
_ROOM = re.compile(r"\s+")


class Missing(TemplateNotFound):
    """A template that is not there, which `ignore missing` may pass over; `fault` says it as `Sources` does."""

    def __init__(self, fault: TemplateFault, name: str) -> None:
        super().__init__(name, fault.message)
        self.fault = fault


def one_line(error: BaseException) -> str:
    """An error's own text in one line, no final stop; with its kind where that is not Jinja2's or ours."""
    text = error.message if isinstance(error, TemplateError) else str(error)
    text = _ROOM.sub(" ", text or "").strip().removesuffix(".")
    if not isinstance(error, (TemplateError, LimitReached)):
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]}…"


def fault_of(error: BaseException) -> TemplateFault:
    """The fault that an error of the rendering is."""
    frames = _frames(error.__traceback__)
    where = _where(frames[-1]) if frames else None
    if isinstance(error, TemplateFault):
        return TemplateFault(error.message, error.where or where)
    if isinstance(error, Missing):
        return TemplateFault(error.fault.message, where)
    if isinstance(error, RecursionError):
        return _circle(frames, where)
    return TemplateFault(one_line(error), where)


def _frames(traceback: TracebackType | None) -> list[tuple["Compiled", int, str]]:
    """The template's frames on the way to an error, the innermost last: code, line of it, function."""
    found: list[tuple[Compiled, int, str]] = []
    while traceback is not None:
        names: dict[str, Any] = traceback.tb_frame.f_globals
        if "delivcheck_compiled" in names:
            found.append((names["delivcheck_compiled"], traceback.tb_lineno, traceback.tb_frame.f_code.co_name))
        traceback = traceback.tb_next
    return found


def _where(frame: tuple["Compiled", int, str]) -> Where | None:
    code, line, _ = frame
    at = code.line(line)
    return code.parsed.placing.where(at, tag=True) if at is not None else None


def _circle(frames: list[tuple["Compiled", int, str]], where: Where | None) -> TemplateFault:
    """Too deep: templates that bring in one another, or a macro or block that calls itself."""
    way: list[str] = []
    before: tuple[Compiled, int, str] | None = None
    for frame in frames:
        name = frame[0].parsed.source.name
        if frame[2] == "root":
            if name in way:
                circle = " → ".join([*way[way.index(name) :], name])
                return TemplateFault(f"templates bring in one another without end: {circle}", before and _where(before))
            way.append(name)
        before = frame
    return TemplateFault("calls itself without end, or too deeply", where)
