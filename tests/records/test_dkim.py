"""DKIM key records and signatures as text, RFC 6376 sections 3.5 and 3.6.1."""

import base64
import re
from contextlib import suppress

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.records.dkim import MAX_SIGNED_NAMES, DkimSyntaxError, key_name, parse_key, parse_signature, select
from tests.keys import public

RSA = public("rsa1024")
ED = public("ed25519")
SIGNATURE = "v=1; a=rsa-sha256; d=example.org; s=s1; h=from:to; bh=AAAA; b=BBBB"


def without(name):
    return "; ".join(tag for tag in SIGNATURE.split("; ") if not tag.startswith(f"{name}="))


# --- keys --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind", "bits"),
    [
        (f"v=DKIM1; k=rsa; p={RSA}", "rsa", 1024),
        (f"p={RSA}", "rsa", 1024),  # v= and k= are optional (T026)
        (f"k=rsa; p={RSA};", "rsa", 1024),
        (f"v=DKIM1; p={RSA[:70]} {RSA[70:140]}\t{RSA[140:]}", "rsa", 1024),  # white space inside p= (T025)
        (f"v=DKIM1; p={public('rsa1024', bare=True)}", "rsa", 1024),  # the bare RSAPublicKey (T027)
        (f"p={public('rsa512')}", "rsa", 512),
        (f"p={public('rsa1536')}", "rsa", 1536),
        (f"p={public('rsa2048')}", "rsa", 2048),
        (f"v=DKIM1; k=ed25519; p={ED}", "ed25519", 256),
        ("v=DKIM1; k=ml-dsa; p=AAAA", "ml-dsa", None),  # not ours, and no fault
    ],
)
def test_a_key_is_measured_from_what_it_holds(text, kind, bits):
    key = parse_key(text)
    assert (key.kind, key.bits, key.revoked) == (kind, bits, False)
    assert key.text == text


def test_defaults_are_those_of_the_rfc():
    key = parse_key(f"p={RSA}")
    assert (key.hashes, key.services, key.flags, key.notes) == (None, ("*",), (), None)
    assert key.for_email
    assert not key.testing
    assert not key.strict_identity
    assert key.span("k") is None
    assert key.span("p") == (0, len(RSA) + 2)


def test_every_tag_of_a_key_is_read():
    key = parse_key(f"v=DKIM1; h=sha1 : sha256; k=rsa; n=ours; s=email : web; t=y:s; p={RSA}; x=unknown")
    assert key.hashes == ("sha1", "sha256")
    assert key.services == ("email", "web")
    assert key.flags == ("y", "s")
    assert key.notes == "ours"
    assert key.for_email
    assert key.testing
    assert key.strict_identity


@pytest.mark.parametrize(
    ("services", "for_email"),
    [("*", True), ("email", True), ("web:email", True), ("tlsrpt", False), ("other:*", True), ("", True)],
)
def test_s_is_a_list(services, for_email):
    assert parse_key(f"s={services}; p={RSA}").for_email is for_email


@pytest.mark.parametrize("text", ["v=DKIM1; p=", "p=;", "v=DKIM1; k=rsa; p= ; t=y", "k=ed25519; p="])
def test_an_empty_p_is_a_revoked_key(text):
    key = parse_key(text)
    assert key.revoked
    assert key.bits is None


EC_KEY = base64.b64encode(
    ec.derive_private_key(7, ec.SECP256R1())
    .public_key()
    .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
).decode()


