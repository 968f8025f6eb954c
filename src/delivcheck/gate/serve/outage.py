"""Knows whether DNS answers about our own domains, for the log and for /ready, and keeps asking until it does again."""

import asyncio
import time
from collections import OrderedDict
from typing import Any

from ...config import Config
from ...model import Question
from ...net.lasting import AT_ONCE, Instead, Lasting
from ..ports import Watch
from ..settings import Gate

MOST = 1_000  # domains that mail was sent from; who has more is told of the others when their mail has to wait
NAMED = 5  # domains in one line
AGAIN = 3.0  # seconds between two tries whether it is over: 20 questions, which a name server of ours can bear
FIRST = 100  # domains of the configuration that are asked for at the start


class Outage:
    """A `Watch` that learns from the mail that passes which domains are ours, beside those of the configuration."""

    def __init__(self, config: Config, gate: Gate, dns: Lasting, watch: Watch) -> None:
        self._dns, self._watch = dns, watch
        of_clients = (domain for one in gate.credentials.values() for domain in one.domains)
        self._configured = dict.fromkeys([*config.owned_domains, *(key.domain for key in gate.keys), *of_clients])
        self._keys = [f"{key.selector}._domainkey.{key.domain}" for key in gate.keys]
        self._sending: OrderedDict[str, None] = OrderedDict()
        self._served = 0
        self._asked = time.monotonic()

    def __call__(self, event: str, /, **fields: Any) -> None:
        """Note one event."""
        if event == "message" and fields.get("action") == "send" and not fields.get("bypass"):
            domain = str(fields.get("mail_from", "")).rpartition("@")[2].lower()
            if domain and domain not in self._configured:
                self._sending[domain] = None
                self._sending.move_to_end(domain)
                if len(self._sending) > MOST:
                    self._sending.popitem(last=False)

    async def ask_first(self) -> None:
        """Ask what mail of our domains will be judged by: it is there then, and we know at once where it is not."""
        names = [*self._keys]
        for domain in list(self._configured)[:FIRST]:
            names += [domain, f"_dmarc.{domain}"]
        due = list(dict.fromkeys(names))
        for start in range(0, len(due), AT_ONCE):
            await asyncio.gather(*(self._dns.ask(name, "TXT") for name in due[start : start + AT_ONCE]))

    def look(self) -> None:
        """Ask again what was not answered."""
        ours = self._ours()
        if time.monotonic() - self._asked >= AGAIN:
            self._asked = time.monotonic()
            self._dns.ask_again(ours)
        if self._dns.stale_served > self._served:
            self._watch("dns", what="served", count=self._dns.stale_served - self._served)
            self._served = self._dns.stale_served

    def state(self) -> tuple[str, list[str]] | None:
        """How DNS of our domains is, and of which it is so: "lost", else "stale"; ("", []) where it answers.

        None until it has answered, or failed to: who begins in an outage must not call it over.
        """
        ours = self._ours()
        if lost := self._lost(ours):
            return "lost", lost
        stale = list(dict.fromkeys(domain for question, domain in ours.items() if self._of(question) is Instead.OLD))
        if stale:
            return "stale", stale
        return ("", []) if self._dns.news or self._dns.renewals else None

    def lacking(self) -> list[str]:
        """In words, the domains whose mail has to wait."""
        lost = self._lost(self._ours())
        more = [f"DNS of {len(lost) - NAMED} more of our domains does not answer"] if len(lost) > NAMED else []
        return [f"DNS of {domain} does not answer" for domain in lost[:NAMED]] + more

    def _ours(self) -> dict[Question, str]:
        """The unanswered questions that are about our domains, each with the domain."""
        found = {}
        for question in self._dns.unanswered:
            domain = self._domain(question.name)
            if domain is not None:
                found[question] = domain
        return found

    def _domain(self, name: str) -> str | None:
        """The domain of ours that a name belongs to, the nearest one."""
        while name:
            if name in self._configured or name in self._sending:
                return name
            name = name.partition(".")[2]
        return None

    def _of(self, question: Question) -> Instead | None:
        return self._dns.unanswered.get(question)

    def _lost(self, ours: dict[Question, str]) -> list[str]:
        """The domains of which a record that every mail is judged by is neither known nor to be had.

        Keys are those that we sign with: that another one is not known keeps only the mail that names it.
        """
        return list(
            dict.fromkeys(
                domain
                for question, domain in ours.items()
                if self._of(question) in {Instead.NOTHING, Instead.ABSENT}
                and question.type == "TXT"
                and question.name in {domain, f"_dmarc.{domain}", *self._keys}
            )
        )
