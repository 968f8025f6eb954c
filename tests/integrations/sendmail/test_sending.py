"""The command from stdin to the next hop: what arrives, what does not, and the exit code."""

import os
import stat
import subprocess
import sys

import pytest

from delivcheck.integrations.sendmail.settings import own_domain
from delivcheck.integrations.sendmail.sysexits import Exit
from tests import servers
from tests.integrations import house
from tests.integrations.sendmail.place import ROOT
from tests.integrations.sendmail.place import place as made

TO = house.RECIPIENT


def server(place, more=""):
    return f'next-hop = "smtp://{place.sink.host}:{place.sink.port}"\n{more}'


# --- the four outcomes -----------------------------------------------------------------------------------------------


def test_a_good_message_arrives_octet_for_octet(place):
    octets = house.good("caf\u00e9\r\n.\r\n..\r\nend", Content_Transfer_Encoding="8bit")
    done = place.call("-i", "-f", house.BOUNCES, TO, "kim@example.net", stdin=octets)
    [taken] = place.sink.messages
    assert (done.code, done.said) == (0, "")
    assert taken.octets == octets
    assert (taken.mail_from, taken.rcpt_to) == (house.BOUNCES, (TO, "kim@example.net"))
    assert "BODY=8BITMIME" in taken.parameters
    assert place.recorded == []


def test_a_bad_message_is_refused_with_the_rule_and_the_trace(place):
    done = place.call("-ti", stdin=house.bad())
    [event] = place.recorded
    assert done.code == Exit.UNAVAILABLE
    assert done.said.startswith("not sent: 550 5.7.1 ")
    assert house.BAD_RULE in done.said
    assert event["trace"] in done.said
    assert "\n" not in done.said
    assert place.sink.lines == []
    assert (event["event"], event["hook"], event["rules"]) == ("refused", "sendmail", [house.BAD_RULE])


def test_with_dns_dead_it_is_sent_and_recorded(place):
    with house.dead_name_server() as dead:
        place.configure(nameserver=dead.address, timeout=0.2)
        octets = house.good()
        done = place.call("-ti", stdin=octets)
    assert done.code == 0
    assert [one.octets for one in place.sink.messages] == [octets]
    assert [one["event"] for one in place.recorded] == ["bypassed"]


@pytest.mark.parametrize("how", ["table", "option", "environment"])
def test_with_dns_dead_it_waits_where_unknown_is_to_be_raised(place, how):
    with house.dead_name_server() as dead:
        place.configure(nameserver=dead.address, timeout=0.2, on_unknown="raise" if how == "table" else None)
        options = ["--on-unknown", "raise"] if how == "option" else []
        environment = {"DELIVCHECK_ON_UNKNOWN": "raise"} if how == "environment" else {}
        done = place.call(*options, "-ti", stdin=house.good(), environment=environment)
    assert done.code == Exit.TEMPFAIL
    assert done.said.startswith("not sent: 451 4.4.3 ")
    assert place.sink.lines == []
    assert [one["event"] for one in place.recorded] == ["deferred"]


def test_observe_sends_all_the_same(place):
    octets = house.bad()
    done = place.call("--mode", "observe", "-ti", stdin=octets)
    assert done.code == 0
    assert [one.octets for one in place.sink.messages] == [octets]
    assert [one["event"] for one in place.recorded] == ["bypassed"]


def test_the_process_does_as_the_function_does(place):
    octets = house.good()
    good = place.process("-v", "-i", "-f", house.BOUNCES, "--", TO, stdin=octets)
    bad = place.process("-ti", stdin=house.bad())
    usage = place.process("-q")
    assert (good.returncode, good.stdout) == (0, b"")
    assert good.stderr.startswith(b"delivcheck: sent: queued (01")
    assert [one.octets for one in place.sink.messages] == [octets]
    assert (bad.returncode, bad.stdout) == (Exit.UNAVAILABLE, b"")
    assert bad.stderr.startswith(b"delivcheck: not sent: 550 5.7.1 ")
    assert usage.returncode == Exit.USAGE


def test_a_record_that_cannot_be_written_does_not_make_sent_mail_fail(place):
    place.record.mkdir()
    octets = house.bad()
    done = place.process("--mode", "observe", "-ti", stdin=octets)
    assert (done.returncode, done.stderr) == (0, b"")
    assert [one.octets for one in place.sink.messages] == [octets]


