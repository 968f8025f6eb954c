"""Held mail: listed, looked at, and released or discarded, one or many at a time, after a question and with a note."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ... import ulid
from ...gate import record
from ...gate import release as releasing
from ...gate.held import Damaged, Entry, HeldError, HeldStore, NotHeldError
from ...gate.journal import JournalError
from ...mime.headers import display_text
from ...mime.message import MessageError, header_of
from ...trace import audit, records
from ...trace.keys import Scope
from ...trace.model import DEFAULT_TENANT
from .. import letters
from ..site import Answer, Page, Refusal, Visit

PAGE = 100  # entries of a page, and so of one release
AT_ONCE = 4  # releases at the same time: each judges, and has a connection of the next hop
HEADER = 65_536  # octets of a message in which its subject is looked for, as `delivcheck held` does
MAX_NOTE = 500  # characters
ACTIONS = {"release": "Release", "discard": "Discard"}


@dataclass(frozen=True, slots=True)
class Row:
    """An entry of the list; `damaged` says why it cannot be read."""

    trace: str
    held: int  # Unix ms
    until: int  # when it is discarded by itself
    sender: str = ""
    to: tuple[str, ...] = ()
    subject: str = ""
    reason: str = ""
    rules: tuple[str, ...] = ()
    size: int = 0
    damaged: str = ""


def _store(visit: Visit) -> HeldStore:
    store = visit.desk.held
    if store is None:
        raise Refusal(404, "nothing is ever held here: the configuration has no [gate.hold]")
    return store


def _ours(visit: Visit, one: Entry | Damaged) -> bool:
    """Whether an entry is of the visitor's tenant; of what cannot be read nobody knows, and the default one looks after it."""
    settings = visit.desk.gate.trace
    tenant = DEFAULT_TENANT
    if isinstance(one, Entry) and settings is not None:
        tenant = record.tenant_of(settings, one.client())
    return tenant == visit.visitor.tenant_name


def _entry(visit: Visit, trace: str) -> Entry:
    """One that the visitor may see. Raises Refusal."""
    try:
        found = _store(visit).entry(trace)
    except NotHeldError:
        raise Refusal(404, "there is no such message held, or no longer") from None
    except HeldError as error:
        raise Refusal(503, f"this entry cannot be read: {error}") from None
    if not _ours(visit, found):
        raise Refusal(404, "there is no such message held, or no longer")
    return found


def _row(visit: Visit, one: Entry | Damaged) -> Row:
    hold = visit.desk.gate.hold
    days = timedelta(days=hold.keep_days if hold is not None else 0)
    if isinstance(one, Damaged):
        at = ulid.minted(one.trace)
        return Row(one.trace, _ms(at), _ms(at + days), damaged=one.reason)
    return Row(
        one.trace,
        _ms(one.held),
        _ms(one.held + days),
        one.sender.address,
        tuple(recipient.address for recipient in one.recipients),
        _subject(_store(visit), one),
        one.reason,
        one.rules,
        one.size,
    )


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _subject(store: HeldStore, one: Entry) -> str:
    try:
        found = next((field for field in header_of(store.beginning(one, HEADER)) if field.lower == "subject"), None)
    except (HeldError, MessageError):
        return ""
    return "" if found is None else display_text(found).strip()


# --- looking -----------------------------------------------------------------------------------------------------


def listing(visit: Visit) -> Answer:
    """All that is held, oldest first."""
    store = _store(visit)
    after = visit.asked("after", 26)
    try:
        entries = [one for one in store.entries() if one.trace > after and _ours(visit, one)]
    except HeldError as error:
        raise Refusal(503, f"what is held cannot be read: {error}") from None
    rows = [_row(visit, one) for one in entries[:PAGE]]
    more = rows[-1].trace if len(entries) > PAGE else None
    return visit.page("held.html", rows=rows, more=more, first=not after, total=len(entries))


def show(visit: Visit) -> Answer:
    """One of them, with all that is known of it."""
    one = _entry(visit, visit.path("trace").upper())
    try:
        octets: bytes | None = _store(visit).octets(one)
        wrong = ""
    except HeldError as error:
        octets, wrong = None, str(error)
    letter = letters.letter(octets) if octets is not None else None
    return visit.page("held_one.html", entry=one, row=_row(visit, one), letter=letter, wrong=wrong)


