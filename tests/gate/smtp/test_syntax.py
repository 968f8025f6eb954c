"""Commands, paths and parameters (attacks 11, 15, 16, 17, 63)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.gate.model import Extensions, MailFrom, RcptTo
from delivcheck.gate.smtp import auth, proxy, syntax
from delivcheck.gate.smtp.syntax import BadCommand

from .sansio import ALL, Conversation, codes

TAKEN = {
    "<a@example.com>": "a@example.com",
    " <a@example.com>": "a@example.com",  # the blank is wrong, and everywhere
    "<a.b+c=d!e%f@example.com>": "a.b+c=d!e%f@example.com",  # attack 63: opaque, relayed as it is, routed by its domain alone
    '<"a b"@example.com>': '"a b"@example.com',
    '<"a@b"@example.com>': '"a@b"@example.com',
    '<"a\\"b>"@example.com>': '"a\\"b>"@example.com',
    "<@x.example,@y.example:a@example.com>": "a@example.com",  # attack 16: the route is dropped
    "<a@[192.0.2.1]>": "a@[192.0.2.1]",
    "<a@[IPv6:2001:db8::1]>": "a@[IPv6:2001:db8::1]",
    "<a@foo_bar.example>": "a@foo_bar.example",
    "<a@xn--bcher-kva.example>": "a@xn--bcher-kva.example",
    "<" + "a" * 200 + "@example.com>": "a" * 200 + "@example.com",
    "<SRS0=HHH=TT=example.org=bounce@example.com>": "SRS0=HHH=TT=example.org=bounce@example.com",
}
REFUSED = [
    "", "<", ">", "a@example.com", "<a@example.com", "<a b@example.com>", "<a@b@example.com>", "<@example.com>", "<a@>", "<a>",
    "<a@example.com>>", "<a@example.com>SIZE=1", "<.a@example.com>", "<a..b@example.com>", "<a.@example.com>", "<a@.example.com>",
    "<a@example..com>", "<a@example.com.>", "<a@-example.com>", "<a@exa mple.com>", '<"a@example.com>', '<a"b"@example.com>',
    '<"a"b@example.com>', "<a@[192.0.2.256]>", "<a@[IPv6:2001:db8::g]>", "<a@[IPv6:fe80::1%eth0]>", "<a@[x:y]>", "<a@[]>",
    "<@x:a@example.com", "<x:a@example.com>", "<@x,y:a@example.com>", "<@x..y:a@example.com>", "<@x:>", "<a@" + "b" * 64 + ".example>",
    "<" + "a" * 400 + "@example.com>", "<a@" + "b." * 130 + "com>", "<(comment)a@example.com>", "<a@exa$mple.com>", "<>>",
]  # fmt: skip


@pytest.mark.attack(16, 63)
@pytest.mark.parametrize(("path", "address"), TAKEN.items())
def test_an_address_is_handed_on_as_it_came(path, address):
    assert syntax.mail(f"FROM:{path}", ALL) == MailFrom(address)
    assert syntax.rcpt(f"to:{path}", ALL, smtputf8=False) == RcptTo(address)


@pytest.mark.attack(16)
@pytest.mark.parametrize("path", REFUSED)
def test_what_is_no_address_is_refused_for_good(path):
    for parse in (lambda: syntax.mail(f"FROM:{path}", ALL), lambda: syntax.rcpt(f"TO:{path}", ALL, smtputf8=False)):
        with pytest.raises(BadCommand) as refused:
            parse()
        assert refused.value.reply.permanent


@pytest.mark.attack(16)
def test_the_null_path_is_a_sender_and_no_recipient():
    assert syntax.mail("FROM:<>", ALL).address == ""
    with pytest.raises(BadCommand, match=r"501 5\.1\.3"):
        syntax.rcpt("TO:<>", ALL, smtputf8=False)
    assert syntax.rcpt("TO:<Postmaster>", ALL, smtputf8=False).address == "Postmaster"


@pytest.mark.attack(11, 15)
@pytest.mark.parametrize("octet", [*range(0x0A), 0x0B, 0x0C, *range(0x0D, 0x20), 0x7F])
@pytest.mark.parametrize(
    "path", [b'<"a%cb"@example.com>', b"<a%cb@example.com>", b"<a@exa%cmple.com>", b"<a@example.com> X=%c"]
)
def test_control_characters_in_a_path_are_refused_and_nothing_is_handed_on(octet, path):
    conversation = Conversation().ready().transaction()
    said = conversation.send(b"RCPT TO:" + path.replace(b"%c", bytes([octet])) + b"\r\n")
    assert codes(said) == ["501 5.1.3"]
    conversation.send(b"RSET\r\n")
    assert codes(conversation.send(b"MAIL FROM:" + path.replace(b"%c", bytes([octet])) + b"\r\n")) == ["501 5.1.7"]
    assert [type(one).__name__ for one in conversation.events] == ["Reset"]


@pytest.mark.attack(11, 16)
@pytest.mark.parametrize(
    ("address", "without", "with_"),
    [
        ("jürgen@example.com", "553 5.6.7", None),
        ("a@bücher.example", "553 5.6.7", None),
        ("用户@例え.jp", "553 5.6.7", None),
        ("a@раураl.com", "553 5.6.7", None),  # a homograph is a domain like others: what it looks like is the checks' matter
        ("a@exa\u2028mple.com", "501 5.1.3", "501 5.1.3"),
        ("a\x85b@example.com", "501 5.1.3", "501 5.1.3"),
        ("a@-ü.example", "553 5.6.7", "501 5.1.3"),
        ("a@\u3000.example", "553 5.6.7", "501 5.1.3"),
    ],
)
def test_beyond_ascii_only_with_smtputf8(address, without, with_):
    for flag, expected in (("", without), (" SMTPUTF8", with_)):
        conversation = Conversation().ready()
        assert conversation.send(f"MAIL FROM:<a@example.com>{flag}\r\n".encode()).startswith("250")
        said = conversation.send(f"RCPT TO:<{address}>\r\n".encode())
        assert codes(said) == [expected or "250 2.0.0"]


@pytest.mark.attack(17)
@pytest.mark.parametrize(
    ("parameters", "meant"),
    [
        ("SIZE=1000", MailFrom("a@b.example", size=1000)),
        ("size=5  body=8bitmime", MailFrom("a@b.example", size=5, body="8BITMIME")),
        ("BODY=7BIT SMTPUTF8", MailFrom("a@b.example", body="7BIT", smtputf8=True)),
        ("RET=hdrs ENVID=a+2Bb+20c", MailFrom("a@b.example", ret="HDRS", envid="a+b c")),
        ("AUTH=<>", MailFrom("a@b.example")),
        ("AUTH=e+3Dmc2@example.com", MailFrom("a@b.example")),
    ],
)
def test_parameters_of_mail_are_decoded(parameters, meant):
    assert syntax.mail(f"FROM:<a@b.example> {parameters}", ALL) == meant


@pytest.mark.attack(17)
@pytest.mark.parametrize(
    ("parameters", "reply"),
    [
        ("SIZE=", "501 5.5.4"), ("SIZE", "501 5.5.4"), ("SIZE=-1", "501 5.5.4"), ("SIZE=1e3", "501 5.5.4"),
        ("SIZE=" + "9" * 21, "501 5.5.4"), ("SIZE=١", "501 5.5.4"), ("SIZE=1 SIZE=2", "501 5.5.4"), ("SIZE=1 size=1", "501 5.5.4"),
        ("BODY=BINARYMIME", "501 5.5.4"), ("BODY", "501 5.5.4"), ("SMTPUTF8=1", "501 5.5.4"), ("RET=ALL", "501 5.5.4"),
        ("ENVID=a+0D+0AMAIL", "501 5.5.4"), ("ENVID=a+0", "501 5.5.4"), ("ENVID=a+0a", "501 5.5.4"), ("ENVID=a=b", "501 5.5.4"),
        ("ENVID=" + "a" * 101, "501 5.5.4"), ("ENVID=+C3+BC", "501 5.5.4"), ("AUTH=a+0D+0Ab@example.com", "501 5.5.4"),
        ("AUTH=nobody", "501 5.5.4"), ("FOO=bar", "555 5.5.4"), ("REQUIRETLS", "555 5.5.4"), ("=x", "501 5.5.4"),
        ("NOTIFY=NEVER", "555 5.5.4"), ("SIZE=1\u00a0BODY=7BIT", "501 5.5.4"),
    ],
)  # fmt: skip
def test_what_is_no_parameter_is_refused(parameters, reply):
    with pytest.raises(BadCommand, match=reply.replace(".", r"\.")):
        syntax.mail(f"FROM:<a@b.example> {parameters}", ALL)


@pytest.mark.attack(17)
@pytest.mark.parametrize(
    ("parameters", "meant"),
    [
        ("NOTIFY=never", RcptTo("a@b.example", ("NEVER",))),
        ("NOTIFY=SUCCESS,DELAY", RcptTo("a@b.example", ("SUCCESS", "DELAY"))),
        ("ORCPT=rfc822;x+2By@z", RcptTo("a@b.example", orcpt=("rfc822", "x+y@z"))),
        ("ORCPT=utf-8;ü@z", RcptTo("a@b.example", orcpt=("utf-8", "\\x{FC}@z"))),
        ("NOTIFY=NEVER,SUCCESS", "501 5.5.4"),
        ("NOTIFY=", "501 5.5.4"),
        ("NOTIFY=,", "501 5.5.4"),
        ("ORCPT=rfc822", "501 5.5.4"),
        ("ORCPT=rfc822;a+0Ab", "501 5.5.4"),
        ("ORCPT=;a", "501 5.5.4"),
        ("ORCPT=rfc822;ü", "501 5.5.4"),
        ("SIZE=1", "555 5.5.4"),
    ],
)
def test_parameters_of_rcpt_are_decoded_or_refused(parameters, meant):
    try:
        assert syntax.rcpt(f"TO:<a@b.example> {parameters}", ALL, smtputf8=True) == meant
    except BadCommand as bad:
        assert str(bad).startswith(meant)


# --- it returns, or raises the one declared error ----------------------------------------------------------------------

LINES = st.one_of(
    st.binary(max_size=80),
    st.builds(
        lambda parts: "".join(parts).encode(),
        st.lists(
            st.sampled_from(["MAIL ", "RCPT ", "FROM:", "TO:", "<", ">", "@", '"', "\\", "a", ".", "b.example", ":", ",", "[", "]", "IPv6:",
                             " ", "SIZE=", "ORCPT=", "utf-8;", "NOTIFY=", "ENVID=", "+", "2B", "=", "ü", "\0", "\r", "\u2028", "1", "AUTH"]),
            max_size=14,
        ),
    ),
)  # fmt: skip


@given(LINES)
def test_a_command_is_read_or_refused(line):
    try:
        _, argument = syntax.command(line)
        for parse in (
            lambda: syntax.mail(argument, ALL),
            lambda: syntax.rcpt(argument, ALL, smtputf8=True),
            lambda: syntax.rcpt(argument, Extensions(), smtputf8=False),
            lambda: syntax.attributes(argument, frozenset({"ADDR", "NAME"})),
            lambda: syntax.helo_name(argument),
        ):
            try:
                parse()
            except BadCommand as bad:
                assert bad.reply.permanent
                assert bad.reply.enhanced
    except BadCommand as bad:
        assert bad.reply.permanent


@given(st.sampled_from(["PLAIN", "login", "x"]), st.one_of(st.none(), st.text(max_size=40)), st.text(max_size=40))
def test_an_authentication_is_read_or_refused(mechanism, initial, response):
    try:
        exchange = auth.Exchange(mechanism)
        step = exchange.start(initial)
        for _ in range(3):
            if isinstance(step, auth.Password):
                break
            step = exchange.step(response)
    except BadCommand as bad:
        assert bad.reply.permanent


@pytest.mark.attack(68)
def test_a_password_is_not_in_the_text_of_a_claim():
    assert "hunter2" not in repr(auth.Password("ann", "hunter2"))


# --- PROXY -----------------------------------------------------------------------------------------------------------

V2 = b"\r\n\r\n\0\r\nQUIT\n"


@pytest.mark.attack(29)
@pytest.mark.parametrize(
    ("header", "meant"),
    [
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 25\r\n", "192.0.2.1 1234"),
        (b"PROXY TCP6 2001:db8::1 2001:db8::2 1234 25\r\n", "2001:db8::1 1234"),
        (b"PROXY UNKNOWN\r\n", "None 0"),
        (b"PROXY UNKNOWN ffff::1 x 1 2\r\n", "None 0"),
        (V2 + b"\x21\x11\0\x0c" + bytes([192, 0, 2, 1, 192, 0, 2, 2, 4, 210, 0, 25]), "192.0.2.1 1234"),
        (V2 + b"\x21\x11\0\x0f" + bytes([192, 0, 2, 1, 192, 0, 2, 2, 4, 210, 0, 25]) + b"\x04\0\0", "192.0.2.1 1234"),
        (V2 + b"\x21\x21\0\x24" + b"\x20\x01\x0d\xb8" + bytes(11) + b"\x01" + bytes(16) + b"\x04\xd2\0\x19", "2001:db8::1 1234"),
        (V2 + b"\x20\0\0\0", "None 0"),
        (V2 + b"\x21\0\0\0", "None 0"),
        (b"PROXY TCP4 2001:db8::1 192.0.2.2 1234 25\r\n", None),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 123456 25\r\n", None),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 65536 25\r\n", None),
        (b"PROXY TCP4\r\n    ", None),
        (b"PROXY " + b"x" * 101 + b"  \r\n", None),
        (b"EHLO client.example\r\n", None),
        (V2 + b"\x11\x11\0\x0c" + bytes(12), None),
        (V2 + b"\x21\x11\0\x04" + bytes(4), None),
        (V2 + b"\x21\x11\xff\xff", None),
    ],
)  # fmt: skip
def test_a_proxy_header_is_read_to_its_last_octet_and_not_beyond(header, meant):
    stream, read = header + b"EHLO behind\r\n", b""
    try:
        while wanted := proxy.missing(read):
            read += stream[len(read) : len(read) + wanted]
        found = proxy.origin(read)
    except proxy.BadHeader:
        assert meant is None
        return
    assert read == header
    assert f"{found.ip} {found.port}" == meant


@given(
    st.one_of(
        st.binary(max_size=120),
        st.binary(max_size=60).map(lambda rest: V2 + rest),
        st.binary(max_size=120).map(lambda rest: b"PROXY " + rest),
    )
)
def test_a_proxy_header_is_read_or_refused(octets):
    read = b""
    try:
        while wanted := proxy.missing(read):
            more = octets[len(read) : len(read) + wanted]
            if not more:
                return
            read += more
        proxy.origin(read)
    except proxy.BadHeader:
        pass