def test_through_the_daemon_it_is_the_same(place):
    socket = place.folder / "socket"
    place.configure(daemon=socket)
    command = [sys.executable, "-m", "delivcheck", "daemon", "--config", str(place.config)]
    with servers.running(command, place.folder / "log", socket.exists):
        octets = house.good()
        good, bad = place.process("-ti", stdin=octets), place.process("-ti", stdin=house.bad())
    gone = place.process("-ti", stdin=house.good())
    assert good.returncode == 0
    assert place.sink.messages[0].octets == octets
    assert bad.returncode == Exit.UNAVAILABLE
    assert house.BAD_RULE.encode() in bad.stderr
    assert gone.returncode == 0
    assert [one["event"] for one in place.recorded] == ["refused", "bypassed"]
    assert len(place.sink.messages) == 2


# --- the envelope ----------------------------------------------------------------------------------------------------


def test_recipients_of_the_header_and_of_the_command_line_both_get_it_and_blind_ones_stay_blind(place):
    octets = house.good(Cc="Kim <kim@example.net>", Bcc="blind@example.net")
    done = place.call("-t", "-i", "more@example.net", stdin=octets.replace(b"\r\n", b"\n"))
    [taken] = place.sink.messages
    assert done.code == 0
    assert taken.rcpt_to == (TO, "kim@example.net", "blind@example.net", "more@example.net")
    assert taken.octets == octets.replace(b"Bcc: blind@example.net\r\n", b"")


def test_without_f_the_sender_is_the_one_of_the_configuration_or_the_user(place):
    place.call("-i", TO, stdin=house.good())
    place.configure(server(place, f'from = "{house.BOUNCES}"'))
    place.call("-i", TO, stdin=house.good())
    place.call("--mode=observe", "-i", "-f<>", TO, stdin=house.good())
    user, named, null = (one.mail_from for one in place.sink.messages)
    assert user.endswith(f"@{house.DOMAIN}")
    assert named == house.BOUNCES
    assert null == ""


def test_a_user_that_passwd_does_not_know_can_send(place, monkeypatch):
    def unknown(number):
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr("pwd.getpwuid", unknown)
    assert place.call("-ti", stdin=house.good()).code == Exit.OK
    assert [one.mail_from for one in place.sink.messages] == [f"{os.getuid()}@{house.DOMAIN}"]


def test_names_without_a_domain_are_those_of_ours(place):
    assert place.call("-i", "-f", "orders", "root", stdin=house.good()).code == 0
    [taken] = place.sink.messages
    assert (taken.mail_from, taken.rcpt_to) == (f"orders@{house.DOMAIN}", (f"root@{house.DOMAIN}",))


def test_delivery_notifications_are_asked_for_as_told(place):
    assert place.call("-i", "-N", "failure,delay", "-R", "hdrs", "-V", "order+7", TO, stdin=house.good()).code == 0
    mail, rcpt = (next(line for line in place.sink.lines if line.startswith(verb)) for verb in ("MAIL", "RCPT"))
    assert "RET=HDRS" in mail
    assert "ENVID=order+2B7" in mail
    assert rcpt.endswith("NOTIFY=FAILURE,DELAY")


def test_an_address_beyond_ascii_goes_with_smtputf8(place):
    assert place.call("-i", "zoë@example.net", stdin=house.good()).code == 0
    [taken] = place.sink.messages
    assert taken.rcpt_to == ("zoë@example.net",)
    assert "SMTPUTF8" in taken.parameters


# --- attacks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "argv",
    [
        ["-i", "-f", "a@b.example> SIZE=9\r\nRCPT TO:<evil@c.example", TO],
        ["-i", "-f", "a@b.example\nevil", TO],
        ["-i", "-F", "Shop\r\nBcc: evil@c.example", TO],
        ["-i", f"{TO}\r\nDATA"],
        ["-i", f"{TO}>\nRCPT TO:<evil@c.example"],
        ["-i", TO, "-X/tmp/x"],
        ["-t", "-i", "-f", house.SENDER, "--mode", "observe"],
        ["-t", "-i", f"-f{house.SENDER}", "--config=/tmp/mine.toml"],
    ],
)
def test_what_strangers_put_into_arguments_sends_nothing(place, argv):
    done = place.call(*argv, stdin=house.good())
    assert done.code == Exit.USAGE
    assert "\n" not in done.said
    assert place.sink.lines == []


