"""Whether a message is tracked, how, and the message with its links and pixel; before anything is signed (DESIGN section 8).

A message is never held up by this: what cannot be rewritten safely goes out as it came, and a note says why.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from ...mime.fields import Field
from ...trace.model import DEFAULT_TENANT, Tracking
from ...trace.tokens import Tokens
from ...trace.tracking.marks import CLICK, OPEN, VERSION, Bucket, Mark, day_of, sealed
from ...trace.tracking.rewrite import NotTrackedError, Wanted, rewritten
from ...trace.tracking.targets import Exceptions
from .. import settings
from ..model import Incoming
from .errors import PreparationError

FIELD = "x-delivcheck-tracking"
CONSENT = "consent"
MAX_TAGS = 5  # of a bucket: every one makes each link longer
MAX_NAMES = 256  # characters of a bucket's names together, likewise

_BASE = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(?:/[A-Za-z0-9._~/-]*)?\Z")  # goes into attributes with and without quotes
_ORDER = (Tracking.NONE, Tracking.AGGREGATE, Tracking.IDENTIFIED)
_SAID = {"none": Tracking.NONE, "aggregate": Tracking.AGGREGATE, CONSENT: Tracking.IDENTIFIED}


@dataclass(frozen=True, slots=True)
class Tracked:
    """The octets, which are those that came where nothing was done; how it is tracked, and the links by their numbers."""

    octets: bytes
    mode: Tracking = Tracking.NONE
    links: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Belongs:
    """What a message belongs to, as far as it is counted together with others."""

    stream: str | None = None
    tags: tuple[str, ...] = ()
    template: str = ""
    tenant: str = DEFAULT_TENANT


class Tracker:
    """Made once. Raises PreparationError where links cannot begin with `public_url`."""

    def __init__(self, chosen: settings.Tracking, public_url: str, tokens: Tokens) -> None:
        """`public_url` is without a slash at its end."""
        if not _BASE.match(public_url):
            raise PreparationError("public-url has characters that a link in mail should not have")
        self.chosen, self.base, self.tokens = chosen, public_url, tokens

    def track(self, incoming: Incoming, fields: Collection[Field], belongs: Belongs) -> Tracked:
        """Rewrite what may be rewritten. `fields` are the message's X-Delivcheck fields. Never raises."""
        mode, notes = self._mode(incoming, fields, belongs.stream)
        if mode is Tracking.NONE:
            return Tracked(incoming.octets, notes=notes)
        try:
            made = rewritten(incoming.octets, self._wanted(mode, incoming, belongs))
        except NotTrackedError as why:
            return Tracked(incoming.octets, notes=(*notes, f"not tracked: {why}"))
        except Exception as error:  # noqa: BLE001 -- a fault of ours here is no reason to stop mail: it goes untracked
            return Tracked(incoming.octets, notes=(*notes, f"not tracked, by a fault of ours: {type(error).__name__}"))
        if made.octets is incoming.octets:
            return Tracked(incoming.octets, notes=(*notes, *made.notes))
        return Tracked(made.octets, mode, made.links, (*notes, *made.notes))

    def _mode(self, incoming: Incoming, fields: Collection[Field], stream: str | None) -> tuple[Tracking, tuple[str, ...]]:
        """How it is tracked; the configuration says how far that goes at most, and the message may only ask for less."""
        chosen = self.chosen.mode_of(stream)
        asked, notes = _asked(incoming, fields)
        if chosen is Tracking.NONE:
            return chosen, notes
        if incoming.client.protocol == "milter":  # the MTA has the body, and one copy of it for all recipients
            return Tracking.NONE, (*notes, "not tracked: behind a milter the body stays as it is")
        if chosen is Tracking.IDENTIFIED and asked is not Tracking.IDENTIFIED:  # nobody is identified without consent
            chosen = Tracking.AGGREGATE
        elif chosen is Tracking.IDENTIFIED and len(incoming.rcpt_to) != 1:
            chosen = Tracking.AGGREGATE
            notes = (*notes, "tracked in aggregate: the copy has several recipients")
        return chosen if asked is None else min(chosen, asked, key=_ORDER.index), notes

    def _wanted(self, mode: Tracking, incoming: Incoming, belongs: Belongs) -> Wanted:
        trace, bucket = incoming.trace, None
        if mode is Tracking.AGGREGATE:
            trace, bucket = "", _bucket(belongs, day_of(incoming.received))

        def link(number: int, url: str) -> str:
            return f"{self.base}/c/{sealed(self.tokens, CLICK, Mark(VERSION, trace, bucket, number, url))}"

        pixel = f"{self.base}/o/{sealed(self.tokens, OPEN, Mark(VERSION, trace, bucket))}"
        exceptions = Exceptions(own=f"{self.base}/", patterns=self.chosen.exclude)
        return Wanted(link if self.chosen.links else None, pixel if self.chosen.pixel else None, exceptions)


def _bucket(belongs: Belongs, day: int) -> Bucket:
    """Names that would make links too long are left out, the tags first."""
    stream, template, tags = belongs.stream or "", belongs.template, belongs.tags[:MAX_TAGS]
    while tags and len(stream) + len(template) + sum(map(len, tags)) > MAX_NAMES:
        tags = tags[:-1]
    if len(stream) + len(template) > MAX_NAMES:
        template = ""
    return Bucket(day, stream[:MAX_NAMES], template, tags, belongs.tenant)


def _asked(incoming: Incoming, fields: Collection[Field]) -> tuple[Tracking | None, tuple[str, ...]]:
    """What X-Delivcheck-Tracking asks for: "none", "aggregate", or "consent" (this recipient consented to being identified).

    Whoever may send may ask for less; consent declares only who may declare. Of fields that disagree the least counts.
    """
    said = [one.text.strip().partition(";")[0].strip().lower() for one in fields if one.lower == FIELD]
    if not said:
        return None, ()
    if any(one not in _SAID for one in said):  # what was meant is not known, so the careful reading holds
        return Tracking.NONE, (f"{FIELD}: none of {', '.join(_SAID)}",)
    asked = min((_SAID[one] for one in said), key=_ORDER.index)
    credential = incoming.client.credential
    if asked is Tracking.IDENTIFIED and not (credential is not None and credential.may_declare):
        return None, (f"{FIELD}: this client may not declare consent",)
    return asked, ()
