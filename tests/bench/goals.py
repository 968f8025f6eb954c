"""What `poe bench` is to show: every line of issue 8's "It must hold", as rows, in its order.

A module measures a row by its id, see `tests.bench.table`; what none measures stands in the table as not measured, with the reason.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """A row that must be in the table. `least` and `most` bound the figure; with neither it is there to be seen.

    With a `peer` the figure is a ratio, "so many times better"; where `cost` is set, it is "so many times its cost".
    """

    id: str
    what: str
    unit: str
    module: str
    peer: str = ""
    least: float | None = None
    most: float | None = None
    cost: bool = False

    def met(self, figure: float) -> bool:
        """Whether a figure is within the bounds."""
        return (self.least is None or figure >= self.least) and (self.most is None or figure <= self.most)


DNS, MESSAGES = "audits a second", "messages per CPU-second"
AUDIT = "one domain audit at 20 ms DNS latency, all DNS rules on"
BATCH = "200 domains at 20 ms, one core, all rules"
CHECK = "message check, whole rule book"
POSTFIX = "added behind Postfix, 30 KB, the same mail"

GOALS = (
    # sequential rounds: the delay line's count less the longest chain that the fixture computes
    Goal("domain/rounds", f"{AUDIT}: rounds beyond the longest chain", "rounds", "domains", most=0),
    Goal("domain/checkdmarc", AUDIT, "seconds", "domains", "checkdmarc", least=12),
    Goal("domain/cli/checkdmarc", f"{AUDIT}: whole CLI process", "seconds", "domains", "checkdmarc", least=8),
    Goal("domains/rate", BATCH, DNS, "domains", least=200),
    Goal("domains/checkdmarc", BATCH, DNS, "domains", "checkdmarc, 32 threads", least=10),
    Goal("domains/questions", f"{BATCH}: DNS questions", "questions a domain", "domains", most=25),
    Goal("domains/cpu", f"{BATCH}: processor", "ms CPU a domain", "domains", most=4),
    Goal("dkim/verify/5k/dkimpy", "DKIM verify, 5 KB", MESSAGES, "dkim", "dkimpy", least=5),
    Goal("dkim/verify/30k/dkimpy", "DKIM verify, 30 KB", MESSAGES, "dkim", "dkimpy", least=8),
    Goal("dkim/verify/200k/dkimpy", "DKIM verify, 200 KB", MESSAGES, "dkim", "dkimpy", least=10),
    Goal("dkim/verify/5k/libopendkim", "DKIM verify, 5 KB", MESSAGES, "dkim", "libopendkim", least=1.5),
    Goal("dkim/verify/30k/libopendkim", "DKIM verify, 30 KB", MESSAGES, "dkim", "libopendkim", least=1.5),
    Goal("dkim/verify/200k/libopendkim", "DKIM verify, 200 KB", MESSAGES, "dkim", "libopendkim", least=1.5),
    Goal("dkim/verify/30k/mailauth", "DKIM verify, 30 KB", MESSAGES, "dkim", "mailauth", least=2.5),
    Goal("dkim/sign/30k/dkimpy", "DKIM sign, 30 KB", MESSAGES, "dkim", "dkimpy", least=15),
    Goal("check/5k/rspamd", f"{CHECK}, 5 KB", MESSAGES, "filters", "rspamd", least=10),
    Goal("check/30k/rspamd", f"{CHECK}, 30 KB", MESSAGES, "filters", "rspamd", least=10),
    Goal("check/5k/spamassassin", f"{CHECK}, 5 KB", MESSAGES, "filters", "SpamAssassin", least=300),
    Goal("check/30k/spamassassin", f"{CHECK}, 30 KB", MESSAGES, "filters", "SpamAssassin", least=300),
    Goal("check/30k/cpu", f"{CHECK}, 30 KB: processor", "ms CPU", "filters", most=1),
    Goal("check/rule", f"{CHECK}, 30 KB: the costliest single rule", "µs", "judging", most=50),
    Goal("check/linear", f"{CHECK}: cost an octet at 25 MB beside 1 MB", "ratio", "judging", most=1.25),
    Goal("check/memory", f"{CHECK}: memory beyond the start, beside the message's size", "ratio", "judging", most=3),
    Goal("gate/no-op", "gate over SMTP to a sink, 30 KB, journal on: no-op policy", MESSAGES, "gate", least=1000),
    Goal("gate/rules", "gate over SMTP to a sink, 30 KB, journal on: whole rule book", MESSAGES, "gate", least=500),
    Goal("gate/postfix/rspamd", POSTFIX, "ms", "gate", "rspamd", most=1, cost=True),
    Goal("gate/postfix/opendkim", POSTFIX, "ms", "gate", "OpenDKIM and OpenDMARC", most=1, cost=True),
    Goal("gate/p99/250", "gate over SMTP: p99 added at 250 messages a second", "ms", "gate", most=30),
    Goal("gate/p99/250/dns-down", "… while DNS is down, facts warm", "ms", "gate", most=100),
    Goal("gate/false-defers", "… false defers for own domains", "messages", "gate", most=0),
    Goal("start/help", "delivcheck --help", "ms, whole process", "processes", "bare Python", most=5, cost=True),
    Goal("start/hook", "hook through the daemon, 30 KB", "ms, whole process", "processes", "bare Python", most=2, cost=True),
)
