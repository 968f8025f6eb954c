"""Mail by HTTP: what the next hop has is 200, what nobody has is an error that says why; a key makes one mail of many requests."""

import asyncio
import base64
import contextlib
import json

import pytest

from delivcheck.gate.http.v1 import sending
from delivcheck.trace import answered, keys
from delivcheck.trace.store import StoreError
from tests.gate.http.v1.service import service
from tests.gate.next_hop import CLOSE, Slow


def rcpts(message):
    return [line.partition(b"<")[2].partition(b">")[0].decode() for line in message.rcpt_to]


async def test_accepted_means_that_the_next_hop_has_it(tmp_path):
    async with service(tmp_path) as web:
        answer = await web.post("/v1/messages", web.mail(tags=["eu"], template="receipt"))
        assert answer.status_code == 200, answer.text
        said = answer.json()
        assert said["status"] == "sent"
        (one,) = said["recipients"]
        assert (one["recipient"], one["status"], one["by"], one["reply"]["code"]) == (
            "pat@example.net",
            "sent",
            "next-hop",
            250,
        )
        (message,) = web.hop.messages
        assert b"X-Delivcheck" not in message.octets
        assert b"Message-ID: <" in message.octets
        assert b"\r\nDate: " in message.octets
        await web.settle()
        shown = (await web.get(f"/v1/messages/{said['id']}")).json()
        assert (shown["client"], shown["stream"], shown["template"], shown["tags"]) == (
            "key:all",
            "receipts",
            "receipt",
            ["eu"],
        )
        assert [event["event"] for event in shown["events"]] == ["accepted", "checked", "passed", "sent"]


async def test_refused_by_a_rule_is_422_with_what_was_found_and_how_it_is_mended(tmp_path):
    async with service(tmp_path, signs=False) as web:
        answer = await web.post("/v1/messages", web.mail())
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
        said = answer.json()
        assert said["type"] == "urn:delivcheck:problem:refused"
        finding = next(one for one in said["findings"] if one["rule"] == "dkim/no-signature")
        assert finding["problems"]
        assert finding["fix"]
        assert finding["link"].startswith("https://")
        assert [(one["status"], one["by"]) for one in said["recipients"]] == [("refused", "gate")]
        assert web.hop.messages == []


async def test_each_recipient_has_its_own_result(tmp_path):
    async with service(tmp_path) as web:
        web.hop.says["RCPT"] = ["250 2.1.5 ok", "550 5.1.1 no such user", "451 4.2.1 later"]
        answer = await web.post("/v1/messages", web.mail(to=["a@example.net", "b@example.net", "c@example.net"]))
        assert answer.status_code == 200
        said = answer.json()
        assert said["status"] == "partial"
        assert [(one["recipient"][0], one["status"], one["by"]) for one in said["recipients"]] == [
            ("a", "sent", "next-hop"),
            ("b", "refused", "next-hop"),
            ("c", "deferred", "next-hop"),
        ]
        assert rcpts(web.hop.messages[0]) == ["a@example.net"]


@pytest.mark.parametrize(
    ("verb", "reply", "status"),
    [
        ("RCPT", "550 5.1.1 no such user", 422),
        ("RCPT", "451 4.2.1 later", 503),
        ("DOT", "554 5.7.1 spam", 422),
        ("DOT", CLOSE, 503),
    ],
)
async def test_what_nobody_has_is_an_error(tmp_path, verb, reply, status):
    async with service(tmp_path) as web:
        web.hop.says[verb] = reply
        answer = await web.post("/v1/messages", web.mail())
        assert answer.status_code == status
        assert ("retry-after" in answer.headers) == (status == 503)
        assert len(answer.json()["recipients"]) == 1


async def test_held_is_202_and_the_copy_is_there(tmp_path, monkeypatch):
    async with service(tmp_path, hold=True, signs=False) as web:
        _holding(web, monkeypatch)
        answer = await web.post("/v1/messages", web.mail())
        assert (answer.status_code, answer.json()["status"]) == (202, "held")
        (entry,) = web.desk.held.entries()
        assert entry.trace == answer.json()["id"]


