"""Each shape of docs/gate.md, with its configurations of deploy/, through a real Postfix and a real `delivcheck gate`."""

import hashlib
import os
import re
import shutil
import signal
import smtplib
import ssl
import subprocess
import sys
from contextlib import ExitStack
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP

import pytest

from tests import keys
from tests.conftest import require
from tests.gate.deploy.site import (
    ROOT,
    enforcing,
    gate_with,
    message,
    services_of,
    settings_of,
    signer,
    without_received,
)
from tests.gate.next_hop import ALL
from tests.gate.serve.test_gate import next_hop
from tests.mta import needs_postfix, postfix, sink
from tests.net.https_server import certificate
from tests.servers import free_port, loopback

FOLDER = "/var/spool/postfix/delivcheck"
SAME_OCTETS = settings_of("same-octets.main.cf")


def send(mta, octets, *, port=None, sender="bounces@example.com", recipients=("pat@example.net",)):
    """Code and text of the reply to the message, or of the first refusal before it."""
    with mta.smtp(port) as client:
        client.ehlo()
        code, text = client.mail(sender, ["BODY=8BITMIME"])
        for one in recipients:
            if code == 250:
                code, text = client.rcpt(one)
        if code == 250:
            code, text = client.data(octets)
    return code, text.decode()


def sha256(octets):
    return hashlib.sha256(octets).hexdigest()


def signed_by(octets):
    """The d= of the signatures."""
    found = message_from_bytes(octets, policy=SMTP).get_all("DKIM-Signature", [])
    return [part.strip()[2:] for one in found for part in one.split(";") if part.strip().startswith("d=")]


def signed_fields(octets):
    """The h= of the one signature."""
    [signature] = message_from_bytes(octets, policy=SMTP).get_all("DKIM-Signature")
    tags = dict(tag.split("=", 1) for tag in "".join(signature.split()).split(";") if tag)
    return tags["h"].lower().split(":")


# --- milter ---------------------------------------------------------------------------------------------------------


UNSIGNED = "orders@unsigned.example"  # nothing signs for that domain


@needs_postfix
@pytest.mark.attack(41)
def test_a_milter_after_the_signer_first_observes_then_refuses_and_judges_what_leaves(tmp_path):
    require("opendkim")
    with (
        sink() as taken,
        postfix({**settings_of("milter.main.cf"), **SAME_OCTETS, "default_transport": taken.transport}) as mta,
        signer(mta.queue, tmp_path),
        gate_with("milter.toml", tmp_path, {FOLDER: str(mta.queue / "delivcheck")}, enforce=False) as running,
    ):
        assert send(mta, message(sender=UNSIGNED))[0] == 250
        [told] = running.wait_for("message")
        assert (told["action"], told["bypass"]) == ("send", "observe: refuse")
        assert running.metric("delivcheck_bypasses_total", cause="observe") == 1
        assert running.metric("delivcheck_rule_failures_total", rule="dkim/no-signature") == 1

        configuration = tmp_path / "delivcheck.toml"
        configuration.write_text(enforcing(configuration.read_text()))
        running.signal(signal.SIGHUP)
        running.wait_for("worker", what="stop")  # until then the worker that observes may take one more connection
        code, text = send(mta, message(sender=UNSIGNED))
        assert (code, text.startswith("5.7.26 dkim/no-signature")) == (550, True), text
        assert len(taken.wait(1)) == 1

        lists = "List-Unsubscribe: <https://example.com/u/1>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
        assert send(mta, message("Grüße", header=lists))[0] == 250
        octets = without_received(taken.wait(2)[1].octets)
        assert signed_by(octets) == ["example.com"]
        assert {"list-unsubscribe", "list-unsubscribe-post"} < set(signed_fields(octets)), "Gmail wants both"
        told = running.wait_for("message", 3)[-1]
        assert (told["action"], told["bypass"], told["rules"]) == ("send", "", [])
        assert told["sha256"] == sha256(octets), "the octets that were judged are those that left"

        # Mail of the machine itself.
        assert mta.submit(message(name="cron"), "pat@example.net", sender="bounces@example.com").returncode == 0
        assert signed_by(taken.wait(3)[2].octets) == ["example.com"]
        assert running.wait_for("message", 4)[-1]["bypass"] == ""


# As the systemd unit has it: a user of its own in the group postfix. It may read everything, for the Python of a test may lie in root's folder.
AS_NOBODY = (
    "setpriv --reuid nobody --regid nogroup --groups postfix --inh-caps +dac_read_search --ambient-caps +dac_read_search"
)