def html(visit: Visit) -> Answer:
    """Its HTML, for the frame of the page."""
    one = _entry(visit, visit.path("trace").upper())
    answer = None
    with contextlib.suppress(HeldError):
        answer = letters.framed(_store(visit).octets(one))
    if answer is None:
        raise Refusal(404, "there is nothing of this message to show")
    return answer


# --- deciding ----------------------------------------------------------------------------------------------------


def _chosen(visit: Visit, given: Sequence[str]) -> list[str]:
    """The entries that were chosen, those that are there and the visitor's. Raises Refusal."""
    wanted = [one.strip().upper() for one in dict.fromkeys(given)]
    if not wanted:
        raise Refusal(400, "no message was chosen")
    if len(wanted) > PAGE:
        raise Refusal(400, f"more than {PAGE} messages were chosen")
    store, found = _store(visit), []
    for trace in filter(ulid.valid, wanted):
        try:
            one: Entry | Damaged = store.entry(trace)
        except NotHeldError:
            continue
        except HeldError as error:
            one = Damaged(trace, str(error))
        if _ours(visit, one):
            found.append(trace)
    if not found:
        raise Refusal(404, "these messages are not held any more")
    return found


def ask(visit: Visit) -> Answer:
    """Whether that is really meant, and why."""
    action = visit.asked("action")
    if action not in ACTIONS:
        raise Refusal(400, "release or discard: that is the question")
    traces = _chosen(visit, visit.request.query_params.getlist("trace"))
    store = _store(visit)
    rows = []
    for trace in traces:
        try:
            rows.append(_row(visit, store.entry(trace)))
        except HeldError as error:
            rows.append(_row(visit, Damaged(trace, str(error))))
    return visit.page("held_ask.html", action=action, word=ACTIONS[action], rows=rows)


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one entry."""

    trace: str
    good: bool
    says: str


async def act(visit: Visit) -> Answer:
    """Do it, and say what became of each."""
    action, note = visit.form.get("action"), visit.form.get("note")[:MAX_NOTE]
    if action not in ACTIONS:
        raise Refusal(400, "release or discard: that is the question")
    traces = await visit.desk.work(_chosen, visit, visit.form.all("trace"))
    room = asyncio.Semaphore(AT_ONCE)

    async def one(trace: str) -> Done:
        async with room:
            return await (_release if action == "release" else _discard)(visit, trace)

    done = await asyncio.gather(*(one(trace) for trace in traces))

    def noted() -> None:
        with visit.desk.store.write() as db:
            for each in done:
                detail = {"note": note, "outcome": each.says}
                audit.note(db, visit.tenant, visit.visitor.name, f"held.{action}", each.trace, detail, at=visit.site.clock())

    await visit.desk.work(noted)
    return await visit.desk.work(visit.page, "held_done.html", 200, done=done, action=action, word=ACTIONS[action])


async def _release(visit: Visit, trace: str) -> Done:
    try:
        said = await visit.desk.handing.release(trace, who=visit.visitor.name)
    except HeldError as error:
        return Done(trace, False, str(error))
    if said.reply.positive and not said.held:
        return Done(trace, True, "released; the next hop has it")
    return Done(trace, False, f"stays held for {said.recipient}: {said.reply}")


async def _discard(visit: Visit, trace: str) -> Done:
    store = _store(visit)
    try:
        await visit.desk.work(releasing.discard, store, trace, visit.desk.watch)
        await visit.desk.note([records.decode(record.discarded(trace, "discarded"))])
    except HeldError as error:
        return Done(trace, False, str(error))
    except JournalError:
        return Done(trace, True, "discarded; its trace does not know yet, since the journal cannot be written")
    return Done(trace, True, "discarded")


PAGES = (
    Page("GET", "/held", Scope.HELD, listing),
    Page("GET", "/held/ask", Scope.HELD, ask),
    Page("POST", "/held/act", Scope.HELD, act),
    Page("GET", "/held/{trace}", Scope.HELD, show),
    Page("GET", "/held/{trace}/html", Scope.HELD, html),
)
