"""Our values to DNS records and messages and back."""

import dns.exception
import dns.message
import dns.name
import dns.rdata
import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.model import Failed, Failure, Found, NoData, NoSuchName
from delivcheck.net import plain, wire
from delivcheck.net.response import Query, read
from tests.net.values import VALUES, asked, names


@given(st.sampled_from(sorted(VALUES)).flatmap(lambda type_: st.tuples(st.just(type_), VALUES[type_])))
def test_a_value_makes_a_record_that_has_this_value(case):
    type_, value = case
    assert wire.value(wire.rdata_of(type_, value)) == value


@given(names)
def test_a_name_comes_back_from_the_wire_as_it_went(name):
    octets = wire.name_octets(name)
    assert wire.name_text(dns.name.from_wire(octets, 0)[0]) == name


@given(st.text(max_size=80))
def test_any_text_is_a_name_or_is_not(text):
    octets = wire.name_octets(text)
    assert octets is None or len(octets) <= 255


@given(asked())
def test_an_answer_goes_through_a_message_unharmed(case):
    # Once read by our own reader, once by dnspython's, which knows nothing of it.
    question, answer = case
    query = Query(1, wire.name_octets(question.name), wire.type_code(question.type))
    request = dns.message.from_wire(query.octets())
    if isinstance(answer, Failed) and answer.kind is Failure.TIMEOUT:
        with pytest.raises(dns.exception.Timeout):
            wire.reply(request, answer)
        return
    octets = wire.reply(request, answer).to_wire()
    again = read(octets, query)
    if isinstance(answer, Failed):
        assert again.kind is answer.kind
    elif isinstance(answer, Found):
        assert again == answer
        section = [rrset for rrset in dns.message.from_wire(octets).answer if rrset.rdtype == query.code]
        assert plain.as_set(wire.value(rdata) for rdata in section[-1]) == answer.records
    else:
        assert type(again) is type(answer)


def test_what_an_alias_leads_to_goes_through_a_message_too():
    request = dns.message.make_query("a.test", "TXT")
    message = wire.reply(request, NoSuchName(60, ("b.test", "c.test")))
    assert [rrset.to_text() for rrset in message.answer] == ["a.test. 60 IN CNAME b.test.", "b.test. 60 IN CNAME c.test."]
    assert message.rcode() == dns.rcode.NXDOMAIN
    assert wire.reply(request, NoData(60)).answer == []


def test_the_size_a_request_offers_does_not_count():
    request = dns.message.make_query("a.test", "TXT", use_edns=0, payload=512)
    assert len(wire.reply(request, Found(((b"x" * 255,) * 16,))).to_wire()) > 4000


def test_a_bogus_answer_says_so_only_to_whom_it_can():
    for edns, errors in ((0, [6]), (-1, [])):
        message = wire.reply(dns.message.make_query("a.test", "TXT", use_edns=edns), Failed(Failure.BOGUS))
        assert (message.rcode(), [option.code for option in message.options]) == (dns.rcode.SERVFAIL, errors)


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        ("A", "192.0.2.1", "192.0.2.1"),
        ("AAAA", "2001:DB8:0::1", "2001:db8::1"),
        ("MX", "10 Mail.Example.", (10, "mail.example")),
        ("MX", "10 mail.example", (10, "mail.example")),
        ("MX", "0 .", (0, "")),
        ("TXT", '"a b" c', (b"a b", b"c")),
        ("PTR", "host.example.", "host.example"),
        ("TLSA", "3 1 0 AB CD", "3 1 0 abcd"),
    ],
)
def test_presentation_form_is_read(type_, text, value):
    assert wire.parse_value(type_, text) == value


@pytest.mark.parametrize(
    ("type_", "text"), [("A", "x"), ("MX", "mail.example."), ("NOPE", "x"), ("PTR", "a..b"), ("TXT", '"a')]
)
def test_what_is_no_record_is_an_error(type_, text):
    with pytest.raises(ValueError, match="record"):
        wire.parse_value(type_, text)


@given(
    st.sampled_from(["A", "AAAA", "MX", "TXT", "SOA", "NS", "CAA", "TLSA", "SRV", "LOC", "NAPTR", "TYPE999"]),
    st.text(max_size=40),
)
def test_any_text_is_a_value_or_the_one_error(type_, text):
    try:
        wire.parse_value(type_, text)
    except ValueError:
        return


@given(st.binary(min_size=1, max_size=300), st.binary(min_size=1, max_size=60))
def test_a_question_is_what_dnspython_reads_of_it(name, more):
    text = ".".join(label.hex()[:40] for label in (name[:20], more) if label)
    message = dns.message.from_wire(Query(77, wire.name_octets(text), 16).octets())
    assert (message.id, message.question[0].name.to_text(), message.question[0].rdtype) == (77, text + ".", 16)
    assert (message.edns, message.payload) == (0, 1232)
    assert message.flags == dns.flags.RD | dns.flags.AD
