"""Runs a rule page's example of a rendered template: through its engine, or with what the page says came of rendering it."""

from collections.abc import Callable, Coroutine
from typing import Any

from delivcheck.api import Checker
from delivcheck.facts.roots import (
    DataKind,
    RenderedHeader,
    RenderFault,
    Rendering,
    TemplateRole,
    TemplateSource,
    TemplateText,
    Undeclared,
)
from delivcheck.model import Example, TargetReport, Where

NAME = "example.html"


def rehearse(checker: Checker, example: Example, message: bytes | None) -> Coroutine[Any, Any, TargetReport]:
    """The report on the template, on what came of rendering it, and on the message that it became."""
    source = None
    if example.template is not None:
        text = example.template.removeprefix("\n")
        source = TemplateSource((TemplateText(text, TemplateRole.HTML),), example.engine, example.required)
    if example.rendering:
        return checker.rehearsal("example", source, said(example.rendering), message)
    return rendered(checker, example, source)


def said(table: dict[str, Any]) -> Rendering:
    """What the page says came of rendering."""
    return Rendering(
        table["data"],
        DataKind(table.get("kind", DataKind.FULL)),
        table.get("made-up", False),
        tuple(RenderFault(one["message"], _line(one)) for one in table.get("faults", ())),
        tuple(RenderedHeader(one["name"], one["value"], _always(_line(one))) for one in table.get("headers", ())),
        tuple(
            Undeclared(one["name"], tuple(Where(line=line) for line in one["lines"]), one.get("near"), one.get("sure", False))
            for one in table.get("undeclared", ())
        ),
        tuple(table.get("guilty", ())),
        frozenset(table.get("own-words", ())),
    )


def _line(table: dict[str, Any]) -> Where | None:
    return Where(line=table["line"]) if "line" in table else None


def _always(where: Where | None) -> Callable[[int, int], Where | None]:
    return lambda _start, _end: where


def rendered(checker: Checker, example: Example, source: TemplateSource | None) -> Coroutine[Any, Any, TargetReport]:
    """The template rendered by its engine with the example's data, and judged as the message that it becomes."""
    from delivcheck.templates.engines import registry
    from delivcheck.templates.message import build
    from delivcheck.templates.model import Host, Source, TemplateFault

    assert source is not None, "an example with data needs a template"
    page = Source(NAME, source.texts[0].text)
    try:
        made = registry.engine(example.engine or "jinja2", Host()).render(page, example.data, _Alone(), html=True)
    except TemplateFault as fault:
        broken = Rendering("the example's data", faults=(RenderFault(fault.message, fault.where),))
        return checker.rehearsal("example", source, broken)
    built = build({TemplateRole.HTML: made}, "news@example.org")
    return checker.rehearsal("example", source, Rendering("the example's data"), built.octets, place=built.place)


class _Alone:
    """An example includes nothing."""

    def find(self, name: str, _asked_by: object = None, _suffixes: object = ()) -> Any:
        from delivcheck.templates.model import TemplateFault

        raise TemplateFault(f"no template {name}")
