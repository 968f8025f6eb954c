"""YAML → plain values, bounded. Imported only where PyYAML is installed.

PyYAML's own safe loader builds what aliases and merge keys stand for without any limit (nine lines can be a billion values),
and its parser in C overflows the stack on deep nesting before anybody could look. So its events are read one by one, with a
budget; only single values are made by its rules (YAML 1.1: `yes` is true). Keys are texts, as JSON has them: `no:`, `on:` and
`1:` are names.
"""

from dataclasses import dataclass, field
from typing import Any

import yaml

from .plain import MAX_DEPTH, MAX_VALUES, DataError, size_of

_CORE = "tag:yaml.org,2002:"
_TAGS = frozenset(f"{_CORE}{kind}" for kind in ("str", "int", "float", "bool", "null", "timestamp"))
_CONTAINERS = frozenset({None, "!", f"{_CORE}seq", f"{_CORE}map"})
_MERGE = "<<"
_NOTHING: Any = object()


@dataclass(eq=False, slots=True)
class _Node:
    """A value, how many values it is with everything in it, and how deep it goes."""

    value: Any
    size: int = 1
    depth: int = 0
    anchor: str | None = None
    key: Any = _NOTHING  # of a mapping: the one whose value comes next
    merged: dict[str, Any] = field(default_factory=dict)


def load(name: str, text: str) -> Any:
    """The one document of a YAML text; an empty mapping for an empty one. Raises DataError."""
    return _Loader(name).read(text)


class _Loader:
    """Puts YAML's events together."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._root: _Node | None = None
        self._anchors: dict[str, _Node] = {}
        self._open: list[_Node] = []
        self._left = MAX_VALUES
        self._scalars: Any = yaml.SafeLoader("")

    def read(self, text: str) -> Any:
        documents = 0
        try:
            for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
                line = event.start_mark.line + 1 if event.start_mark is not None else 1
                if isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    if documents > 1:
                        raise self._fault("a second document begins; several data sets stand under data-sets", line)
                else:
                    self._take(event, line)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
            what = getattr(error, "problem", None) or getattr(error, "reason", None) or type(error).__name__
            at = None if mark is None else mark.line + 1
            raise self._fault(f"no YAML: {' '.join(str(what).split())[:200]}", at) from None
        except UnicodeError:  # a surrogate, which no file has and a text given in code may
            raise self._fault("no YAML: not UTF-8", None) from None
        return {} if self._root is None else self._root.value

    def _fault(self, what: str, line: int | None) -> DataError:
        return DataError(self.name, what, line)

    def _take(self, event: Any, line: int) -> None:
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise self._fault(f"the alias *{str(event.anchor)[:40]} refers to nothing that ended before it", line)
            self._place(self._anchors[event.anchor], line)
        elif isinstance(event, yaml.ScalarEvent):
            is_key = bool(self._open) and isinstance(self._open[-1].value, dict) and self._open[-1].key is _NOTHING
            value = event.value if is_key else self._scalar(event, line)
            self._place(_Node(value, size_of(value), anchor=event.anchor), line, merge=event.implicit[0])
        elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
            if event.tag not in _CONTAINERS:
                raise self._fault(f"the tag {str(event.tag)[:40]} is not read here", line)
            if len(self._open) >= MAX_DEPTH:
                raise self._fault(f"nested deeper than {MAX_DEPTH}", line)
            empty: Any = [] if isinstance(event, yaml.SequenceStartEvent) else {}
            self._open.append(_Node(empty, anchor=event.anchor))
        elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            made = self._open.pop()
            if made.merged:  # a mapping's own values go before merged ones
                made.value = {**made.merged, **made.value}
            self._place(made, line)

    def _scalar(self, event: Any, line: int) -> Any:
        tag = event.tag
        if tag is None or tag == "!":
            tag = self._scalars.resolve(yaml.ScalarNode, event.value, event.implicit)
            if tag not in _TAGS:  # `=` and `<<` by themselves have tags of their own
                tag = f"{_CORE}str"
        if tag not in _TAGS:
            raise self._fault(f"the tag {tag[:40]} is not read here", line)
        try:
            return self._scalars.construct_object(yaml.ScalarNode(tag, event.value))
        except (ValueError, TypeError, AttributeError, KeyError, OverflowError, yaml.YAMLError):  # !!int x, 2026-02-31
            raise self._fault(f"{event.value[:40]!r} is no {tag.removeprefix(_CORE)}", line) from None

    def _place(self, node: _Node, line: int, *, merge: bool = False) -> None:
        """Put a finished value, or what an alias stands for, where it belongs."""
        if node.anchor is not None:
            self._anchors[node.anchor] = node
        self._left -= node.size
        if self._left < 0:
            raise self._fault(f"more than {MAX_VALUES} values, with what aliases stand for", line)
        if not self._open:
            self._root = node
            return
        outer = self._open[-1]
        if isinstance(outer.value, list):
            outer.value.append(node.value)
        elif outer.key is _NOTHING:
            if not isinstance(node.value, str):
                raise self._fault("a key that is no text", line)
            outer.key = _MERGE_KEY if merge and node.value == _MERGE else node.value
            return
        else:
            key, outer.key = outer.key, _NOTHING
            if key is _MERGE_KEY:
                self._merge(outer, node.value, line)
            else:
                outer.value[key] = node.value
        outer.size += node.size
        outer.depth = max(outer.depth, node.depth + 1)
        if len(self._open) + outer.depth > MAX_DEPTH:
            raise self._fault(f"nested deeper than {MAX_DEPTH}, with what aliases stand for", line)

    def _merge(self, into: _Node, value: Any, line: int) -> None:
        """YAML's merge key: of two merged mappings the first goes before."""
        for one in value if isinstance(value, list) else [value]:
            if not isinstance(one, dict):
                raise self._fault(f"{_MERGE} merges a mapping", line)
            for key, inner in one.items():
                into.merged.setdefault(key, inner)


_MERGE_KEY: Any = object()
