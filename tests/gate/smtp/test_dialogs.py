"""The dialogues in `dialogs/`, one test each."""

import re
from pathlib import Path
from typing import Any

import pytest

from delivcheck.gate.model import Extensions
from delivcheck.gate.reply import Reply
from delivcheck.gate.settings import Kind, Limits

from .sansio import ALL, Conversation, options

FOLDER = Path(__file__).parent / "dialogs"
_ESCAPE = re.compile(rb"\\(r|n|0|t|\\|x[0-9a-f]{2})")
_REPEAT = re.compile(r"\{(.+?)\*([0-9]+)\}")
_PLAIN = {b"r": b"\r", b"n": b"\n", b"0": b"\0", b"t": b"\t", b"\\": b"\\"}


def octets(text: str) -> bytes:
    spelled = _REPEAT.sub(lambda found: found[1] * int(found[2]), text).encode()
    return _ESCAPE.sub(lambda found: _PLAIN.get(found[1]) or bytes.fromhex(found[1][1:].decode()), spelled)


def spelled(event: Any) -> str:
    """An event as the dialogues write it."""
    name = type(event).__name__.lower()
    match name:
        case "mail":
            return f"mail {event.sender.address or '<>'}"
        case "rcpt":
            return f"rcpt {event.recipient.address}"
        case "message":
            return f"message {event.octets!r}"[:100]
        case "hello":
            return f"hello {event.name}"
        case "login":
            return f"login {event.claim.user}"
        case "impersonate" | "forward":
            return f"{name} {' '.join(f'{key}={value}' for key, value in event.attributes.items())}"
        case _:
            return name


def set_up(text: str) -> Conversation:
    given = dict(word.split("=") for word in text.split())
    yes = {name: value == "yes" for name, value in given.items() if value in {"yes", "no"}}
    limits = Limits(
        message_size=int(given.pop("size", 1_000_000)),
        recipients=int(given.pop("recipients", 1_000)),
        repair_line_ends=yes.pop("repair", False),
    )
    made = Conversation(options(Kind(given.pop("kind", "smtp")), limits, **yes))
    made.extensions = Extensions() if given.get("extensions") == "none" else ALL
    return made


DIALOGS = sorted(FOLDER.glob("*.txt"))


def marked(path: Path) -> Any:
    numbers = [
        int(one) for found in re.findall(r"^# attack ([0-9, ]+)$", path.read_text(), re.MULTILINE) for one in found.split(",")
    ]
    return pytest.param(path, id=path.stem, marks=[pytest.mark.attack(*numbers)] if numbers else [])


@pytest.mark.parametrize("path", list(map(marked, DIALOGS)))
def test_the_dialogue_is_as_written(path):
    conversation: Conversation | None = None
    said: list[str] = []
    done = 0
    for number, line in enumerate(path.read_text().splitlines(), 1):
        kind, text = line[:2], line[3:]
        where = f"{path.name}:{number}"
        if not line.strip() or line.startswith("#"):
            continue
        if kind == "= ":
            if conversation is not None:
                finish(conversation, said, done, where)
            conversation, said, done = set_up(line[2:]), [], 0
            said = conversation.open().splitlines()
            continue
        assert conversation is not None, where
        if kind == "! ":
            address, code, enhanced, reason = line[2:].split(" ", 3)
            conversation.say_no[address] = Reply(int(code), enhanced, reason)
        elif kind in {"C:", "C>"}:
            assert not said, f"{where}: said before: {said}"
            said = conversation.send(octets(text) + (b"\r\n" if kind == "C:" else b"")).splitlines()
        elif kind == "S:":
            assert said, f"{where}: nothing was said"
            assert said.pop(0).startswith(text), where
        elif kind == "H:":
            assert done < len(conversation.events), f"{where}: nothing was done"
            assert spelled(conversation.events[done]) == text, where
            done += 1
        elif kind == "X:":
            assert done < len(conversation.events), f"{where}: it did not end"
            assert conversation.ended == text, where
            done += 1
        else:
            raise AssertionError(f"{where}: {line}")
    assert conversation is not None
    finish(conversation, said, done, path.name)


def finish(conversation: Conversation, said: list[str], done: int, where: str) -> None:
    assert not said, f"{where}: said also {said}"
    assert not conversation.events[done:], f"{where}: done also {list(map(spelled, conversation.events[done:]))}"
    conversation.eof()
    conversation.session.next_event()
    assert conversation.load.octets == 0, f"{where}: octets are still counted"


def test_there_are_dialogues():
    assert len(DIALOGS) >= 8
