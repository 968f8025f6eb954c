"""The user's configuration: `delivcheck.toml`, or `[tool.delivcheck]` in pyproject.toml, found from the working directory up.

What the command line says goes before what the stream says, and that before the rest of the file; `settled` folds the three.
"""

import fnmatch
import logging
import os
import re
import stat
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from . import policy as policies
from . import rulefiles
from .facts.roots import ReaderClients, Sender, Stream
from .model import MessageClass, Volume, Where
from .records.clients import clients as known_clients
from .records.identities import author, own_domain, sending_address, test_url
from .records.jurisdictions import parse as jurisdiction
from .records.names import to_ascii
from .tables import ConfigError, Keys, Reader, Section, nearest

log = logging.getLogger("delivcheck.config")

__all__ = ["Config", "ConfigError", "Layer", "Override", "Settled", "discover", "find", "load", "settled"]

FILE = "delivcheck.toml"
SYSTEM_FILE = Path("/etc/delivcheck") / FILE  # the gate's and its commands', which are run from anywhere
SHARED_FILE = "pyproject.toml"
DEFAULT_POLICY = "bulk"
MORE_THAN_ALL = 101.0  # percent; those of a report are rounded, and add up to 100.4
MAX_SECONDS = 1_000_000  # of a timeout, eleven days; also keeps infinity, not-a-number and integers without a float out


@dataclass(frozen=True)
class Layer:
    """What one place says: the command line, a stream, or the file itself. None and () mean that it does not say."""

    policy: str | None = None
    message_class: MessageClass | None = None
    volume: Volume | None = None
    rules: tuple[policies.Setting, ...] = ()


@dataclass(frozen=True)
class Override:
    """What holds for files whose path matches one of the patterns (`[[overrides]]`): a stream, and a layer of its own over it.

    Patterns are shell patterns on the path below the configuration's folder, with slashes; `*` matches slashes, too.
    """

    paths: tuple[str, ...]
    layer: Layer = field(default_factory=Layer)
    stream: str | None = None


@dataclass(frozen=True)
class Config:
    """A configuration file as read; without a file everything is unsaid. `timeout` in seconds."""

    path: Path | None = None
    layer: Layer = field(default_factory=Layer)
    timeout: float | None = None
    nameservers: tuple[str, ...] = ()
    owned_domains: tuple[str, ...] = ()
    jurisdictions: tuple[str, ...] = ()
    selectors: tuple[str, ...] = ()
    sender: Sender = field(default_factory=Sender)
    clients: ReaderClients | None = None
    blocklists: tuple[str, ...] = ()
    feed: Path | None = None
    unsubscribe_test_url: str | None = None
    streams: Mapping[str, Layer] = field(default_factory=dict)
    identities: Mapping[str, Stream] = field(default_factory=dict)  # who sends each stream, where it says so
    overrides: tuple[Override, ...] = ()
    gate: Section | None = None  # `[gate]`, which `gate.reading` reads
    templates: Section | None = None  # `[templates]`, which `templates.settings` reads
    hooks: Section | None = None  # `[hooks]`, which `integrations.settings` reads
    sendmail: Section | None = None  # `[sendmail]`, which `integrations.sendmail` reads

    def at(self, name: str) -> tuple[Override, ...]:
        """The overrides for a file, the strongest first: of several that match, the later one in the configuration."""
        if not self.overrides or self.path is None:
            return ()
        base = self.path.parent.resolve()
        file = Path(name).resolve()
        below = file.relative_to(base).as_posix() if file.is_relative_to(base) else file.as_posix()
        return tuple(
            one for one in reversed(self.overrides) if any(fnmatch.fnmatchcase(below, pattern) for pattern in one.paths)
        )

    @property
    def identified(self) -> tuple[Stream, ...]:
        """The streams of which the file says who sends them, with the class that holds for each. Raises PolicyError."""
        return tuple(
            replace(one, message_class=settled([self.stream(name), self.layer]).message_class)
            for name, one in self.identities.items()
        )

    def stream(self, name: str) -> Layer:
        """What a stream says. Raises ConfigError for a name that the file does not have."""
        if name in self.streams:
            return self.streams[name]
        if not self.streams:
            where = f"{self.path} has none" if self.path else f"there is no {FILE}"
            raise ConfigError(f"no stream {name!r}: streams are named in the configuration, and {where}")
        raise ConfigError(f"{self.path}: no stream {name!r}{nearest(name, self.streams)}")