def test_the_pages_script_takes_none_of_our_own_options_from_its_caller(place):
    command = [place.script, "--next-hop=smtp://192.0.2.1", "-i", TO]
    done = subprocess.run(command, input=house.good(), capture_output=True, check=False)
    assert done.returncode == Exit.USAGE
    assert b"our own options stand before" in done.stderr
    page = (ROOT / "docs" / "hooks" / "sendmail.md").read_text()
    script = place.script.read_text().replace(str(place.config), "/etc/delivcheck/delivcheck.toml")
    assert script.partition(" delivcheck ")[2] in page


def test_logs_queues_and_configurations_of_sendmail_are_nothing_here(place, tmp_path):
    log = tmp_path / "shell.php"
    done = place.call("-i", f"-X{log}", f"-C{log}", f"-OQueueDirectory={tmp_path}", f"-oQ{tmp_path}", TO, stdin=house.good())
    assert done.code == 0
    assert not log.exists()


def test_a_configuration_in_the_working_directory_is_not_read(place, tmp_path, monkeypatch):
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / "delivcheck.toml").write_text(f'[sendmail]\nnext-hop = ["{place.program()}"]\n')
    monkeypatch.chdir(folder)
    monkeypatch.setattr("delivcheck.integrations.sendmail.running.SYSTEM_FILE", tmp_path / "none.toml")
    from delivcheck.integrations.sendmail import running

    said = []
    assert running.run(["-ti"], None, said.append, {}) == Exit.CONFIG
    assert "next-hop" in said[0]
    assert place.given is None


@pytest.mark.parametrize("inside", [b"\0", b"\r"])
def test_a_nul_or_a_lone_cr_does_not_pass(place, inside):
    octets = house.good().replace(b"has been", b"has" + inside + b"been")
    assert place.call("-ti", stdin=octets).code == Exit.UNAVAILABLE
    assert place.sink.lines == []


def test_a_lone_cr_is_not_sent_by_smtp_even_when_observing(place):
    octets = house.good().replace(b"has been", b"has\rbeen")
    done = place.call("--mode", "observe", "-ti", stdin=octets)
    assert (done.code, done.said) == (Exit.DATAERR, "not sent: a bare CR stands in the message, which SMTP does not carry")
    assert place.sink.messages == []


def test_a_huge_header_is_refused(place):
    octets = b"X-Long: " + b"a" * 2_000_000 + b"\n" + house.good()
    assert place.call("-ti", stdin=octets).code == Exit.DATAERR


# --- the next hop says no ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("says", "code", "words"),
    [
        ({"RCPT": "550 5.1.1 no such user"}, Exit.NOUSER, f"{TO}: the next hop says 550 5.1.1 no such user"),
        ({"RCPT": "550 5.1.2 no such domain"}, Exit.NOHOST, "5.1.2"),
        ({"RCPT": "450 4.2.0 greylisted"}, Exit.TEMPFAIL, "450 4.2.0 greylisted"),
        ({"MAIL": "550 5.7.1 not from you"}, Exit.NOPERM, "not from you"),
        ({"MAIL": "501 no"}, Exit.UNAVAILABLE, "501 no"),
        ({"DOT": "552 5.3.4 too large"}, Exit.DATAERR, "too large"),
        ({"DOT": "554 5.7.1 spam"}, Exit.NOPERM, "spam"),
        ({"DOT": "451 4.3.0 later"}, Exit.TEMPFAIL, "later"),
        ({"BANNER": "554 go away"}, Exit.TEMPFAIL, "go away"),
        ({"DATA": "421 4.3.2 closing"}, Exit.TEMPFAIL, "closing"),
    ],
)
def test_its_no_is_the_exit_code_and_the_text(place, says, code, words):
    place.sink.hop.says.update(says)
    done = place.call("-ti", stdin=house.good())
    assert done.code == code
    assert words in done.said
    assert place.sink.messages == []


def test_one_recipient_refused_keeps_it_from_all(place):
    place.sink.hop.says["RCPT"] = ["250 ok", "450 4.2.0 later", "550 5.1.1 nobody", "250 ok"]
    done = place.call("-i", "a@example.net", "b@example.net", "c@example.net", "d@example.net", stdin=house.good())
    assert done.code == Exit.NOUSER
    assert done.said == "not sent: c@example.net and 1 more: the next hop says 550 5.1.1 nobody"
    assert place.sink.messages == []


