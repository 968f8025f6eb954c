"""octoDNS files: what they say, what stands for the whole zone, and what is refused in one line."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.model import Failed, Found
from delivcheck.net import octodns
from delivcheck.net.names import Alias
from delivcheck.net.octodns import parse
from delivcheck.net.zone import ZoneError

ZONE = r"""
---
? ''
: - octodns: {cloudflare: {proxied: true}}
    type: ALIAS
    value: lb.example.net.
  - type: MX
    values:
    - exchange: mx1.example.org.
      preference: 10
    - priority: 20
      value: mx2.example.org.
  - type: TXT
    ttl: 300
    values:
    - v=spf1 include:_spf.example.org -all
    - google-site-verification=x
  - type: CAA
    value: {flags: 0, tag: issue, value: ca.example}
'*':
  type: CNAME
  value: www.example.org.
_dmarc: {type: TXT, value: 'v=DMARC1\; p=reject\; rua=mailto:d@example.org'}
_25._tcp.mx1:
  type: TLSA
  value: {certificate_usage: 3, selector: 1, matching_type: 1, certificate_association_data: 00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff}
_sip._tcp: {type: SRV, value: {priority: 1, weight: 2, port: 5060, target: sip.example.org.}}
bücher: {type: AAAA, value: '2001:db8::1'}
ignored:
  octodns: {ignored: true}
  type: A
  value: 192.0.2.9
loc: {type: LOC, value: {lat_degrees: 1}}
no: {type: A, values: [192.0.2.1, 192.0.2.2]}
s1._domainkey: &key
  type: TXT
  ttl: 60
  value: '"v=DKIM1; k=rsa; " "p=MIIB"'
s2._domainkey:
  <<: *key
  ttl: 5
sub: {type: NS, values: [ns1.example.net.]}
web:
  type: A
  geo: {EU: [192.0.2.3]}
  value: 192.0.2.4
