"""The pipeline: roots in, report of one target out.

`Checker` is behind the command line, the gate and every hook; `api` has the functions for one call.
"""

import difflib
import fnmatch
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, cast

import msgspec

from . import catalog, mailboxes, policy
from .costs import Costs
from .engine import Check, Facts, Judged, Plan, Roots, gather, run
from .facts.declared_class import class_in
from .facts.earlier import Renderings
from .facts.recipients import RecipientProviders
from .facts.roots import (
    WHY_ABSENT,
    AddressesApart,
    AsReceived,
    AuditedDomain,
    BlockLists,
    Declared,
    Envelope,
    Now,
    Octets,
    Origin,
    ReaderClients,
    Rendering,
    SecondOpinionWanted,
    Selectors,
    Sender,
    Session,
    Silences,
    Stream,
    Streams,
    TemplateRole,
    TemplateSource,
    TemplateText,
    UnsubscribeTest,
)
from .facts.second_opinion import SecondOpinion
from .facts.spf import is_personal
from .facts.summary import SHOWN, summarise
from .facts.template_source import role_of
from .mime.message import MessageError, check, parse
from .mime.storage import with_crlf
from .model import (
    Authoritative,
    DeclaredClass,
    Dns,
    Level,
    MessageClass,
    Outcome,
    Outlook,
    Probe,
    Problem,
    Result,
    Rule,
    Stage,
    TargetKind,
    TargetReport,
    Volume,
    Where,
)
from .opinions import beside
from .recall import Recall, Recalled
from .records.feed import Feed
from .records.identities import BadIdentity, own_domain
from .records.names import BadName, to_ascii
from .records.placeholders import ENGINES, MAX_TEMPLATE

DEFAULT_TIMEOUT = (
    15.0  # seconds for all DNS of one target: a person waits, and pyspf's own limit is 20 s (RFC 7208 section 4.6.4)
)

if TYPE_CHECKING:
    from .net.client import Client

DnsMode = Literal["live", "offline"]


class InputError(ValueError):
    """What was given cannot be examined (an empty message, a name that is no domain); one line."""


@dataclass(frozen=True)
class Options:
    """What holds for every target of a run. `dns` is a client, "live" (the system's resolvers) or "offline".

    Raises InputError for an owned domain that is no name.
    """

    policy: policy.Policy
    dns: Dns | DnsMode = "live"
    message_class: MessageClass | None = None
    volume: Volume | None = None
    stream: str | None = None
    now: datetime | None = None
    fail_on: Level | None = Level.ERROR
    timeout: float = DEFAULT_TIMEOUT
    probe: Probe | None = None
    authoritative: Authoritative | None = None
    second_opinion: bool = False
    owned_domains: tuple[str, ...] = ()  # in any form; kept as lower-case A-labels
    jurisdictions: tuple[str, ...] = ()  # as `records.jurisdictions.parse` gives them
    sender: Sender = field(default_factory=Sender)
    clients: ReaderClients | None = None  # None: the usual mix
    trust_class_header: bool = False
    blocklists: tuple[str, ...] = ()  # zones to ask, lower-case names; none are asked unless named here
    feed: Feed | None = None
    streams: tuple[Stream, ...] = ()
    unsubscribe_test_url: str | None = None

    def __post_init__(self) -> None:
        """Bring the owned domains to the one form in which names are compared."""
        try:
            owned = tuple(dict.fromkeys(map(own_domain, self.owned_domains)))
        except BadIdentity as error:
            raise InputError(f"owned_domains: {error}") from None
        object.__setattr__(self, "owned_domains", owned)


@dataclass(frozen=True, slots=True)
class _Selected:
    """A rule that inspects this kind of target, what the policy says of it, and results that are known before."""

    rule: Rule
    check: Check
    level: Level
    skipped: Result | None
    passed: Result
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Program:
    """What is done with a target of these roots under these circumstances.

    `begun` has the results that are known before, None for the others, which are `running`, by position. `recall` is there
    where one target after the other may be of the same sender.
    """

    plan: Plan
    begun: tuple[Result | None, ...]
    running: tuple[tuple[int, _Selected], ...]
    recall: Recall | None

    @property
    def kept_checks(self) -> frozenset[int]:
        """The positions of the checks that the next message of a sender is spared."""
        return frozenset() if self.recall is None else self.recall.checks