def _holding(web, monkeypatch):
    """What fails is held."""
    from dataclasses import replace

    from delivcheck.gate.model import Action, Decision
    from delivcheck.gate.reply import Reply

    real = web.reception.pipeline.process

    async def process(incoming):
        outcome = await real(incoming)
        if outcome.decision.action is not Action.REFUSE:
            return outcome
        held = Decision(
            Action.HOLD, Reply(250, "2.0.0", f"held {incoming.trace}"), outcome.decision.rules, outcome.decision.reason
        )
        return replace(outcome, decision=held)

    monkeypatch.setattr(web.reception.pipeline, "process", process)


async def test_personal_copies_go_each_by_itself(tmp_path):
    async with service(tmp_path) as web:
        copies = [{"to": f"{name}@example.net", "text": f"Hello {name}."} for name in ("ada", "bob", "eve")]
        body = web.mail(personalizations=copies)
        del body["to"]
        answer = await web.post("/v1/messages", body)
        assert answer.status_code == 200, answer.text
        assert len({one["id"] for one in answer.json()["recipients"]}) == 3
        got = {rcpts(one)[0]: one.octets for one in web.hop.messages}
        assert set(got) == {"ada@example.net", "bob@example.net", "eve@example.net"}
        assert all(f"Hello {to.partition('@')[0]}.".encode() in octets for to, octets in got.items())


async def test_blind_copies_are_blind(tmp_path):
    async with service(tmp_path) as web:
        await web.post("/v1/messages", web.mail(bcc="boss@example.net", cc="ann@example.net"))
        (message,) = web.hop.messages
        assert rcpts(message) == ["pat@example.net", "ann@example.net", "boss@example.net"]
        assert b"boss" not in message.octets


async def test_a_whole_message_is_sent_as_it_is(tmp_path):
    octets = b"From: orders@example.org\r\nTo: pat@example.net\r\nSubject: Hi\r\nMIME-Version: 1.0\r\n\r\nHi.\r\n"
    async with service(tmp_path) as web:
        for body in (octets, octets.replace(b"\r\n", b"\n")):
            answer = await web.post(
                "/v1/messages",
                body,
                Content_Type="message/rfc822",
                Mail_From="bounces@example.org",
                Rcpt_To="pat@example.net, x@example.net",
            )
            assert answer.status_code == 200, answer.text
            assert [one["recipient"] for one in answer.json()["recipients"]] == ["pat@example.net", "x@example.net"]
        for message in web.hop.messages:
            assert b"From: orders@example.org\r\nTo: pat@example.net\r\nSubject: Hi\r\nMIME-Version: 1.0\r\n" in message.octets
            assert message.octets.endswith(b"\r\n\r\nHi.\r\n")
            assert message.mail_from.startswith(b"MAIL FROM:<bounces@example.org>")


@pytest.mark.attack(1, 67)
@pytest.mark.parametrize(
    "body", [b"From: a@example.org\r\n\r\nx\n.\nMAIL FROM:<>\r\n", b"From: a@example.org\r\n\r\n\0", b"", b"\r\n"]
)
async def test_a_message_that_could_smuggle_is_refused(tmp_path, body):
    async with service(tmp_path) as web:
        answer = await web.post(
            "/v1/messages", body, Content_Type="message/rfc822", Mail_From="a@example.org", Rcpt_To="p@example.net"
        )
        assert answer.status_code == 422
        assert web.hop.sessions == []


@pytest.mark.attack(20)
async def test_a_key_sends_in_the_name_of_its_domains_only(tmp_path):
    async with service(tmp_path) as web:
        token = web.key("other", domains=("example.com",))
        for path in ("/v1/messages", "/v1/check"):
            answer = await web.post(path, web.mail(), token)
            assert (answer.status_code, answer.json()["type"]) == (422, "urn:delivcheck:problem:refused")
        answer = await web.post("/v1/messages", web.mail(return_path="x@example.com"), token)
        assert answer.status_code == 422
        assert web.hop.messages == []