@pytest.mark.parametrize(
    ("text", "message", "at"),
    [
        ("v=DKIM1; k=rsa", "there is no p=", ""),
        (f"v=DKIM2; p={RSA}", "v= is not exactly DKIM1", "v=DKIM2"),
        (f"v=dkim1; p={RSA}", "v= is not exactly DKIM1", "v=dkim1"),
        (f"k=rsa; v=DKIM1; p={RSA}", "v= is not the first tag", "v=DKIM1"),
        (f"v=DKIM1\\; k=rsa\\; p={RSA}", "a backslash stands before the semicolon", "\\;"),
        ("p=MIG%", "p= has the character '%', which is not base64", "p=MIG%"),
        ("p=MIG", "p= is not whole base64: characters are missing", "p=MIG"),
        (f"p={RSA[:100]}", "p= is cut off: 75 octets of 162", f"p={RSA[:100]}"),
        (f"p={public('rsa512')[:-4]}", "p= is cut off: 93 octets of 94", None),
        ("p=MAAA", "p= is no RSA public key", "p=MAAA"),
        ("p=MA==", "p= is no RSA public key", "p=MA=="),
        ("p=AAAA", "p= is no RSA public key", "p=AAAA"),
        ("p=MP////////8=", "p= is no RSA public key", None),
        (f"p={EC_KEY}", "p= holds a key that is not RSA", f"p={EC_KEY}"),
        (
            f"p={ED}",
            "p= is no RSA public key; its 32 octets look like Ed25519, without k=ed25519",
            f"p={ED}",
        ),  # k=ed25519 was forgotten
        (f"k=ed25519; p={RSA}", "p= decodes to 162 octets, an Ed25519 key has 32", f"p={RSA}"),
        (RSA, "there is no p=", ""),
        (f"v=DKIM1; p={RSA}; p={RSA}", "p= stands there twice", f"p={RSA}"),
    ],
)
def test_a_key_that_cannot_be_used_says_why_and_where(text, message, at):
    with pytest.raises(DkimSyntaxError) as caught:
        parse_key(text)
    found = {fault.message: fault for fault in caught.value.faults}
    assert message in found
    if at is not None:
        assert text[slice(*found[message].span)] == at
    assert caught.value.message == caught.value.faults[0].message
    assert caught.value.span == caught.value.faults[0].span
    assert caught.value.tags.text == text


def test_all_faults_are_told_and_the_escaped_semicolon_first():
    with pytest.raises(DkimSyntaxError) as caught:
        parse_key("v=DKIM1\\; k=rsa\\; p=MIIBIjANBgkqh")
    assert [fault.message for fault in caught.value.faults] == [
        "a backslash stands before the semicolon",
        "v= is not exactly DKIM1",
        "p= is not whole base64: characters are missing",
    ]


@pytest.mark.parametrize(
    ("texts", "keys"),
    [
        ([], []),
        ([f"v=DKIM1; p={RSA}"], [0]),
        (["v=spf1 -all"], []),
        (["v=DMARC1; p=reject"], []),
        (["google-site-verification=abc"], []),
        (["v=spf1 -all", f"p={RSA}", "hello"], [1]),
        (["v=DKIM1; p=A", "v=DKIM1; p=B"], [0, 1]),
        (["v=DKIM1; k=rsa"], [0]),
        (["v=dkim1; nothing"], [0]),
        ([RSA], [0]),  # the key alone, without "p="
        ([" ".join(["M" + "A" * 50] * 3)], [0]),
    ],
)
def test_keys_are_told_from_other_records_at_the_name(texts, keys):
    chosen, others = select(texts)
    assert list(chosen) == [texts[n] for n in keys]
    assert sorted([*chosen, *others]) == sorted(texts)


# --- signatures --------------------------------------------------------------------------------------------------


def test_a_signature_with_nothing_but_what_is_required():
    signature = parse_signature(SIGNATURE)
    assert signature.algorithm == "rsa-sha256"
    assert (signature.header_canonicalization, signature.body_canonicalization) == ("simple", "simple")
    assert (signature.domain, signature.selector, signature.identity, signature.identity_domain) == (
        "example.org",
        "s1",
        None,
        "example.org",
    )
    assert signature.key_name == "s1._domainkey.example.org" == key_name("s1", "example.org")
    assert (signature.length, signature.time, signature.expires) == (None, None, None)
    assert signature.signed == ("from", "to")
    assert signature.signature == base64.b64decode("BBBB")
    assert signature.body_hash == base64.b64decode("AAAA")
    assert SIGNATURE[slice(*signature.span("h"))] == "h=from:to"
    assert signature.span("l") is None


def test_every_tag_of_a_signature_is_read_folded_as_it_may_be():
    text = (
        " v=1; a=ed25519-sha256; c=relaxed/simple;\r\n\td=Example.ORG; i=joe=40x@News.Example.org; l=0; q=dns/txt:other/x;\r\n"
        "\ts=S1.eu; t=1795305600; x=1795910400; z=From:a; h=From : To:\r\n\t SUBJECT ; bh=AA\r\n\t AA; b=B\tB\r\n B B;"
    )
    signature = parse_signature(text)
    assert signature.algorithm == "ed25519-sha256"
    assert (signature.header_canonicalization, signature.body_canonicalization) == ("relaxed", "simple")
    assert (signature.domain, signature.identity_domain, signature.selector) == ("example.org", "news.example.org", "s1.eu")
    assert (signature.length, signature.time, signature.expires) == (0, 1795305600, 1795910400)
    assert signature.signed == ("from", "to", "subject")  # T038
    assert signature.signature == base64.b64decode("BBBB")
    assert signature.body_hash == base64.b64decode("AAAA")


