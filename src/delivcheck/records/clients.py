"""Which mail clients there are, who reads mail with them, and what of HTML and CSS they do not support, from `rules/data`."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from ..rulefiles import data


class Effect(StrEnum):
    """What follows where a client does not support a feature."""

    LOST = "lost"  # content is missing, what was hidden shows, or the layout falls apart
    DEGRADED = "degraded"  # all is there and looks different


@dataclass(frozen=True, slots=True)
class Client:
    """A mail client: how a report calls it, and the apps it comes as."""

    name: str
    title: str
    apps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature of HTML or CSS as caniemail.com has it, and what we make of it.

    `then` says what a reader sees without it. `tested` is the day of the last test. `support` has for each client that was
    tested a letter for each app: y supported, n not, a in part, u not known.
    """

    name: str
    title: str
    effect: Effect
    then: str
    tested: str
    support: Mapping[str, str]

    def lost_in(self, client: Client) -> tuple[str, ...]:
        """The apps of a client that do not support it. What is supported in part, or not known, is let pass."""
        letters = self.support.get(client.name, "")
        return tuple(app for app, letter in zip(client.apps, letters, strict=False) if letter == "n")


@lru_cache(maxsize=1)
def clients() -> Mapping[str, Client]:
    """All clients by the names that `[clients]` of the configuration takes."""
    return {name: Client(name, one["title"], tuple(one["apps"])) for name, one in data("client-support")["clients"].items()}


@lru_cache(maxsize=1)
def usual_mix() -> Mapping[str, float]:
    """Percent of all readers by client, from a public source; what is missing to 100 reads with others."""
    return dict(data("client-support")["mix"]["percent"])


@lru_cache(maxsize=1)
def features() -> Mapping[str, Feature]:
    """The features that are looked for, by name."""
    support = data("client-support")["features"]
    return {
        name: Feature(
            name,
            judged.get("title", support[name]["title"]),
            Effect(judged["effect"]),
            judged["then"],
            support[name]["tested"],
            {client: letters for client, letters in support[name].items() if client not in {"title", "tested"}},
        )
        for name, judged in data("client-features")["feature"].items()
    }