async def test_a_key_sends_in_its_streams_only(tmp_path):
    async with service(tmp_path) as web:
        assert (await web.post("/v1/messages", web.mail(), web.key("news", streams=("news",)))).status_code == 403
        answer = await web.post("/v1/messages", web.mail(stream="nosuch"))
        assert (answer.status_code, answer.json()["errors"][0]["at"]) == (422, "/stream")


async def test_a_check_says_what_would_become_of_it_and_sends_nothing(tmp_path):
    from delivcheck.report import schema

    jsonschema = pytest.importorskip("jsonschema")
    for signs, verdict, action in ((True, "pass", "send"), (False, "fail", "refuse")):
        folder = tmp_path / verdict
        folder.mkdir()
        async with service(folder, signs=signs) as web:
            answer = await web.post("/v1/check", web.mail())
            assert (answer.status_code, answer.headers["delivcheck-action"]) == (200, action)
            jsonschema.validate(answer.json(), schema.packaged())
            assert answer.json()["verdict"] == verdict
            await web.settle()
            assert (await web.get("/v1/messages")).json()["messages"] == []
            assert web.hop.sessions == []


@pytest.mark.attack(57)
async def test_a_fault_of_ours_is_503_without_its_text(tmp_path, monkeypatch):
    async with service(tmp_path) as web:

        async def broken(*_, **__):
            raise RuntimeError("secret")

        monkeypatch.setattr(type(web.desk.handing), "submit", broken)
        answer = await web.post("/v1/messages", web.mail())
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "secret" not in answer.text


# --- Idempotency-Key -------------------------------------------------------------------------------------------------


@pytest.mark.attack(62)
async def test_the_same_request_under_a_key_is_one_mail_and_one_answer(tmp_path):
    async with service(tmp_path) as web:
        first = await web.post("/v1/messages", web.mail(), Idempotency_Key='"order-4711"')
        again = await web.post("/v1/messages", web.mail(), Idempotency_Key="order-4711")
        assert (again.status_code, again.json()) == (200, first.json())
        assert again.headers["idempotency-replayed"] == "true"
        assert len(web.hop.messages) == 1
        assert (await web.post("/v1/messages", web.mail(), Idempotency_Key="order-4712")).status_code == 200
        assert len(web.hop.messages) == 2


@pytest.mark.attack(62)
@pytest.mark.parametrize(
    "other", [{"text": "Another."}, {"to": "eve@example.net"}, {"bcc": "eve@example.net"}, {"return_path": "b@example.org"}]
)
async def test_another_request_under_the_key_is_409(tmp_path, other):
    async with service(tmp_path) as web:
        await web.post("/v1/messages", web.mail(), Idempotency_Key="k")
        answer = await web.post("/v1/messages", web.mail(**other), Idempotency_Key="k")
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:delivcheck:problem:idempotency-key-reused")
        assert len(web.hop.messages) == 1


@pytest.mark.attack(62)
async def test_nobodys_key_meets_anothers(tmp_path):
    async with service(tmp_path) as web:
        for token in (web.token, web.key("b"), web.key("c", tenant="acme")):
            assert (await web.post("/v1/messages", web.mail(), token, Idempotency_Key="k")).status_code == 200
        assert len(web.hop.messages) == 3


@pytest.mark.attack(62)
async def test_the_same_request_at_the_same_time_is_409_and_may_come_again(tmp_path):
    async with service(tmp_path) as web:
        web.hop.says["DOT"] = [Slow(0.3, "250 2.0.0 ok")]
        asked = [asyncio.ensure_future(web.post("/v1/messages", web.mail(), Idempotency_Key="k")) for _ in range(3)]
        answers = await asyncio.gather(*asked)
        assert sorted(one.status_code for one in answers) == [200, 409, 409]
        late = [one for one in answers if one.status_code == 409]
        assert all("retry-after" in one.headers for one in late)
        assert (await web.post("/v1/messages", web.mail(), Idempotency_Key="k")).status_code == 200
        assert len(web.hop.messages) == 1


async def test_what_was_refused_may_be_mended_under_its_key(tmp_path):
    async with service(tmp_path) as web:
        web.hop.says["DOT"] = ["554 5.7.1 no"]
        assert (await web.post("/v1/messages", web.mail(), Idempotency_Key="k")).status_code == 422
        assert (await web.post("/v1/messages", web.mail(text="Mended."), Idempotency_Key="k")).status_code == 200


