"""The table of events in `Watch` is what whoever reads the log goes by: it names all of them, each with all its fields."""

import ast
import re
from collections import defaultdict
from functools import cache
from inspect import getdoc
from pathlib import Path

import pytest

import delivcheck.gate
from delivcheck.gate.ports import Watch

WATCHES = {"watch", "_watch", "_put"}  # `_put` is the log's own way past its levels
TELLERS = WATCHES | {"note", "_note", "_tell", "_told"}  # through which `what` is told, too


def _texts(node):
    """The texts that an expression may be: itself, or both sides of a condition."""
    sides = (node.body, node.orelse) if isinstance(node, ast.IfExp) else (node,)
    return [one.value for one in sides if isinstance(one, ast.Constant) and isinstance(one.value, str)]


def _keys(node, function):
    """The keys of a mapping given as `**node`: of every dictionary written in it, or put into its name in the same function."""
    found = {key.value for each in ast.walk(node) if isinstance(each, ast.Dict) for key in each.keys}
    if isinstance(node, ast.Name):
        for each in ast.walk(function):
            if isinstance(each, (ast.Assign, ast.AnnAssign)) and each.value is not None:
                for target in each.targets if isinstance(each, ast.Assign) else [each.target]:
                    if isinstance(target, ast.Name) and target.id == node.id:
                        found |= _keys(each.value, ast.Module([], []))
                    elif isinstance(target, ast.Subscript) and getattr(target.value, "id", "") == node.id:
                        found.add(target.slice.value)
    return found


@cache
def told():
    """{event: fields} of every call that tells one, {event: the words of `what` that stand in it}, and all words told as such."""
    events, plain, whats = defaultdict(set), defaultdict(set), set()
    for path in sorted(Path(delivcheck.gate.__file__).parent.rglob("*.py")):
        tree = ast.parse(path.read_text(), str(path))
        for function in ast.walk(tree):
            if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            for call in ast.walk(function):
                if not isinstance(call, ast.Call):
                    continue
                name = getattr(call.func, "attr", getattr(call.func, "id", ""))
                if name in TELLERS:
                    whats.update(text for one in call.args for text in _texts(one))
                    whats.update(text for one in call.keywords if one.arg == "what" for text in _texts(one.value))
                for event in _texts(call.args[0]) if name in WATCHES and call.args else ():
                    for keyword in call.keywords:
                        events[event] |= {keyword.arg} if keyword.arg else _keys(keyword.value, function)
                        plain[event].update(_texts(keyword.value) if keyword.arg == "what" else ())
                    for one in call.args[1:]:
                        events[event] |= _keys(one, function)
    return events, plain, whats


def written():
    """{event: (fields, the words of `what`)} of the table."""
    table = {}
    for item in re.split(r"^\* ", getdoc(Watch), flags=re.MULTILINE)[1:]:
        head, _, rest = " ".join(item.split()).partition(": ")
        event = re.match(r"`(\w+)`", head)[1]
        what = re.search(r"\bwhat \(([^)]*)\)", rest)
        fields = re.sub(r" \([^)]*\)", "", rest)
        table[event] = (
            {one.strip().removeprefix("or ") for one in fields.split(",")},
            re.findall(r'"(\w+)"', what[1] if what else ""),
        )
    return table


def test_the_table_names_every_event_that_is_told_and_no_other():
    assert set(written()) == set(told()[0])


@pytest.mark.parametrize("event", written())
def test_the_table_names_every_field_of_an_event_and_no_other(event):
    assert written()[event][0] == told()[0][event]


@pytest.mark.parametrize("event", written())
def test_what_the_table_says_may_have_happened_is_told_somewhere(event):
    fields, words = written()[event]
    _, plain, whats = told()
    assert plain[event] <= set(words) <= whats
    assert bool(words) == ("what" in fields)
