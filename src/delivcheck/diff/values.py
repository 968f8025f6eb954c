"""What a DNS change alters, as values: the JSON of schema `delivcheck-diff/1`, as `model` has that of a report.

Every part holds differences only: None or an empty list means that nothing there changes. What could not be told on a side is
`unknown` there with its reason, and a difference to it is undecided, never better or worse.
"""

from typing import Literal

from msgspec import Struct

from ..model import DnsUse, Level, Outcome, Outlook, Problem, Verdict

Direction = Literal["better", "worse", "other", "undecided"]


class RuleChange(Struct, frozen=True):
    """A rule that comes out otherwise, or fails with other problems. `reason` is why it is unknown or not applicable now."""

    rule: str
    change: Direction
    before: Outcome
    after: Outcome
    level: Level  # after the change, before it for what fails no longer
    appeared: tuple[Problem, ...] = ()
    disappeared: tuple[Problem, ...] = ()
    reason: str | None = None


class OutlookChange(Struct, frozen=True):
    """A mailbox provider that would do something else."""

    provider: str
    change: Direction
    before: Outlook
    after: Outlook


class Networks(Struct, frozen=True):
    """A set of addresses as the fewest networks, in CIDR notation; `addresses` counts them by IP version.

    `left_out` networks beyond the limit are counted, not listed.
    """

    ipv4: tuple[str, ...] = ()
    ipv6: tuple[str, ...] = ()
    addresses: tuple[int, int] = (0, 0)
    left_out: int = 0


class SpfSide(Struct, frozen=True):
    """SPF at the audited domain on one side. The limits on `lookups` and `voids` are 10 and 2 (RFC 7208 section 4.6.4).

    `permerror` is why the evaluation ends early for addresses not matched by then; `unknown` what DNS did not answer.
    """

    record: str | None = None
    lookups: int | None = None
    voids: int | None = None
    permerror: str | None = None
    unknown: tuple[str, ...] = ()


class SpfChange(Struct, frozen=True):
    """SPF: the authorised addresses as an exact set difference.

    `complete` is false while something on either side is unknown: then `added` and `removed` are those of what is known.
    `beyond` terms authorise by something else than addresses (exists:, ptr, macros), so they are compared as they are written.
    """

    before: SpfSide
    after: SpfSide
    added: Networks
    removed: Networks
    complete: bool = True
    beyond_added: tuple[str, ...] = ()
    beyond_removed: tuple[str, ...] = ()
    beyond_kept: tuple[str, ...] = ()


class DmarcSide(Struct, frozen=True):
    """The DMARC policy in effect on one side, after sp, np and t=y (RFC 9989 section 4.10.1); None where no DMARC applies.

    `policy` is for the domain itself, `subdomains` for those below that have no record of their own, `nonexistent` for names
    below that do not exist. `pct` is RFC 7489's share, which RFC 9989 removed. `record_at` is the domain whose record applies.
    """

    policy: str | None = None
    subdomains: str | None = None
    nonexistent: str | None = None
    testing: bool = False
    pct: str | None = None
    record: str | None = None
    record_at: str | None = None
    organizational_domain: str | None = None
    unknown: tuple[str, ...] = ()


class DmarcChange(Struct, frozen=True):
    """The DMARC policy or the organizational domain changes. `weaker`: failing mail is treated less strictly somewhere."""

    before: DmarcSide
    after: DmarcSide
    weaker: bool = False


class KeySide(Struct, frozen=True):
    """A DKIM key on one side: usable, revoked, invalid, absent or unknown."""

    state: str
    algorithm: str | None = None
    bits: int | None = None


class KeyChange(Struct, frozen=True):
    """A selector whose key appears, vanishes, or becomes another one."""

    selector: str
    before: KeySide
    after: KeySide


class MxSide(Struct, frozen=True):
    """Where mail goes on one side: "10 mx.example.org", preference first; "0 ." says that the domain takes none (RFC 7505)."""

    hosts: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


class MxChange(Struct, frozen=True):
    """The domain's MX changes."""

    before: MxSide
    after: MxSide


class RecordChange(Struct, frozen=True):
    """A record set that the audit read and that changes: each value as text. Only the values that go and come are listed.

    `before` and `after` say whether the set was there: found, absent, or unknown with the reason.
    """

    name: str
    type: str
    before: str
    after: str
    removed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


class ZoneUsed(Struct, frozen=True):
    """A file that was laid over the DNS: `record_sets` in it, `unread` changes of it that could not be laid over."""

    file: str
    kind: str
    record_sets: int
    whole: bool = False
    unread: tuple[str, ...] = ()


class Diff(Struct, frozen=True, kw_only=True):
    """What a DNS change would alter for one domain; `run.diff_to_json` writes it.

    `verdict` is fail when something gets worse (a rule at or above `--fail-on`, or a provider's outlook), unknown when that
    could not be told, else pass. `same` is the number of rules that come out as before.
    """

    schema: str = "delivcheck-diff/1"
    version: str
    domain: str
    policy: str
    verdict: Verdict
    elapsed_ms: int
    dns: DnsUse
    zones: tuple[ZoneUsed, ...]
    records: tuple[RecordChange, ...]
    rules: tuple[RuleChange, ...]
    same: int
    undecided: tuple[str, ...]
    spf: SpfChange | None
    dmarc: DmarcChange | None
    dkim: tuple[KeyChange, ...]
    mx: MxChange | None
    providers: tuple[OutlookChange, ...]

    @property
    def anything(self) -> bool:
        """Whether the change alters anything at all that an audit sees."""
        return bool(
            self.records or self.rules or self.spf or self.dmarc or self.dkim or self.mx or self.providers or self._unread
        )

    @property
    def _unread(self) -> bool:
        return any(zone.unread for zone in self.zones)