async def test_who_was_deferred_is_sent_to_under_the_same_key_and_the_others_not_again(tmp_path):
    async with service(tmp_path) as web:
        web.hop.says["RCPT"] = ["250 2.1.5 ok", "451 4.2.1 later"]
        body = web.mail(to=["a@example.net", "b@example.net"])
        first = await web.post("/v1/messages", body, Idempotency_Key="k")
        assert [one["status"] for one in first.json()["recipients"]] == ["sent", "deferred"]
        web.hop.says.clear()
        again = await web.post("/v1/messages", body, Idempotency_Key="k")
        assert [one["status"] for one in again.json()["recipients"]] == ["sent", "sent"]
        assert [rcpts(one) for one in web.hop.messages] == [["a@example.net"], ["b@example.net"]]
        assert (await web.post("/v1/messages", web.mail(), Idempotency_Key="k")).status_code == 409


@pytest.mark.attack(53, 58)
async def test_where_the_store_fails_after_sending_the_journal_answers(tmp_path, monkeypatch):
    async with service(tmp_path) as web:

        def fails(*_):
            raise StoreError("gone")

        with monkeypatch.context() as patch:
            patch.setattr(answered, "end", fails)
            assert (await web.post("/v1/messages", web.mail(), Idempotency_Key="k")).status_code == 200
        later = keys.now() + answered.LEASE + 1
        monkeypatch.setattr(sending.keys, "now", lambda: later)
        again = await web.post("/v1/messages", web.mail(), Idempotency_Key="k")
        assert again.status_code == 200
        assert len(web.hop.messages) == 1


@pytest.mark.attack(58)
async def test_where_the_store_is_gone_nothing_is_sent_under_a_key(tmp_path, monkeypatch):
    async with service(tmp_path) as web:
        await web.get("/v1/messages")

        def fails(*_):
            raise StoreError("database is locked: secret")

        monkeypatch.setattr(answered, "begin", fails)
        answer = await web.post("/v1/messages", web.mail(), Idempotency_Key="k")
        assert answer.status_code == 503
        assert "secret" not in answer.text
        assert web.hop.messages == []


@pytest.mark.parametrize("key", ['""', "a b", '"open', "x" * 256, "é".encode()])
async def test_a_key_that_is_none_is_said_to_be(tmp_path, key):
    async with service(tmp_path) as web:
        answer = await web.post("/v1/messages", web.mail(), Idempotency_Key=key)
        assert answer.status_code in {400, 422}
        assert web.hop.messages == []


async def test_a_client_that_goes_away_stops_nothing(tmp_path):
    async with service(tmp_path) as web:
        dot, go_on = asyncio.Event(), asyncio.Event()
        real = web.hop._answer

        async def answer(session, writer, verb, line):
            if verb == "DOT":
                dot.set()
                await go_on.wait()
            return await real(session, writer, verb, line)

        web.hop._answer = answer
        asked = asyncio.ensure_future(web.post("/v1/messages", web.mail()))
        await dot.wait()
        asked.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asked
        go_on.set()
        others = [one for one in asyncio.all_tasks() if "submit" in repr(one)]
        assert others
        await asyncio.wait(others, timeout=5)
        await web.settle()
        (one,) = (await web.get("/v1/messages")).json()["messages"]
        assert one["to"] == [{"rcpt": "pat@example.net", "state": "sent"}]


async def test_a_file_arrives_as_it_was(tmp_path):
    octets = bytes(range(256)) * 40
    files = [{"name": "a.bin", "content": base64.b64encode(octets).decode(), "type": "application/pdf"}]
    async with service(tmp_path) as web:
        answer = await web.post("/v1/messages", json.dumps(web.mail(attachments=files)))
        assert answer.status_code == 200, answer.text
        import email
        import email.policy

        whole = email.message_from_bytes(web.hop.messages[0].octets, policy=email.policy.SMTP)
        (part,) = whole.iter_attachments()
        assert part.get_content() == octets