@dataclass(frozen=True)
class Settled:
    """What holds after all layers: the policy with every rule setting laid over it, class and volume (None: undeclared)."""

    policy: policies.Policy
    message_class: MessageClass | None
    volume: Volume | None


def settled(layers: Sequence[Layer]) -> Settled:
    """Fold layers, the strongest first. Raises PolicyError.

    A class or volume that a layer's own policy brings counts as said by that layer: `--policy transactional` beats a class in
    the file. Rule settings of every layer apply, those of stronger layers later, since the later one wins.
    """
    chosen = next((layer.policy for layer in layers if layer.policy is not None), DEFAULT_POLICY)
    message_class: MessageClass | None = None
    volume: Volume | None = None
    for layer in layers:
        brought = policies.load(layer.policy) if layer.policy is not None else None
        message_class = message_class or layer.message_class or (brought.message_class if brought else None)
        volume = volume or layer.volume or (brought.volume if brought else None)
    rules = [setting for layer in reversed(layers) for setting in layer.rules]
    return Settled(policies.load(chosen).with_settings(rules), message_class, volume)


# --- finding -----------------------------------------------------------------------------------------------------


def find(start: Path) -> Path | None:
    """The nearest configuration at or above a folder; `delivcheck.toml` goes before pyproject.toml in the same folder.

    A pyproject.toml without `[tool.delivcheck]` is not ours, and is passed by. So is, with a warning, what a stranger put where
    anybody may: a configuration can let mail pass, and names files that are written.
    """
    for folder in (start, *start.parents):
        own = folder / FILE
        if own.is_file() and not _strangers(own):
            return own
        shared = folder / SHARED_FILE
        if shared.is_file() and _mentions_us(shared) and not _strangers(shared):
            return shared
    return None


def _strangers(path: Path) -> bool:
    """Whether a file is neither ours nor root's and lies in a folder that anybody may write to, as /tmp is."""
    if os.name == "nt":
        return False
    try:
        owner, folder = path.stat().st_uid, path.parent.stat()
    except OSError:
        return True
    if owner in {0, os.geteuid()} or not folder.st_mode & stat.S_IWOTH:
        return False
    log.warning("%s: not read: it is another user's, in a folder that anybody may write to; name it with --config", path)
    return True


def _mentions_us(path: Path) -> bool:
    """Whether a pyproject.toml has our table; a broken one that names us is opened, so that its fault is told."""
    try:
        raw = path.read_bytes()
        if b"delivcheck" not in raw:
            return False
        tool = rulefiles.loads(raw.decode()).get("tool")
        return isinstance(tool, Mapping) and "delivcheck" in tool
    except OSError:
        return False
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return re.search(rb"^\s*\[tool\.delivcheck[.\]]", raw, re.MULTILINE) is not None


def discover(given: str | None = None, start: Path | None = None, *, system: Path | None = None) -> Config:
    """Read the file that was named, or the nearest one, or that of the system where there is one. Raises ConfigError."""
    if given is not None:
        return load(Path(given))
    here = start or Path.cwd()
    found = find(here)
    if found is None:
        return load(system) if system is not None and system.is_file() else Config()
    return load(found.relative_to(here) if start is None and found.parent == here else found)


# --- reading -----------------------------------------------------------------------------------------------------