def test_an_internationalised_domain_is_brought_to_a_labels():
    signature = parse_signature(SIGNATURE.replace("example.org", "bücher.example") + "; i=müller@bücher.example")
    assert signature.domain == signature.identity_domain == "xn--bcher-kva.example"  # RFC 8616 section 4


@pytest.mark.parametrize(
    ("c", "both"),
    [
        ("relaxed", ("relaxed", "simple")),
        ("simple/relaxed", ("simple", "relaxed")),
        ("relaxed/relaxed", ("relaxed", "relaxed")),
    ],
)
def test_a_missing_body_canonicalization_is_simple(c, both):
    signature = parse_signature(SIGNATURE + f"; c={c}")
    assert (signature.header_canonicalization, signature.body_canonicalization) == both


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *[(without(name), f"there is no {name}=") for name in ("v", "a", "b", "bh", "d", "h", "s")],
        (SIGNATURE.replace("v=1", "v=0.5"), "v= is not 1"),
        (SIGNATURE.replace("rsa-sha256", "rsa-md5"), "a= names the algorithm 'rsa-md5', which nobody verifies"),
        (SIGNATURE.replace("AAAA", "A*AA"), "bh= has the character '*', which is not base64"),
        (SIGNATURE.replace("BBBB", "BBB"), "b= is not whole base64: characters are missing"),
        (SIGNATURE.replace("BBBB", "BBBB="), "b= is not whole base64: characters are missing"),
        (SIGNATURE.replace("BBBB", "BBB=BBBB"), "b= has the character '=', which is not base64"),
        (SIGNATURE.replace("BBBB", " "), "b= is empty"),
        (SIGNATURE.replace("from:to", ""), "h= lists '', which is no header field name"),
        (SIGNATURE.replace("from:to", "from::to"), "h= lists '', which is no header field name"),
        (SIGNATURE.replace("from:to", "from:t\u00f6"), "h= lists 't\\xf6', which is no header field name"),
        (SIGNATURE.replace("from:to", "a:" * MAX_SIGNED_NAMES + "from"), f"h= lists {MAX_SIGNED_NAMES + 1} names"),
        (SIGNATURE.replace("example.org", "example"), "d= is no domain name of two or more labels"),
        (SIGNATURE.replace("example.org", "example.org."), "d= is no domain name of two or more labels"),
        (SIGNATURE.replace("example.org", "a..b"), "d= is no domain name: the name has an empty label"),
        (SIGNATURE.replace("s=s1", "s=*"), "s= is no selector: it has characters"),
        (SIGNATURE.replace("s=s1", "s="), "s= is no selector: the name is empty"),
        (SIGNATURE + "; i=example.org", "i= has no @"),
        (SIGNATURE + "; i=@", "i= has no usable domain: the name is empty"),
        (SIGNATURE + "; i=@other.example", "i= has the domain other.example, which is not within d=example.org"),
        (SIGNATURE + "; i=@notexample.org", "i= has the domain notexample.org, which is not within d=example.org"),
        (SIGNATURE + "; c=nofws", "c= names the canonicalization 'nofws'; there are simple and relaxed"),
        (SIGNATURE + "; c=relaxed/", "c= names the canonicalization 'relaxed/'"),
        (SIGNATURE + "; c=simple/simple/simple", "c= names the canonicalization"),
        (SIGNATURE + "; l=-1", "l= is not a number of up to 76 digits"),
        (SIGNATURE + "; l=" + "1" * 77, "l= is not a number of up to 76 digits"),
        (SIGNATURE + "; t=soon", "t= is not a number of up to 12 digits"),
        (SIGNATURE + "; t=\u0661", "t= is not a number of up to 12 digits"),
        (SIGNATURE + "; x=1795305600.5", "x= is not a number of up to 12 digits"),
        (SIGNATURE + "; x=", "x= is not a number of up to 12 digits"),
        (SIGNATURE + "; q=dns", "q= does not name dns/txt"),
        (SIGNATURE + "; d=example.com", "d= stands there twice"),
        (SIGNATURE + ";;", "nothing before the semicolon"),
    ],
)
def test_a_malformed_signature_says_why_and_where(text, message):
    with pytest.raises(DkimSyntaxError) as caught:
        parse_signature(text)
    fault = next(fault for fault in caught.value.faults if fault.message.startswith(message))
    if fault.tag and not fault.message.startswith("there is no"):
        assert text[slice(*fault.span)].startswith(f"{fault.tag}=")