_IN_A_ROW = frozenset({TargetKind.MESSAGE, TargetKind.TEMPLATE})  # domains are audited once each


@dataclass
class Checker:
    """The pipeline with rules, policy and DNS made ready; one instance serves any number of targets, side by side.

    `options.dns` is the client that all of them share, one made for "live" included. Raises PolicyError, NoNameservers.
    """

    options: Options
    book: catalog.Catalog = field(default_factory=catalog.standard)
    shown: Mapping[TargetKind, tuple[type, ...]] = field(default_factory=lambda: SHOWN)  # facts for the report, read by no rule
    earlier: Renderings = field(default_factory=Renderings)  # what was checked before, for a Message-ID used twice
    gathered: Callable[[Mapping[type, Any]], None] | None = None  # told each target's facts: for more than reports hold
    outlooks: bool = True  # whether reports say what each provider would do; no verdict needs it
    costs: Costs | None = None  # where what each fact and each rule takes is noted; nothing is recalled then

    def __post_init__(self) -> None:
        """Add the policy's house rules to the book, hold the policy against it, and make the client."""
        if house := self.options.policy.house:
            self.book = self.book.with_rules(house)
        policy.hold_against(self.options.policy, self.book.rules, self.book.checks)
        if self.options.dns == "live":
            from .net import dns as net_dns
            from .net.outside import Outside

            self.options = replace(self.options, dns=Outside(net_dns.Live()))
        self._selections: dict[policy.Circumstances, tuple[_Selected, ...]] = {}
        self._programs: dict[tuple[frozenset[type], policy.Circumstances], _Program] = {}
        self._nothing: dict[policy.Circumstances, TargetReport] = {}  # the same for every message, but for its name
        self._forecasts: dict[tuple[policy.Circumstances, str, bool], mailboxes.Forecast] = {}

    # --- targets

    async def message(
        self,
        data: bytes,
        *,
        name: str = "message",
        envelope: Envelope | None = None,
        session: Session | None = None,
        selectors: Sequence[str] = (),
        stage: Stage = Stage.POST_SIGN,
        origin: Origin = Origin.AS_SENT,
        came_in: AsReceived | None = None,
        dns: Dns | None = None,
    ) -> TargetReport:
        """Check one message; `came_in` says more of one that is AS_RECEIVED. Raises InputError when it is no message at all.

        `dns` stands for the shared client this once, so that a caller can note what this message was told.
        """
        octets = Octets(*with_crlf(data), origin=origin)
        around = policy.Circumstances(TargetKind.MESSAGE, stage, self._declared(), origin, octets.line_ends_converted)
        try:
            if self._asks_nothing(around):
                check(octets.data)
                if around not in self._nothing:
                    self._nothing[around] = await self._examine(name, [octets], around, dns)
                return msgspec.structs.replace(self._nothing[around], target=name)
            parsed = parse(octets.data)
        except MessageError as error:
            raise InputError(str(error)) from None
        roots: list[object] = [octets, parsed, self.earlier.meet(parsed, name)]
        if origin is Origin.AS_RECEIVED:
            roots.append(came_in or AsReceived())
        if envelope is not None:
            roots.append(envelope)
        if session is not None:
            roots.append(session)
        if selectors:
            roots.append(Selectors(tuple(selectors)))
        if self.options.trust_class_header:
            around = replace(around, declared=self._declared(class_in(parsed)))
        return await self._examine(name, roots, around, dns)

    async def domain(
        self,
        domain: str,
        *,
        session: Session | None = None,
        envelope: Envelope | None = None,
        selectors: Sequence[str] = (),
        addresses_apart: bool = False,
        among_others: bool = False,
    ) -> TargetReport:
        """Audit one domain. `addresses_apart`: where its mail leaves from is judged by `sending_ip`, so no session is given.

        `among_others`: the usual selectors are tried beside the named ones, too, where these have keys.
        Raises InputError when the name is no domain name.
        """
        roots: list[object] = [AuditedDomain(_domain_name(domain))]
        if session is not None:
            roots.append(session)
        if addresses_apart:
            roots.append(AddressesApart())
        if envelope is not None:
            roots.append(envelope)
        if selectors:
            roots.append(Selectors(tuple(selectors), among_others))
        if self.options.second_opinion:
            roots.append(SecondOpinionWanted(self.options.timeout))
        around = policy.Circumstances(TargetKind.DOMAIN, Stage.POST_SIGN, self._declared())
        return await self._examine(domain, roots, around)

    async def sending_ip(self, session: Session, domain: str, *, envelope: Envelope | None = None) -> TargetReport:
        """Judge one address that a domain's mail leaves from: PTR, EHLO name, SPF, block lists, the TLS it used.

        The target is called `<address> for <domain>`. Raises InputError when the name is no domain name.
        """
        roots: list[object] = [AuditedDomain(_domain_name(domain)), session]
        if envelope is not None:
            roots.append(envelope)
        around = policy.Circumstances(TargetKind.SENDING_IP, Stage.POST_SIGN, self._declared())
        return await self._examine(f"{session.ip} for {domain}", roots, around)

    async def template(
        self,
        source: str,
        *,
        name: str = "template",
        engine: str | None = None,
        plain: str | None = None,
        subject: str | None = None,
        required: Sequence[str] = (),
    ) -> TargetReport:
        """Check a template's source; nothing is rendered. `engine` is None for whatever its code looks like.

        `plain` and `subject` are the sources of the plain-text twin and of the subject, where they stand in files of their own;
        `required` names the variables that are always there. Raises InputError for an unknown engine and for what is too large.
        """
        if engine is not None and engine not in ENGINES:
            near = difflib.get_close_matches(engine, ENGINES, 1)
            raise InputError(f"no template engine {engine!r}{f'; did you mean {near[0]}?' if near else ''}")
        given = ((source, role_of(source, name)), (plain, TemplateRole.PLAIN), (subject, TemplateRole.SUBJECT))
        texts = tuple(TemplateText(text, role) for text, role in given if text is not None)
        if max(len(one.text) for one in texts) > MAX_TEMPLATE:
            raise InputError(f"a template of more than {MAX_TEMPLATE} characters")
        return await self.rehearsal(name, TemplateSource(texts, engine, tuple(required)))

    async def rehearsal(
        self,
        name: str,
        source: TemplateSource | None = None,
        rendering: Rendering | None = None,
        message: bytes | None = None,
        *,
        place: Callable[[Where], Where] | None = None,
        silences: Silences | None = None,
    ) -> TargetReport:
        """Check what there is of a template: its source, what came of rendering it, and the message that it then became.

        `place` gives the template's place for one in the message. Raises InputError when it is no message at all.
        """
        roots: list[object] = [one for one in (source, rendering, silences) if one is not None]
        if message is not None:
            octets = Octets(message, origin=Origin.RECONSTRUCTED)
            try:
                parsed = parse(octets.data)
            except MessageError as error:
                raise InputError(str(error)) from None
            roots += [octets, parsed, self.earlier.meet(parsed, name)]
        around = policy.Circumstances(TargetKind.TEMPLATE, Stage.TEMPLATE, self._declared(), Origin.RECONSTRUCTED)
        return await self._examine(name, roots, around, place=place)

    def only(self, rules: Collection[str]) -> "Checker":
        """The same with no other rules than these, which need not all exist."""
        chosen = frozenset(rules)
        fewer = catalog.Catalog(
            {name: one for name, one in self.book.rules.items() if name in chosen}, self.book.checks, self.book.providers
        )
        settings = [
            one for one in self.options.policy.settings if any(fnmatch.fnmatchcase(name, one.pattern) for name in fewer.rules)
        ]
        options = replace(self.options, policy=replace(self.options.policy, settings=tuple(settings), house=()))
        return replace(self, options=options, book=fewer, shown={}, outlooks=False)

    # --- the pipeline

    def _asks_nothing(self, around: policy.Circumstances) -> bool:
        """Whether no rule runs and no fact is shown: then a message is not even taken apart."""
        if self.options.trust_class_header or self.shown.get(around.kind) or self.gathered is not None:
            return False
        return all(one.skipped is not None for one in self._selected(around))

    def _declared(self, said_by_header: MessageClass | None = None) -> Declared:
        chosen = self.options
        return Declared(
            chosen.message_class or chosen.policy.message_class or said_by_header,
            chosen.volume or chosen.policy.volume or Volume.BULK,
            chosen.stream,
            chosen.jurisdictions,
            chosen.owned_domains,
            chosen.trust_class_header,
        )

    async def _examine(
        self,
        name: str,
        given: Iterable[object],
        around: policy.Circumstances,
        dns: Dns | None = None,
        place: Callable[[Where], Where] | None = None,
    ) -> TargetReport:
        roots = self._roots(given, around, dns)
        program = self._program(around, roots)
        recalled: Recalled | None = None
        known: Mapping[int, Judged] = {}
        if program.recall is not None and self.costs is None:
            recalled = await program.recall.gather(roots)
            facts, known = recalled.facts, recalled.judged
        else:
            facts = await self._gather(program, roots)
        if self.gathered is not None:
            self.gathered(facts)
        outcomes: dict[int, Judged] = {}
        began = list(program.begun)
        for position, one in program.running:
            judged = known.get(position)
            if judged is None:
                if self.costs is None:
                    judged = run(one.check, facts, one.options)
                else:
                    judged = self.costs.run(one.check, facts, one.options, kept=position in program.kept_checks)
                outcomes[position] = judged
            if judged.outcome is _PASS:
                began[position] = one.passed
            elif judged.outcome is _NOT_APPLICABLE:
                began[position] = Result(one.rule.id, _NOT_APPLICABLE, one.level, judged.reason, one.rule.covers)
            else:
                began[position] = _in_file(policy.weigh(one.rule, one.level, judged, around.declared), name, place)
        if program.recall is not None and recalled is not None:
            program.recall.learn(recalled, outcomes)
        results = policy.follow(cast("list[Result]", began), self.book.rules)
        return TargetReport(
            name,
            around.kind,
            policy.verdict(results, self.options.fail_on),
            DeclaredClass(around.declared.message_class, around.declared.volume, around.declared.stream),
            policy.count(results),
            tuple(results),
            {**summarise(facts), **beside(facts.get(SecondOpinion), results)},
            self._outlooks(results, around, facts.get(RecipientProviders), seen=Dns in roots),
        )

    async def _gather(self, program: _Program, roots: Roots) -> Facts:
        if self.costs is None:
            return await gather(program.plan, roots)
        return await self.costs.gather(program.plan, roots, program.recall.facts if program.recall else ())

    def _outlooks(
        self, results: Sequence[Result], around: policy.Circumstances, recipients: object, *, seen: bool
    ) -> dict[str, Outlook]:
        """What each provider would do: the recipients' own where all are known, else the large ones, too.

        Without DNS (`seen` false) a message that shows no blocker is not known to have none.
        """
        if self.options.policy.column == "parked" or around.kind is TargetKind.TEMPLATE or not self.outlooks:
            return {}  # where nothing is sent, nobody answers
        tables = mailboxes.tables()
        at = recipients if isinstance(recipients, RecipientProviders) else None
        large = [name for name, one in tables.items() if not one.regional or name in self.options.policy.packs]
        names = at.found if at is not None and at.complete else sorted({*large, *(at.found if at is not None else ())})
        outcomes = mailboxes.sort(results)
        found = {
            name: self._forecast(around, name, hosted=at is not None and name in at.found and name not in at.own).outlook(
                outcomes
            )
            for name in names
        }
        if seen:
            return found
        return {
            name: one if one.outlook.startswith("would") else Outlook("unknown", one.rules, rows=one.rows)
            for name, one in found.items()
        }

    def _forecast(self, around: policy.Circumstances, name: str, *, hosted: bool) -> mailboxes.Forecast:
        """A provider made ready for these circumstances; a run has few."""
        key = (around, name, hosted)
        if key not in self._forecasts:
            levels = {one.rule.id: one.level for one in self._selected(around)}
            self._forecasts[key] = mailboxes.Forecast(
                mailboxes.tables()[name], list(levels), around.declared, levels, hosted=hosted
            )
        return self._forecasts[key]

    def _roots(self, given: Iterable[object], around: policy.Circumstances, noted: Dns | None = None) -> Roots:
        values: list[object] = [*given, around.declared, self.options.sender]
        dns = noted or self.options.dns
        if dns != "offline":
            from .net.deadline import Deadline

            values.append((Dns, Deadline(cast("Client", dns), self.options.timeout)))  # a caller's client need not count
        if self.options.now is not None or not any(isinstance(value, AsReceived) for value in values):
            values.append(Now(self.options.now or datetime.now(UTC)))
        if self.options.probe is not None:
            values.append((Probe, self.options.probe))
        if self.options.authoritative is not None:
            values.append((Authoritative, self.options.authoritative))
        values += self._asked_for()
        return Roots(*values, why_absent=WHY_ABSENT)

    def _asked_for(self) -> Iterator[object]:
        """The roots that the user's options are, where there are any."""
        chosen = self.options
        if chosen.clients is not None:
            yield chosen.clients
        if chosen.blocklists:
            yield BlockLists(chosen.blocklists)
        if chosen.feed is not None:
            yield chosen.feed
        if chosen.streams:
            yield Streams(chosen.streams)
        if chosen.unsubscribe_test_url is not None:
            yield UnsubscribeTest(chosen.unsubscribe_test_url)

    def _selected(self, around: policy.Circumstances) -> tuple[_Selected, ...]:
        """The rules under these circumstances; a run has few, and asks the policy once for each."""
        if around not in self._selections:
            chosen, checks = self.options.policy, self.book.checks
            self._selections[around] = tuple(
                _Selected(
                    rule,
                    checks[rule.id],
                    level,
                    None if why_not is None else Result(rule.id, Outcome.NOT_APPLICABLE, level, why_not, rule.covers),
                    Result(rule.id, Outcome.PASS, level, None, rule.covers),
                    chosen.options(rule.id),
                )
                for rule, level, why_not in policy.select(chosen, self.book.rules.values(), around)
            )
        return self._selections[around]

    def _program(self, around: policy.Circumstances, roots: Roots) -> _Program:
        """The program for the rules that run, from these roots; made once for each combination."""
        key = (frozenset(roots), around)
        program = self._programs.get(key)
        if program is None:
            selected = self._selected(around)
            running = tuple((position, one) for position, one in enumerate(selected) if one.skipped is None)
            wanted = dict.fromkeys(need.fact for _, one in running for need in one.check.needs)
            plan = self.book.planner.plan([*wanted, *self.shown.get(around.kind, ())], roots)
            checks = [(position, one.check) for position, one in running]
            recall = Recall(plan, checks, is_personal) if around.kind in _IN_A_ROW else None
            program = self._programs[key] = _Program(plan, tuple(one.skipped for one in selected), running, recall)
        return program


