"""What comes back to a gate from a real Postfix, as its next hop and in front of it: reports, refusals, its log."""

import pytest

from tests import servers
from tests.gate.serve.test_gate import next_hop
from tests.gate.trail.place import WHOLE, mail, octets_at, place
from tests.mta import needs_postfix, postfix, wait_until
from tests.soak.gates import listen

pytestmark = needs_postfix

DOMAIN = "bounces.example.org"
NOBODY = "550 5.1.1 <nobody@example.net>: Recipient address rejected: User unknown in virtual mailbox table"
SAYS = {
    b"nobody@": NOBODY,
    b"nowhere.example": "550 5.1.2 <pat@nowhere.example>: Recipient address rejected: Domain not found",
    b"later@": "451 4.2.0 come later",
}
BOUNCES = f"""
[gate.trace]
[gate.bounces]
domain = "{DOMAIN}"
addresses = ["fbl@{DOMAIN}"]
"""
REPORT = """From: MAILER-DAEMON@mx.example.net
To: <{to}>
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=x

--x
Content-Type: text/plain

<{about}>: User unknown

--x
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net

Final-Recipient: rfc822; {about}
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 User unknown

--x--
"""


def at_last(session, line):
    """What the last server of all says to a recipient."""
    return next((reply for local, reply in SAYS.items() if local in line), "250 2.1.5 ok")


@pytest.fixture
def last():
    with next_hop(says={"RCPT": at_last}) as made:
        yield made


def test_a_report_about_a_signed_return_path_suppresses_that_recipient_and_a_forged_one_nobody(tmp_path, last):
    host = servers.loopback()
    port = servers.free_port(host)
    settings = {
        "default_transport": f"smtp:[{last.host}]:{last.port}",
        "transport_maps": f"inline:{{ {{ {DOMAIN} = smtp:[{host}]:{port} }} }}",
        "queue_run_delay": "1s",  # a report that came before its message was in the store comes again
        "minimal_backoff_time": "1s",
    }
    back = listen("bounces", "bounces", f"{host}:{port}")
    with postfix(settings) as mta, place(tmp_path, BOUNCES, listeners=[back], hop=mta.address) as made:
        for local in ("nobody@example.net", "pat@nowhere.example", "eve@example.net"):
            assert made.refused(mail(), local) == ""
        made.wait_kinds([*WHOLE, "bounced"], recipient="nobody@example.net")
        made.wait_kinds([*WHOLE, "bounced"], recipient="pat@nowhere.example")
        octets_at(last, 1)
        bounced = {one.address: one for one in made.events() if one.kind == "bounced"}
        assert '"status":"5.1.1"' in bounced["nobody@example.net"].detail
        assert bounced["nobody@example.net"].source == "dsn"
        assert '"status":"5.1.2"' in bounced["pat@nowhere.example"].detail
        assert made.suppressed() == [("nobody@example.net", "", "bounce")]
        assert "bounced" in made.cli("trace", "--recipient", "nobody@example.net")
        wait_until(lambda: made.refused(mail(), "nobody@example.net").startswith("550 5.7.1 suppressed"), lambda: "not yet")

        # Forged: to an address that is not ours, to one that was changed, and to one that takes reports without a signature.
        path = last.messages[0].mail_from.split(b"<")[1].split(b">")[0].decode()
        assert path.endswith(f"@{DOMAIN}")
        local = path.partition("@")[0]
        changed = f"{local[:-1]}{'a' if local[-1] != 'a' else 'b'}@{DOMAIN}"
        for to, answer in [(f"eve@{DOMAIN}", "550"), (changed, "550"), ("eve@example.net", "550"), (f"fbl@{DOMAIN}", "")]:
            report = REPORT.format(to=to, about="eve@example.net").replace("\n", "\r\n").encode()
            assert made.refused(report, to, sender="", listener="bounces")[:3] == answer
        # What is in the outbox came before this message, so when this one is in the trace all of it was read.
        made.send(mail(), "ada@example.net")
        made.wait_kinds(WHOLE, recipient="ada@example.net")
        assert made.suppressed() == [("nobody@example.net", "", "bounce")]
        assert made.refused(mail(), "eve@example.net") == ""


def test_behind_a_milter_the_trace_has_verdict_and_queue_id_and_postfix_s_log_tells_the_rest(tmp_path, last):
    settings = {"smtpd_milters": "unix:delivcheck/milter.sock", "default_transport": f"smtp:[{last.host}]:{last.port}"}
    with postfix(settings) as mta:
        socket = f"unix:{mta.queue}/delivcheck/milter.sock"
        milter = listen("milter", "milter", socket, group="postfix")
        more = f'{BOUNCES}postfix-log = "{mta.folder}/mail.log"\n'
        with place(tmp_path, more, listeners=[milter]) as made:
            with mta.smtp() as client:
                client.sendmail("a@example.org", ["pat@example.net", "later@example.net", "nobody@example.net"], mail())
                assert client.mail("a@example.org")[0] == 250
                client.rcpt("eve@example.net")
                assert client.data(mail(X_Refuse="yes"))[0] == 550
            before = ["accepted", "checked", "passed"]
            made.wait_kinds([*before, "delivered"], recipient="pat@example.net")
            made.wait_kinds([*before, "deferred"], recipient="later@example.net")
            made.wait_kinds([*before, "bounced"], recipient="nobody@example.net")
            made.wait_kinds(["accepted", "checked", "refused"], recipient="eve@example.net")
            told = {(one.address, one.kind): one for one in made.events()}
            assert told["pat@example.net", "delivered"].source == "log"
            assert "come later" in told["later@example.net", "deferred"].detail
            assert made.suppressed() == []  # a log proves nothing
            key = made.key("reader", "read")
            shown = made.ask("GET", f"/v1/messages/{told['pat@example.net', 'passed'].message}", key=key).json
            assert (shown["framing"], shown["listener"]) == ("milter", "milter")
            assert f"{shown['queue_id']}: to=<pat@example.net>" in mta.log()
            refused = made.ask("GET", f"/v1/messages/{told['eve@example.net', 'refused'].message}", key=key).json
            assert (refused["action"], refused["rules"]) == ("refuse", ["test/refused"])
            assert refused["queue_id"]
