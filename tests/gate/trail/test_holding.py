"""Held mail from the policy that holds it to its end: released as it came, discarded, expired; unreadable on the disk."""

import json
import signal
from datetime import timedelta

from delivcheck.gate.held import HeldStore
from tests.gate.trail.place import TRACE, WHOLE, mail, octets_at, place
from tests.mta import wait_until
from tests.soak.gates import POLICY, all_off

HELD = ["accepted", "checked", "held"]
SECRET = "the quarterly figures"


def holding(tmp_path, more=""):
    (tmp_path / "hold.toml").write_text('on-fail = "hold"\n' + POLICY.format(rules=all_off()))
    return place(tmp_path, f"{TRACE}[gate.hold]\n{more}", policy="hold.toml")


def test_held_mail_is_sealed_listed_and_released_as_it_came_once_the_policy_lets_it_pass(tmp_path):
    (tmp_path / "held.key").write_text(f"{'ab' * 32}\n")
    with holding(tmp_path, 'key-file = "held.key"\n') as made:
        key = made.key("keeper", "held", "read")
        octets = mail(SECRET, f"{SECRET} are\r\n..here", X_Refuse="yes", Date="Mon, 23 Nov 2026 12:00:00 +0000")
        said = made.send(octets, "pat@example.net")
        (held,) = made.ask("GET", "/v1/held", key=key).json["held"]
        trace = held["id"]
        assert trace in said
        assert (held["subject"], held["recipients"], held["rules"]) == (SECRET, ["pat@example.net"], ["test/refused"])
        assert [one["trace"] for one in json.loads(made.cli("held", "list", "--format", "json"))["held"]] == [trace]
        on_disk = b"".join(path.read_bytes() for path in (made.state / "held").iterdir() if path.is_file())
        assert SECRET.encode() not in on_disk
        assert b"pat@example.net" not in on_disk
        assert made.ask("GET", f"/v1/held/{trace}/message", key=key).octets == octets
        kept = made.ask("POST", f"/v1/held/{trace}/release", key=key)
        assert (kept.status, kept.json["status"], made.hop.messages) == (200, "held", [])  # judged again, by the same policy

        (tmp_path / "hold.toml").write_text('on-fail = "hold"\nextends = "bulk"\n[rules]\n' + all_off())
        made.running.signal(signal.SIGHUP)
        made.running.wait_for("configuration", 2, what="loaded")
        wait_until(lambda: released(made, trace, key), lambda: "the new policy does not act")
        assert octets_at(made.hop, 1) == [octets]
        assert made.ask("POST", f"/v1/held/{trace}/release", key=key).status == 404
        wait_until(lambda: "released" in made.kinds(trace=trace), lambda: str(made.kinds(trace=trace)))
        assert made.kinds(trace=trace) == sorted([*HELD, "released"])
        (sent,) = [one.message for one in made.events(recipient="pat@example.net") if one.kind == "sent"]
        assert made.ask("GET", f"/v1/messages/{sent}", key=key).json["held"] == trace
        assert sent != trace
        audit = made.cli("trace", trace)
        assert "released" in audit


def released(made, trace, key):
    """Whether it is gone: the gate that reads its configuration anew may close a connection that it has not answered."""
    try:
        return made.ask("POST", f"/v1/held/{trace}/release", key=key).json.get("status") == "sent"
    except OSError:
        return False


def test_what_is_discarded_or_expires_is_told_and_goes_nowhere(tmp_path, monkeypatch):
    with holding(tmp_path) as made:
        key = made.key("keeper", "held")
        for recipient in ("pat@example.net", "eve@example.net", "ada@example.net"):
            made.send(mail(X_Refuse="yes"), recipient)
        held = {one["recipients"][0]: one["id"] for one in made.ask("GET", "/v1/held", key=key).json["held"]}
        assert made.ask("DELETE", f"/v1/held/{held['pat@example.net']}", key=key).status == 204
        made.cli("held", "discard", held["eve@example.net"])
        assert made.cli("held", "expire") == ""
        real = HeldStore.expire
        monkeypatch.setattr(HeldStore, "expire", lambda self, now: real(self, now + timedelta(days=31)))
        assert made.cli("held", "expire") == f"{held['ada@example.net']} expired\n"
        for recipient, why in [("pat", "discarded"), ("eve", "discarded"), ("ada", "expired")]:
            made.wait_kinds([*HELD, "discarded"], recipient=f"{recipient}@example.net")
            (gone,) = [one for one in made.events(recipient=f"{recipient}@example.net") if one.kind == "discarded"]
            assert json.loads(gone.detail)["why"] == why
        assert made.ask("GET", "/v1/held", key=key).json["held"] == []
        assert made.refused(mail()) == ""
        made.wait_kinds([*HELD, "discarded", *WHOLE], recipient="pat@example.net")
        assert len(made.hop.messages) == 1