_PASS, _NOT_APPLICABLE = Outcome.PASS, Outcome.NOT_APPLICABLE  # read for every rule of every message


def _domain_name(domain: str) -> str:
    """The name as lower-case A-labels. Raises InputError."""
    try:
        ascii_name = to_ascii(domain)
    except BadName as error:
        raise InputError(f"not a domain name: {error}") from None
    if (
        any(character.isspace() for character in domain.strip())
        or "." not in ascii_name
        or ascii_name.replace(".", "").isdigit()
    ):
        raise InputError("not a domain name")
    return ascii_name


def _in_file(result: Result, name: str, place: Callable[[Where], Where] | None) -> Result:
    """Name the file in every place that has a line and no file of its own: checks see octets, not files."""
    if not result.problems and result.where is msgspec.UNSET:
        return result

    def named(where: Where) -> Where:
        if where.line is None or where.file is not None:
            return where
        return msgspec.structs.replace(where, file=name) if place is None else place(where)

    def placed(problem: Problem) -> Problem:
        return problem if problem.where is None else msgspec.structs.replace(problem, where=named(problem.where))

    where = named(result.where) if isinstance(result.where, Where) else result.where
    problems = tuple(map(placed, result.problems))
    if place is not None and len(problems) > 1:
        problems = tuple(_once(result.problems, problems))
    return msgspec.structs.replace(result, problems=problems, where=where)


def _once(there: Iterable[Problem], placed: Iterable[Problem]) -> Iterator[Problem]:
    """Problems in several places of a message that are one place of its template: a loop repeats it, whatever the values."""
    first: dict[Where, Where | None] = {}
    for before, after in zip(there, placed, strict=True):
        exact = after.where is not None and after.where.line is not None and not after.where.approximate
        if not exact or after.where is None or first.setdefault(after.where, before.where) == before.where:
            yield after