def load(path: Path) -> Config:
    """Read one configuration file. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
        whole = rulefiles.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8: {error.reason} at octet {error.start}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    except ValueError as error:  # a NUL in the path
        raise ConfigError(f"{path}: {error}") from None
    inside: tuple[str, ...] = ()
    found = whole.get("tool")
    tool: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    if path.name == SHARED_FILE or "delivcheck" in tool:
        inside = ("tool", "delivcheck")
        whole = tool.get("delivcheck", {})
    return _Reader(path, text, inside).config(whole)


class _Reader(Reader):
    """Turns a parsed table into a Config."""

    def unknown(self, key: str, known: Iterable[str]) -> str:
        if key in _OF_POLICY:
            return '; it belongs in a policy file, named here by policy = "FILE.toml"'
        return super().unknown(key, known)

    def config(self, raw: Any) -> Config:
        table = self.table((), raw, _KEYS)
        streams = self.table(("streams",), table.get("streams", {}), None)
        timeout = table.get("timeout")
        if timeout is not None:
            timeout = self.number(("timeout",), timeout, MAX_SECONDS, "a number of seconds")
        lists = {key.replace("-", "_"): self.words((key,), table.get(key, [])) for key in _LISTS}
        lists["jurisdictions"] = self.each_as(("jurisdictions",), lists["jurisdictions"], jurisdiction)
        lists["owned_domains"] = self.each_as(("owned-domains",), lists["owned_domains"], own_domain)
        lists["blocklists"] = self.each_as(("blocklists",), lists["blocklists"], to_ascii)
        feed = self.string(("feed",), table.get("feed"))
        tried = self.string(("unsubscribe-test-url",), table.get("unsubscribe-test-url"))
        return Config(
            path=self.path,
            layer=self.layer((), table),
            timeout=None if timeout is None else float(timeout),
            **lists,
            sender=self.sender(("sender",), table.get("sender", {})),
            clients=self.clients(("clients",), table["clients"]) if "clients" in table else None,
            feed=None if feed is None else self.path.parent / feed,
            unsubscribe_test_url=None if tried is None else self.each_as(("unsubscribe-test-url",), [tried], test_url)[0],
            overrides=self.overrides(table.get("overrides", []), streams),
            streams={
                name: self.layer(("streams", name), self.table(("streams", name), one, _STREAM_KEYS))
                for name, one in streams.items()
            },
            identities={
                name: self.identity(("streams", name), one) for name, one in streams.items() if not _IDENTITY.isdisjoint(one)
            },
            gate=Section(("gate",), table["gate"], self) if "gate" in table else None,
            templates=Section(("templates",), table["templates"], self) if "templates" in table else None,
            hooks=Section(("hooks",), table["hooks"], self) if "hooks" in table else None,
            sendmail=Section(("sendmail",), table["sendmail"], self) if "sendmail" in table else None,
        )

    def overrides(self, raw: Any, streams: Mapping[str, Any]) -> tuple[Override, ...]:
        made = []
        for index, one in enumerate(self.tables(("overrides",), raw)):
            keys: Keys = ("overrides", index)
            given = self.table(keys, one, _OVERRIDE_KEYS)
            paths, stream = self.words((*keys, "paths"), given.get("paths", [])), given.get("stream")
            if not paths:
                raise self.fail(keys, "paths: at least one pattern is wanted")
            if stream is not None and not (isinstance(stream, str) and stream in streams):
                raise self.fail((*keys, "stream"), f"no stream {stream!r}{nearest(str(stream), streams)}")
            made.append(Override(paths, self.layer(keys, given), stream))
        return tuple(made)

    def layer(self, keys: Keys, raw: Mapping[str, Any]) -> Layer:
        named = raw.get("policy")
        if named is not None and not isinstance(named, str):
            raise self.fail((*keys, "policy"), f"a policy's name or file, not {named!r}")
        return Layer(
            self.beside(named),
            self.one_of((*keys, "class"), raw.get("class"), MessageClass),
            self.one_of((*keys, "volume"), raw.get("volume"), Volume),
            self.settings((*keys, "rules"), raw.get("rules", {})),
        )

    def beside(self, named: str | None) -> str | None:
        """A policy's file is looked for beside the configuration, not where the user happens to stand."""
        if named is None or not named.endswith(".toml"):
            return named
        return str(self.path.parent / named)

    def settings(self, keys: Keys, raw: Any) -> tuple[policies.Setting, ...]:
        source = str(self.path)
        settings: list[policies.Setting] = []
        for pattern, value in self.table(keys, raw, None).items():
            line = self.line((*keys, pattern))
            place = f"{source}:{line}" if line else source
            try:
                settings.extend(policies.fold("", {"rules": {pattern: value}}, place).settings)
            except policies.PolicyError as error:
                raise ConfigError(str(error)) from None
        return tuple(settings)

    def identity(self, keys: Keys, raw: Mapping[str, Any]) -> Stream:
        """Who sends a stream: `from`, `ip` and `dkim-domain`, each one string or a list of them."""

        def said(key: str) -> tuple[str, ...]:
            value = raw.get(key, [])
            return self.words((*keys, key), [value] if isinstance(value, str) else value)

        return Stream(
            str(keys[-1]),
            None,
            self.each_as((*keys, "from"), said("from"), author),
            self.each_as((*keys, "ip"), said("ip"), sending_address),
            self.each_as((*keys, "dkim-domain"), said("dkim-domain"), to_ascii),
            Where(file=str(self.path), line=self.line(keys)),
        )

    def clients(self, keys: Keys, raw: Any) -> ReaderClients:
        percent: dict[str, float] = {}
        for name, share in self.table(keys, raw, known_clients()).items():
            nobody = share == 0 and share is not False
            what = "percent of readers, at most 100 and"
            percent[name] = 0.0 if nobody else self.number((*keys, name), share, MORE_THAN_ALL, what)
        if sum(percent.values()) >= MORE_THAN_ALL:
            raise self.fail(keys, f"the shares add up to {sum(percent.values()):g} percent")
        return ReaderClients(percent)

    def sender(self, keys: Keys, raw: Any) -> Sender:
        said: dict[str, Any] = {}
        for key, value in self.table(keys, raw, _SENDER).items():
            name, kind = key.replace("-", "_"), _SENDER[key]
            if kind is tuple:
                said[name] = tuple(one for one in self.words((*keys, key), value) if one.strip())
            elif isinstance(value, str) and kind is str:
                said[name] = value.strip() or None
            elif not isinstance(value, kind):
                raise self.fail(
                    (*keys, key), f"{'true or false' if kind is bool else 'a string'} is wanted here, not {value!r}"
                )
            else:
                said[name] = value
        if "mailbox_domains" in said:
            said["mailbox_domains"] = self.each_as((*keys, "mailbox-domains"), said["mailbox_domains"], to_ascii)
        return Sender(**said)


_OF_POLICY = {"extends", "require", "forbid"}  # what people put here first, since both files have rules
_LISTS = ("nameservers", "owned-domains", "jurisdictions", "selectors", "blocklists")
_IDENTITY = frozenset({"from", "ip", "dkim-domain"})  # who sends a stream
_LAYER_KEYS = ("policy", "class", "volume", "rules")
_STREAM_KEYS = (*_LAYER_KEYS, *sorted(_IDENTITY))
_KEYS = (
    *_LAYER_KEYS,
    "timeout",
    *_LISTS,
    "feed",
    "unsubscribe-test-url",
    "sender",
    "clients",
    "streams",
    "overrides",
    "gate",
    "templates",
    "hooks",
    "sendmail",
)
_OVERRIDE_KEYS = ("paths", "stream", *_LAYER_KEYS)
_SENDER: Mapping[str, type] = {
    "postal-address": str,
    "legal-name": str,
    "brand-names": tuple,
    "sexually-oriented": bool,
    "unsolicited": bool,
    "mailbox-domains": tuple,
}