"""


def records(text, file="example.org.yaml"):
    return {" ".join(key): held for key, held in parse(text, file).records.items()}


def test_every_type_an_audit_reads():
    found = records(ZONE)
    values = {key: held.records for key, held in found.items() if isinstance(held, Found)}
    assert values == {
        "example.org MX": ((10, "mx1.example.org"), (20, "mx2.example.org")),
        "example.org TXT": ((b"google-site-verification=x",), (b"v=spf1 include:_spf.example.org -all",)),
        "example.org CAA": ('0 issue "ca.example"',),
        "*.example.org CNAME": ("www.example.org",),
        "_dmarc.example.org TXT": ((b"v=DMARC1; p=reject; rua=mailto:d@example.org",),),
        "_25._tcp.mx1.example.org TLSA": (f"3 1 1 {'00ff' * 16}",),
        "_sip._tcp.example.org SRV": ("1 2 5060 sip.example.org.",),
        "xn--bcher-kva.example.org AAAA": ("2001:db8::1",),
        "no.example.org A": ("192.0.2.1", "192.0.2.2"),
        "s1._domainkey.example.org TXT": ((b"v=DKIM1; k=rsa; p=MIIB",),),
        "s2._domainkey.example.org TXT": ((b"v=DKIM1; k=rsa; p=MIIB",),),
        "sub.example.org NS": ("ns1.example.net",),
    }
    assert (found["s1._domainkey.example.org TXT"].ttl, found["s2._domainkey.example.org TXT"].ttl) == (60, 5)
    assert found["example.org A"] == found["example.org AAAA"] == Alias("lb.example.net", 3600, flat=True)
    assert {key for key, held in found.items() if isinstance(held, Failed)} == {"loc.example.org LOC", "web.example.org A"}


def test_a_long_value_is_cut_into_character_strings():
    (value,) = records(f"x: {{type: TXT, value: {'a' * 600}}}")["x.example.org TXT"].records
    assert [len(string) for string in value] == [255, 255, 90]


@pytest.mark.parametrize(
    ("file", "origin", "whole"),
    [
        ("config/example.org.yaml", "example.org", True),
        ("config/Example.Org..yaml", "example.org", True),
        ("example.org.yml", "example.org", True),
        ("2.0.192.in-addr.arpa.yaml", "2.0.192.in-addr.arpa", True),
        ("config/example.org./www.yaml", "example.org", False),
        ("config/example.org/$example.org.yaml", "example.org", False),
    ],
)
def test_the_file_names_the_zone_and_is_the_whole_of_it_unless_it_is_split(file, origin, whole):
    zone = parse("www: {type: A, value: 192.0.2.1}", file)
    assert (zone.origin, zone.whole, list(zone.records)) == (origin, whole, [(f"www.{origin}", "A")])


def test_what_the_dns_provider_keeps_and_what_is_ignored_is_left_to_the_dns():
    zone = parse(ZONE, "example.org.yaml")
    assert {("example.org", "SOA"), ("example.org", "NS"), ("ignored.example.org", "A")} <= zone.open
    assert ("example.org", "NS") not in parse("'': {type: NS, value: ns.example.net.}", "example.org.yaml").open


def test_an_origin_may_be_given():
    assert parse("a: {type: A, value: 192.0.2.1}", origin="Example.ORG.").origin == "example.org"
    with pytest.raises(ZoneError, match="no domain name"):
        parse("a: {type: A, value: 192.0.2.1}", origin="a..b")


BOMB = "a0: &a0 [x,x,x,x]\n" + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- a\n", ":1: no octoDNS zone"),
        ("a\n", ":1: no octoDNS zone"),
        ("a: 1\n", ":1: 'a' is no octoDNS record"),
        ("a: {type: [A]}\n", ":1: 'a' is no octoDNS record"),
        ("a: {type: A}\n", ":1: 'a' A: it has neither value nor values"),
        ("a: {type: A, value: 192.0.2.300}\n", ":1: 'a' A: '192.0.2.300' is no A record"),
        ("a: {type: A, value: [[x]]}\n", "a list or mapping stands where one value is due"),
        ("a: {type: A, ttl: -1, value: 192.0.2.1}\n", "the ttl '-1' is no number"),
        ("a: {type: MX, value: x}\n", "its values are mappings"),
        ("a: {type: MX, value: {preference: 1}}\n", "the field 'exchange' is missing"),
        ("a: {type: FOO, value: x}\n", "'FOO' is no record type"),
        ("a: {type: ANY, value: x}\n", "ANY is no type that a record has"),
        ("a..b: {type: A, value: 192.0.2.1}\n", "is no domain name"),
        (f"{'x' * 64}: {{type: A, value: 192.0.2.1}}\n", "is no domain name"),
        ("a: [{type: A, value: 192.0.2.1}, {type: A, value: 192.0.2.2}]\n", "has a second A record"),
        ("a: [{type: A, value: 192.0.2.1}, {type: CNAME, value: b.}]\n", "a.example.org has a A record beside a CNAME"),
        ("a: {type: A, value: 192.0.2.1}\na: {type: A, value: 192.0.2.1}\n", ":2: the key 'a' stands here a second time"),
        ("--- {}\n--- {}\n", ":2: a second document begins"),
        ("a: &a\n  b: *a\n", ":2: the alias *a refers to nothing that ended before it"),
        ("a: *b\n", "the alias *b refers to nothing"),
        ("a: &v [*v]\n", "the alias *v refers to nothing"),
        (BOMB, "is no octoDNS record"),
        ("a: " + "[" * 100_000, ":1: more than 50 levels"),
        ("a: !!python/object/apply:os.system [id]\n", ":1: Python objects are not read here"),
        ("a: !include b.yaml\n", ":1: the tag !include is not read here"),
        ("? [a]\n: b\n", ":1: a key that is no text"),
        ("a: {<<: b}\n", ":1: << merges a mapping"),
        ("a: [\n", "no YAML"),
        ("a: \0\n", "no YAML"),
        ("a: '\ud800'\n", "no YAML"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line_with_its_place(text, says):
    with pytest.raises(ZoneError) as caught:
        parse(text, "example.org.yaml")
    assert says in str(caught.value)
    assert str(caught.value).startswith("example.org.yaml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("file", ["plan.yaml", "dns.plan.yaml", "zone"])
def test_a_file_that_is_named_after_no_zone_is_told(file):
    with pytest.raises(ZoneError, match="named after none"):
        parse("a: {type: A, value: 192.0.2.1}", file)


def test_aliases_multiply_neither_values_nor_merged_fields_without_end(monkeypatch):
    monkeypatch.setattr(octodns, "MAX_VALUES", 100)
    with pytest.raises(ZoneError, match="more than 100 values"):
        parse(
            "a: &a {type: TXT, values: [1,2,3,4,5,6,7,8,9,0]}\n" + "".join(f"n{n}: *a\n" for n in range(20)), "example.org.yaml"
        )
    monkeypatch.setattr(octodns, "MAX_NODES", 1000)
    fields = ", ".join(f"k{n}: v" for n in range(100))
    merging = "".join(f"n{n}: {{<<: *a}}\n" for n in range(20))
    with pytest.raises(ZoneError, match="merged ones counted again"):
        parse(f"a: &a {{type: TXT, value: x, {fields}}}\n{merging}", "example.org.yaml")


def test_aliases_of_a_large_value_do_not_fill_memory():
    """500 KB with 10,000 aliases of one TXT took 2.45 GB."""
    text = "base: {type: TXT, value: &a " + "v" * 250_000 + "}\n"
    for more in (
        "".join(f"n{n}: {{type: TXT, value: *a}}\n" for n in range(100)),
        f"x: {{type: TXT, values: [{'*a,' * 100}]}}\n",
    ):
        with pytest.raises(ZoneError, match="aliases counted again"):
            parse(text + more, "example.org.yaml")
    text = "base: {type: CAA, value: &a {tag: issue, value: " + "v" * 250_000 + "}}\n"
    with pytest.raises(ZoneError, match="aliases counted again"):
        parse(text + f"x: {{type: CAA, values: [{'*a,' * 100}]}}\n", "example.org.yaml")
    shared = (
        "base: {type: TXT, value: &a " + "v" * 200 + "}\n" + "".join(f"n{n}: {{type: TXT, value: *a}}\n" for n in range(1000))
    )
    assert len(parse(shared, "example.org.yaml").records) == 1001


def test_a_file_that_is_too_long_is_not_read():
    with pytest.raises(ZoneError, match="longer than"):
        parse("#" * (octodns.MAX_YAML + 1), "example.org.yaml")
    with pytest.raises(ZoneError, match="a TXT record of"):
        parse(f"a: {{type: TXT, value: {'x' * (octodns.MAX_TEXT + 1)}}}", "example.org.yaml")


def test_without_pyyaml_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ZoneError, match=r"needs PyYAML: pip install 'delivcheck\[octodns\]'"):
        parse("a: {type: A, value: 192.0.2.1}", "example.org.yaml")


@pytest.mark.parametrize("text", ["", "---\n", "# nothing\n", "{}\n"])
def test_an_empty_file_is_an_empty_zone(text):
    assert records(text) == {}


PIECES = [
    "a",
    "''",
    ": ",
    "\n",
    "  ",
    "- ",
    "type: TXT",
    "value: x",
    "{",
    "}",
    "[",
    "]",
    "&a ",
    "*a",
    "<<",
    "|",
    ">",
    '"',
    "'",
    "!!",
    "\\;",
    "? ",
    "---",
    "%",
    "ttl: 1",
]


@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=25).map("".join)))
def test_it_returns_or_raises_the_one_declared_error(text):
    said = ""
    try:
        parse(text, "example.org.yaml")
    except ZoneError as error:
        said = str(error)
    assert "\n" not in said