def test_a_next_hop_that_is_down_is_a_temporary_failure(place):
    place.configure(f'next-hop = "smtp://{place.sink.host}:{servers.free_port(place.sink.host)}"')
    done = place.call("-ti", stdin=house.good())
    assert done.code == Exit.TEMPFAIL
    assert done.said.startswith("not sent: ")


def test_the_code_for_not_now_can_be_another(place):
    place.configure(server(place, "temporary-exit-code = 69"))
    place.sink.hop.says["DOT"] = "451 4.3.0 later"
    assert place.call("-ti", stdin=house.good()).code == Exit.UNAVAILABLE


def test_eight_bit_mail_is_not_converted_for_a_next_hop_that_takes_none(tmp_path):
    with made(tmp_path, extensions=("PIPELINING",)) as place:
        done = place.call("-ti", stdin=house.good("caf\u00e9", Content_Transfer_Encoding="8bit"))
        assert done.code == Exit.DATAERR
        assert "8-bit" in done.said
        assert place.call("-ti", stdin=house.good()).code == 0


def test_behind_lmtp_the_text_says_who_has_it(tmp_path):
    path = tmp_path / "lmtp.sock"
    with made(tmp_path, lmtp=True, path=str(path)) as place:
        place.configure(f'next-hop = "lmtp://{path}"')
        assert place.call("-i", "a@example.net", "b@example.net", stdin=house.good()).code == 0
        place.sink.hop.says["DOT"] = ["250 2.0.0 ok", "550 5.2.2 full"]
        done = place.call("-i", "a@example.net", "b@example.net", stdin=house.good())
    assert done.code == Exit.UNAVAILABLE
    assert done.said == "not sent: b@example.net: the next hop says 550 5.2.2 full; it was sent to a@example.net"


def test_it_logs_in_with_a_password_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SMTP_PASSWORD", "secret")
    with made(tmp_path, extensions=("8BITMIME", "AUTH PLAIN"), users={"shop": "secret"}) as place:
        place.configure(server(place, 'user = "shop"\npassword-env = "SMTP_PASSWORD"'))
        assert place.call("-ti", stdin=house.good()).code == 0
        monkeypatch.setenv("SMTP_PASSWORD", "wrong")
        done = place.call("-ti", stdin=house.good())
        assert done.code == Exit.TEMPFAIL
        assert "credentials" in done.said
        assert "wrong" not in done.said
        assert len(place.sink.messages) == 1


def test_required_tls_that_is_not_offered_keeps_the_mail(place):
    place.configure(server(place, 'security = "required"'))
    done = place.call("-ti", stdin=house.good())
    assert done.code == Exit.TEMPFAIL
    assert "secure" in done.said
    assert not any(line.startswith("MAIL") for line in place.sink.lines)


# --- another sendmail ------------------------------------------------------------------------------------------------


def test_another_sendmail_gets_the_judged_octets_with_local_lines(place):
    place.configure(f'next-hop = ["{place.program()}", "-oem"]')
    octets = house.good("one\r\n.\r\ntwo")
    done = place.call("-i", "-f", house.BOUNCES, "-N", "never", "-V", "id", TO, "root", stdin=octets)
    argv, given = place.given
    assert done.code == 0
    assert argv == ["-oem", "-i", "-f", house.BOUNCES, "-N", "never", "-V", "id", "--", TO, f"root@{house.DOMAIN}"]
    assert given == octets.replace(b"\r\n", b"\n")


def test_another_sendmail_gets_nothing_that_was_refused(place):
    place.configure(f'next-hop = ["{place.program()}", "-i"]')
    assert place.call("-ti", stdin=house.bad()).code == Exit.UNAVAILABLE
    assert place.given is None


@pytest.mark.parametrize(("code", "wanted"), [(75, Exit.TEMPFAIL), (67, Exit.NOUSER), (1, Exit.UNAVAILABLE)])
def test_its_exit_code_is_ours(place, code, wanted):
    place.configure(f'next-hop = ["{place.program(code)}"]')
    done = place.call("-ti", stdin=house.good())
    assert done.code == wanted
    assert f"exit code {code}" in done.said


@pytest.mark.parametrize("argv", [["--", "-oQ/tmp@example.net"], ["-f", "-x@example.org", TO]])
def test_an_address_that_looks_like_an_option_is_not_given_to_it(place, argv):
    place.configure(f'next-hop = ["{place.program()}"]')
    assert place.call("-i", *argv, stdin=house.good()).code == Exit.DATAERR
    assert place.given is None