@needs_postfix
def test_a_milter_before_the_signer_judges_no_signature_and_is_not_root(tmp_path):
    require("opendkim")
    if (setpriv := shutil.which("setpriv")) is None:
        pytest.skip("setpriv (util-linux) is not there")
    with (
        sink() as taken,
        postfix({**settings_of("pre-sign.main.cf"), **SAME_OCTETS, "default_transport": taken.transport}) as mta,
        signer(mta.queue, tmp_path),
        ExitStack() as stack,
    ):
        folder = mta.queue / "delivcheck"
        subprocess.run(["install", "-d", "-o", "nobody", "-g", "postfix", "-m", "2750", str(folder)], check=True)
        under = [setpriv, *AS_NOBODY.split()[1:]]
        etc = mta.folder / "delivcheck"  # which others can enter
        etc.mkdir()
        running = stack.enter_context(gate_with("pre-sign.toml", etc, {FOLDER: str(folder)}, under=under))
        assert (folder.owner(), (folder / "milter.sock").owner(), (folder / "milter.sock").group()) == (
            "nobody",
            "nobody",
            "postfix",
        )
        octets = message()
        code, text = send(mta, octets)
        assert code == 250, text
        assert running.wait_for("message")[0]["sha256"] == sha256(octets)
        assert signed_by(taken.wait(1)[0].octets) == ["example.com"]
        code, text = send(mta, message("http://localhost/x"))
        assert (code, text[:4]) == (550, "5.7."), text
        code, text = send(mta, message("x" * 1_500))
        assert (code, text[:24]) == (550, "5.6.0 mime/line-too-long"), "so that nothing need be broken on its way"


# --- smtpd_proxy_filter -----------------------------------------------------------------------------------------------


def proxied(host, front, gate_port, back):
    """The master.cf of the guide, with ports of the test's, and without the TLS and SASL that this machine has no setup for."""
    return services_of(
        "proxy-filter.master.cf",
        {
            "submission inet": f"{host}:{front} inet",
            "127.0.0.1:10025": f"{host}:{gate_port}",
            "127.0.0.1:10026": f"{host}:{back}",
            "smtpd_tls_security_level=encrypt": "smtpd_tls_security_level=none",
            "smtpd_sasl_auth_enable=yes": "smtpd_sasl_auth_enable=no",
            "permit_sasl_authenticated,reject": "permit_mynetworks,reject",
        },
    )


@needs_postfix
def test_between_two_smtpd_the_gate_signs_and_its_refusal_reaches_the_client(tmp_path):
    host = loopback()
    front, gate_port, back = (free_port(host) for _ in range(3))
    (tmp_path / "s1.pem").write_bytes(keys.pem("rsa2048"))
    exchange = {
        "127.0.0.1:10025": f"{host}:{gate_port}",
        "127.0.0.1:10026": f"{host}:{back}",
        '/etc/delivcheck/s1.pem" ': f'{tmp_path / "s1.pem"}" ',
    }
    with (
        sink() as taken,
        postfix({**SAME_OCTETS, "default_transport": taken.transport}, proxied(host, front, gate_port, back), host=host) as mta,
        gate_with("proxy-filter.toml", tmp_path, exchange) as running,
    ):
        assert send(mta, message("Grüße"), port=front)[0] == 250
        octets = without_received(taken.wait(1)[0].octets)
        assert signed_by(octets) == ["example.com"]
        [told] = running.wait_for("message")
        assert (told["action"], told["sha256"]) == ("send", sha256(octets))
        assert octets.count(b"\nReceived: ") + octets.startswith(b"Received: ") == 1, "the first smtpd's; the gate adds none"
        mta.wait(r"postfix/gate/smtpd.*client=unknown\[127.0.0.1\]")

        code, text = send(mta, message("http://localhost/x"), port=front)
        assert (code, text[:4]) == (550, "5.7."), text
        assert len(taken.messages) == 1

        # The first smtpd adds nothing, so the gate does.
        bare = re.sub(rb"(?m)^(Date|Message-ID): .*\n", b"", message(name="3"))
        assert send(mta, bare, port=front)[0] == 250
        octets = without_received(taken.wait(2)[1].octets)
        assert octets.count(b"\nDate: ") == octets.count(b"\nMessage-ID: ") == 1
        assert {"date", "message-id"} < set(signed_fields(octets))
        assert running.wait_for("message", 3)[-1]["sha256"] == sha256(octets)

        # What the second one rewrites, it rewrites after the gate.
        mta.change(canonical_maps="inline:{orders@example.com=sales@example.com}")
        assert send(mta, message(name="4"), port=front)[0] == 250
        octets = without_received(taken.wait(3)[2].octets)
        assert b"From: Shop <sales@example.com>\r\n" in octets
        assert running.wait_for("message", 4)[-1]["sha256"] != sha256(octets)


@needs_postfix
def test_without_the_gate_the_client_of_a_proxy_is_told_to_come_again():
    host = loopback()
    front, gate_port, back = (free_port(host) for _ in range(3))
    with postfix({}, proxied(host, front, gate_port, back), host=host) as mta:
        code, _ = send(mta, message(), port=front)
        assert code == 451, "and its mail waits where it is"


# --- behind the queue -------------------------------------------------------------------------------------------------