def test_several_faults_come_in_order_of_place():
    with pytest.raises(DkimSyntaxError) as caught:
        parse_signature("v=2; a=x; b=BBBB; bh=AAAA; h=from; s=s1")
    assert [fault.tag for fault in caught.value.faults] == ["v", "a", "d"]
    assert str(caught.value) == caught.value.message == "v= is not 1"
    assert caught.value.tags.value("s") == "s1"


# --- anything ----------------------------------------------------------------------------------------------------

PIECES = st.lists(
    st.sampled_from(
        [
            *(
                "v=1",
                "v=DKIM1",
                "a=rsa-sha256",
                "a=",
                "b=",
                "b=BBBB",
                "bh=AAAA",
                "c=relaxed",
                "d=example.org",
                "d=.",
                "h=from:to",
                "h=:",
            ),
            *(
                "i=@example.org",
                "i=@",
                "l=1",
                "q=dns/txt",
                "s=s1",
                "t=1",
                "x=9",
                "k=ed25519",
                "k=rsa",
                "p=",
                f"p={ED}",
                f"p={RSA}",
                "s=*",
            ),
            *("p=MIG", "p=MAA=", "t=y:s", ";", "\\;", "\r\n\t", "\x00", "é", "\udcff", "=", "n=x"),
        ]
    )
).map("; ".join)


@given(st.one_of(st.text(), PIECES))
def test_a_key_is_returned_or_the_one_declared_error_raised(text):
    try:
        key = parse_key(text)
    except DkimSyntaxError as error:
        for fault in error.faults:
            assert 0 <= fault.span[0] <= fault.span[1] <= len(text)
    else:
        assert key.revoked == (key.data == b"")
    select([text])


@given(st.binary(max_size=300), st.sampled_from(["", "k=ed25519; ", "k=rsa; "]))
def test_any_octets_as_a_key_are_returned_or_the_one_declared_error_raised(data, kind):
    with suppress(DkimSyntaxError):
        parse_key(f"{kind}p={base64.b64encode(data).decode()}")


@given(st.binary(max_size=5), st.integers(0, 161))
def test_a_damaged_rsa_key_is_returned_or_the_one_declared_error_raised(patch, at):
    data = base64.b64decode(RSA)
    data = data[:at] + patch + data[at + len(patch) :]
    try:
        key = parse_key(f"p={base64.b64encode(data).decode()}")
    except DkimSyntaxError:
        return
    assert key.bits is not None


@given(st.one_of(st.text(), PIECES))
def test_a_signature_is_returned_or_the_one_declared_error_raised(text):
    try:
        signature = parse_signature(text)
    except DkimSyntaxError as error:
        for fault in error.faults:
            assert 0 <= fault.span[0] <= fault.span[1] <= len(text)
    else:
        assert signature.signed
        assert signature.identity_domain.endswith(signature.domain)


@pytest.mark.parametrize(
    "text",
    [
        "M" + " " * 60_000 + "!",
        "p=" + " \t" * 30_000 + "!",
        "v" + " " * 60_000,
        "h=" + ":" * 60_000,
        "\\;" * 30_000,
        "a=b " * 15_000,
    ],
)
def test_hostile_records_take_little_time(text):
    select([text])
    for parse in (parse_key, parse_signature):
        with pytest.raises(DkimSyntaxError):
            parse(text)


WHOLE_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?\Z")


@given(st.text("AQgw+/=-é", max_size=13))
def test_base64_is_whole_or_a_fault(text):
    """RFC 4648 section 4, which Python's strict decoder has only nearly."""
    faults = []
    try:
        parse_signature(SIGNATURE.replace("BBBB", text))
    except DkimSyntaxError as error:
        faults = [fault.message for fault in error.faults]
    assert any("base64" in fault for fault in faults) is not bool(WHOLE_BASE64.match(text))
