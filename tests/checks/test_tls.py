"""What a page cannot show of the TLS rules: records that no zone file can hold."""

from delivcheck.checks.tls import unusable_dane
from delivcheck.engine import run
from delivcheck.facts.dane import DaneRecords, HostTlsa
from delivcheck.facts.dnssec import ResolverValidates
from delivcheck.model import Outcome


def test_a_tlsa_record_of_two_octets_is_none():
    r"""What DNS software cannot read comes as RFC 3597 writes it: `\# 2 0301`."""
    dane = DaneRecords((HostTlsa("mx.example.org", "_25._tcp.mx.example.org", (r"\# 2 0301",), secure=True),))

    judged = run(unusable_dane, {DaneRecords: dane, ResolverValidates: ResolverValidates(True)})

    assert judged.outcome is Outcome.FAIL
    assert "three numbers and an even number of hexadecimal digits are wanted" in judged.problems[0].message