@needs_postfix
def test_behind_the_queue_mail_waits_for_the_gate_and_a_refusal_is_a_bounce(tmp_path):
    host = loopback()
    back = free_port(host)
    (tmp_path / "s1.pem").write_bytes(keys.pem("rsa2048"))
    services = services_of("lmtp.master.cf", {"127.0.0.1:10026": f"{host}:{back}"})
    settings = {**settings_of("lmtp.main.cf"), **SAME_OCTETS, "minimal_backoff_time": "1s", "queue_run_delay": "1s"}
    with sink() as taken, postfix({**settings, "default_transport": taken.transport}, services, host=host) as mta:
        exchange = {
            FOLDER: str(mta.queue / "delivcheck"),
            "127.0.0.1:10026": f"{host}:{back}",
            "/etc/delivcheck/s1.pem": str(tmp_path / "s1.pem"),
        }
        assert send(mta, message(), recipients=("pat@example.net", "kim@example.net"))[0] == 250
        mta.wait("status=deferred")
        with gate_with("lmtp.toml", tmp_path, exchange) as running:
            mta.flush()
            octets = without_received(taken.wait(1)[0].octets)
            assert signed_by(octets) == ["example.com"]
            [told] = running.wait_for("message")
            assert (told["sha256"], sorted(told["rcpt_to"])) == (sha256(octets), ["kim@example.net", "pat@example.net"])
            assert send(mta, message("http://localhost/x"))[0] == 250
            mta.wait("status=bounced.*said: 550 5.7.")


# --- stand-alone ------------------------------------------------------------------------------------------------------


@pytest.mark.attack(23, 25)
def test_alone_in_front_of_a_service_it_takes_users_over_tls_and_signs_what_is_not_rewritten(tmp_path):
    host = loopback()
    pem = certificate(tmp_path, ("smtp.example.com", "email-smtp.eu-central-1.amazonaws.com"))
    (tmp_path / "s1.pem").write_bytes(keys.pem("rsa2048"))
    (tmp_path / "ses-password").write_text("secret of the service\n")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    with next_hop(
        extensions=(*ALL, "STARTTLS", "AUTH PLAIN"), tls=server, users={"AKIAEXAMPLE": "secret of the service"}
    ) as hop:
        exchange = {
            "/etc/delivcheck/users.json": str(tmp_path / "users.json"),
            "/etc/delivcheck/fullchain.pem": str(pem),
            "/etc/delivcheck/privkey.pem": str(pem),
            "/etc/delivcheck/s1.pem": str(tmp_path / "s1.pem"),
            "/etc/delivcheck/ses-password": str(tmp_path / "ses-password"),
            '"email-smtp.eu-central-1.amazonaws.com:587"': f'"{hop.host}:{hop.port}"\nserver-name = "email-smtp.eu-central-1.amazonaws.com"\nca-file = "{pem}"',
            "0.0.0.0:587": f"{host}:0",
            "0.0.0.0:465": f"{host}:0",
        }
        with gate_with("stand-alone.toml", tmp_path, exchange) as running:
            added = subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "delivcheck",
                    "user",
                    "add",
                    "shop",
                    "--domain",
                    "example.com",
                    "--password-file",
                    "-",
                    "--config",
                    str(running.settings.parent / "delivcheck.toml"),
                ],
                input="correct horse battery\n",
                text=True,
                capture_output=True,
                check=False,
                cwd=ROOT,
                env=dict(os.environ),
            )
            assert added.returncode == 0, added.stderr
            context = ssl.create_default_context(cafile=str(pem))
            context.check_hostname = False
            with smtplib.SMTP(*running.address("submission"), timeout=20) as client:
                with pytest.raises(smtplib.SMTPNotSupportedError):
                    client.login("shop", "correct horse battery")
                client.starttls(context=context)
                client.login("shop", "correct horse battery")
                assert client.sendmail("bounces@example.com", ["pat@example.net"], message("Grüße")) == {}
                with pytest.raises(smtplib.SMTPResponseException) as refused:
                    client.sendmail("bounces@example.com", ["pat@example.net"], message(sender="x@elsewhere.example"))
                assert refused.value.smtp_code == 550
            with smtplib.SMTP_SSL(*running.address("submissions"), context=context, timeout=20) as client:
                client.login("shop", "correct horse battery")
                client.sendmail("bounces@example.com", ["pat@example.net"], message(name="465"))
                first = EmailMessage()
                first["From"], first["To"], first["Subject"] = "orders@example.com", "pat@example.net", "My first message"
                first.set_content("Hello")
                client.send_message(first, "bounces@example.com")
                added = message_from_bytes(hop.messages[2].octets, policy=SMTP)
                assert added["Date"], "smtplib writes none"
                assert added["Message-ID"].endswith("@smtp.example.com>")
            assert len(hop.messages) == 3
            octets = hop.messages[0].octets
            assert running.wait_for("message", 1)[0]["sha256"] == sha256(octets)
            assert not {"message-id", "date"} & set(signed_fields(octets)), "Amazon SES sets these itself"
            assert hop.messages[0].session.user == "AKIAEXAMPLE"
            assert hop.messages[0].session.tls