def test_one_that_is_not_there_is_a_temporary_failure(place):
    place.configure('next-hop = ["/nonexistent/sendmail"]')
    assert place.call("-ti", stdin=house.good()).code == Exit.TEMPFAIL


def test_one_that_is_ourselves_does_not_go_round_for_ever(place):
    place.configure(f'next-hop = ["{place.folder / "sendmail"}"]')
    assert place.script.stat().st_mode & stat.S_IXUSR
    done = place.call("-ti", stdin=house.good())
    assert done.code == Exit.CONFIG
    assert "LOOP" not in os.environ


# --- the configuration -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("", "sendmail.next-hop"),
        ('next-hop = "mail.example.org:25"', "smtp://host:25"),
        ('next-hop = "smtp://"', "smtp://host:25"),
        ('next-hop = "smtp://shop:secret@mail.example.org"', "password-file"),
        ('next-hop = ["sendmail", "-i"]', "absolute path"),
        ('next-hop = ["/usr/sbin/sendmail"]\nuser = "x"', "sendmail.user"),
        ('next-hop = "smtp://a.example"\nuser = "x"', "neither goes without the other"),
        ('next-hop = "smtp://a.example"\npassword-env = "X"', "neither goes without the other"),
        ('next-hop = "smtp://a.example"\npassword = "secret"', "does not stand in the configuration"),
        ('next-hop = "smtps://a.example"\nsecurity = "none"', "sendmail.security"),
        ('next-hop = "smtp://a.example"\nfrom = "www-data"', "sendmail.from"),
        ('next-hop = "smtp://a.example"\ntemporary-exit-code = 0', "from 1 to 255"),
        ('next-hop = "smtp://a.example"\nnexthop = 1', "did you mean next-hop"),
        ('next-hop = "smtp://a.example"\nca-file = "missing.pem"', "missing.pem"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_named_in_one_line(place, table, words):
    place.configure(table or "# nothing")
    done = place.call("-ti", stdin=house.good())
    assert done.code == Exit.CONFIG
    assert words in done.said
    assert "secret" not in done.said
    assert "\n" not in done.said


def test_a_policy_or_a_stream_that_does_not_exist_is_a_matter_of_configuration(place):
    for option in ("--policy=nonesuch", "--stream=nonesuch", "--mode=nonesuch"):
        assert place.call(option, "-ti", stdin=house.good()).code == Exit.CONFIG


def test_observe_sends_with_a_policy_that_is_broken(place):
    place.configure(server(place), policy="broken.toml", mode="observe")
    (place.folder / "broken.toml").write_text("garbage =\n")
    octets = house.good()
    assert place.call("-ti", stdin=octets).code == Exit.OK
    assert [one.octets for one in place.sink.messages] == [octets]
    [event] = place.recorded
    assert event["event"] == "bypassed"
    assert "broken.toml" in event["reason"]
    assert place.call("--mode", "enforce", "-ti", stdin=octets).code == Exit.CONFIG


def test_observe_sends_when_no_guard_can_be_made_and_enforce_says_not_now(place, monkeypatch):
    def without(**_):
        raise MemoryError

    monkeypatch.setattr("delivcheck.integrations.sendmail.running.Guard", without)
    assert place.call("-ti", stdin=house.good()).code == Exit.TEMPFAIL
    assert place.call("--mode=observe", "-ti", stdin=house.good()).code == Exit.OK
    assert [one["reason"] for one in place.recorded] == ["fault: MemoryError"]


def test_a_next_hop_on_the_command_line_goes_before_the_file(place):
    place.configure('next-hop = "smtp://192.0.2.1"')
    url = f"smtp://{place.sink.host}:{place.sink.port}"
    assert place.call("--next-hop", url, "-ti", stdin=house.good()).code == 0
    assert len(place.sink.messages) == 1


def test_the_machine_has_a_domain():
    assert own_domain()


def test_nobody_to_send_to_is_a_usage_error(place):
    assert place.call("-i", stdin=house.good()).code == Exit.USAGE
    assert place.call("-t", "-i", stdin=house.good(To=None)).code == Exit.USAGE
    done = place.call("-t", "-i", stdin=house.good(To="Pat pat@example.net"))
    assert done.code == Exit.DATAERR
    assert "To: " in done.said
