"""Webhooks of sending services: only what they signed counts, once, and only about recipients of messages of ours."""

import base64
import hashlib
import hmac
import json
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from delivcheck import ulid
from delivcheck.config import Config
from delivcheck.gate import settings
from delivcheck.gate.desk import Desk
from delivcheck.gate.http import reports
from delivcheck.gate.settings import Provider, Reports, Secret
from delivcheck.trace import schema
from delivcheck.trace.bounces import services, signatures
from delivcheck.trace.ingest import ingest
from delivcheck.trace.records import Message
from delivcheck.trace.store import Store
from delivcheck.trace.tokens import KEY, Tokens
from tests.trace.conftest import made as migrated

PAT = "pat@example.net"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:ses"
CERTIFICATE = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
KEY_RSA, KEY_OTHER = (rsa.generate_private_key(65537, 2048) for _ in range(2))
KEY_EC = ec.generate_private_key(ec.SECP256R1())
PUBLIC_EC = base64.b64encode(
    KEY_EC.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
)


def certificate():
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(KEY_RSA.public_key()).serial_number(1)
    made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=9))
    return made.sign(KEY_RSA, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


PEM = certificate()


class World:
    """A desk of real parts but for the journal: what is noted goes into the store at once."""

    def __init__(self, folder):
        self.store = Store(f"sqlite:///{folder / 'trace.sqlite'}")
        migrated(self.store)
        self.fetched = []
        for name, text in (("pm", "s3cret"), ("mg", "signing-key"), ("sg", PUBLIC_EC.decode())):
            (folder / name).write_text(f"{text}\n")
        hooks = (
            Reports("pm", Provider.POSTMARK, Secret(file=folder / "pm"), user="hook"),
            Reports("pmpath", Provider.POSTMARK, Secret(file=folder / "pm")),
            Reports("mg", Provider.MAILGUN, Secret(file=folder / "mg")),
            Reports("sg", Provider.SENDGRID, Secret(file=folder / "sg")),
            Reports("aws", Provider.SES, topics=(TOPIC,), subscribe=True),
        )
        gate = settings.Gate("gate.example.org", (), state=folder, reports=hooks)
        tokens = Tokens([b"k" * KEY])
        self.desk = Desk(
            config=Config(), gate=gate, store=self.store, tokens=tokens, handing=None, note=self.note, held=None, watch=lambda *_, **__: None
        )  # fmt: skip
        self.app = FastAPI()
        self.app.include_router(reports.router(self.desk, self.fetch))
        self.trace = ulid.new()
        now = time.time_ns() // 1_000_000
        message = Message(
            trace=self.trace, received=now, recipients=(PAT,), stream="news", sha256="0" * 64, message_id="<m1@sender.example>"
        )
        ingest(self.store, [message])

    async def note(self, records):
        ingest(self.store, records)

    async def fetch(self, url):
        self.fetched.append(url)
        return PEM

    async def post(self, path, body, **more):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://gate") as client:
            return await client.post(path, content=content, **more)

    def kinds(self):
        with self.store.read() as db:
            return sorted(db.scalars(sa.select(schema.event.c.kind)))

    def suppressed(self):
        with self.store.read() as db:
            s = schema.suppression.c
            return {tuple(row) for row in db.execute(sa.select(s.address, s.stream, s.reason))}


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.store.close()


def moment():
    return datetime.now(UTC).isoformat()


def postmark(world, **more):
    return {
        "RecordType": "Bounce",
        "ID": 42,
        "Type": "HardBounce",
        "Email": PAT,
        "BouncedAt": moment(),
        "Details": "smtp;550 5.1.1 user unknown",
        "Metadata": {"trace": world.trace},
        **more,
    }


def mailgun(world, *, at=None, key="signing-key", **more):
    stamp, token = str(int(at or time.time())), "t" * 50
    signed = hmac.new(key.encode(), (stamp + token).encode(), hashlib.sha256).hexdigest()
    data = {"event": "failed", "severity": "permanent", "id": "e1", "timestamp": time.time(), "recipient": PAT}
    data |= {
        "delivery-status": {"code": 550, "message": "5.1.1 user unknown"},
        "message": {"headers": {"message-id": "m1@sender.example"}},
    }
    return {"signature": {"timestamp": stamp, "token": token, "signature": signed}, "event-data": {**data, **more}}


def sendgrid(world, *events, at=None):
    stamp = str(int(at or time.time()))
    base = {"email": PAT, "timestamp": int(time.time()), "sg_event_id": "x1", "trace": world.trace}
    body = json.dumps([{**base, **one} for one in events]).encode()
    given = base64.b64encode(KEY_EC.sign(stamp.encode() + body, ec.ECDSA(hashes.SHA256()))).decode()
    return body, {"X-Twilio-Email-Event-Webhook-Signature": given, "X-Twilio-Email-Event-Webhook-Timestamp": stamp}


def sns(said, *, version="2", key=KEY_RSA, kind="Notification", **more):
    message = {
        "Type": kind,
        "MessageId": "1",
        "TopicArn": TOPIC,
        "Message": json.dumps(said),
        "Timestamp": moment(),
        "SignatureVersion": version,
        "SigningCertURL": CERTIFICATE,
        **more,
    }
    names = ["Message", "MessageId", "Timestamp", "TopicArn", "Type"]
    if kind != "Notification":
        names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    text = "".join(f"{name}\n{message[name]}\n" for name in names)
    algorithm = hashes.SHA1() if version == "1" else hashes.SHA256()
    message["Signature"] = base64.b64encode(key.sign(text.encode(), padding.PKCS1v15(), algorithm)).decode()
    return message


def ses(world, **bounce):
    recipient = {"emailAddress": PAT, "status": "5.1.1", "diagnosticCode": "smtp; 550 5.1.1 user unknown"}
    said = {
        "bounceType": "Permanent",
        "bounceSubType": "General",
        "bouncedRecipients": [recipient],
        "timestamp": moment(),
        **bounce,
    }
    return {
        "notificationType": "Bounce",
        "mail": {"messageId": "ses1", "tags": {"trace": [world.trace]}, "headers": []},
        "bounce": said,
    }


BOUNCED = ({(PAT, "", "bounce")}, ["bounced"])


async def test_postmark_proves_itself_by_password_or_path_and_comes_twice_for_nothing(world):
    assert (await world.post("/hooks/pm", postmark(world))).status_code == 401
    assert (await world.post("/hooks/pm", postmark(world), auth=("hook", "wrong"))).status_code == 401
    assert (await world.post("/hooks/pmpath/wrong", postmark(world))).status_code == 404
    assert (world.suppressed(), world.kinds()) == (set(), [])
    body = postmark(world)
    for _ in range(2):
        assert (await world.post("/hooks/pm", body, auth=("hook", "s3cret"))).status_code == 200
    assert (await world.post("/hooks/pmpath/s3cret", body)).status_code == 200
    assert (world.suppressed(), world.kinds()) == BOUNCED


async def test_mailgun_is_believed_with_its_hmac_within_its_time(world):
    assert (await world.post("/hooks/mg", mailgun(world, key="other"))).status_code == 403
    assert (await world.post("/hooks/mg", mailgun(world, at=time.time() - 2 * signatures.MAILGUN_WINDOW))).status_code == 403
    body = mailgun(world)
    for _ in range(2):
        assert (await world.post("/hooks/mg", body)).status_code == 200
    assert (world.suppressed(), world.kinds()) == BOUNCED


async def test_sendgrid_is_believed_with_its_ecdsa_signature(world):
    body, header = sendgrid(world, {"event": "bounce", "type": "bounce", "status": "5.1.1", "reason": "550 5.1.1 user unknown"})
    assert (await world.post("/hooks/sg", body + b" ", headers=header)).status_code == 403
    assert (await world.post("/hooks/sg", body)).status_code == 403
    assert (await world.post("/hooks/sg", body, headers=header)).status_code == 200
    assert (world.suppressed(), world.kinds()) == BOUNCED
    old, header = sendgrid(world, {"event": "delivered"}, at=time.time() - 2 * signatures.SENDGRID_WINDOW)
    assert (await world.post("/hooks/sg", old, headers=header)).status_code == 403


@pytest.mark.parametrize("version", ["1", "2"])
async def test_sns_is_believed_with_a_certificate_of_amazons_and_a_topic_of_ours(world, version):
    good = sns(ses(world), version=version)
    for bad in (
        {**good, "Message": good["Message"].replace("5.1.1", "5.1.6")},
        {**good, "TopicArn": TOPIC.replace("1234", "9999")},
        {**good, "SigningCertURL": CERTIFICATE.replace("amazonaws.com", "amazonaws.com.evil.example")},
        {**good, "SigningCertURL": CERTIFICATE.replace("https", "http")},
        {**good, "SigningCertURL": CERTIFICATE.replace("sns.eu-west-1", "s3.eu-west-1")},
        {**good, "SigningCertURL": CERTIFICATE.replace("eu-west-1", "us-east-1")},
        {**good, "SignatureVersion": "3"},
        sns(ses(world), key=KEY_OTHER),
    ):
        assert (await world.post("/hooks/aws", bad)).status_code == 403
    assert set(world.fetched) <= {CERTIFICATE}
    for _ in range(2):
        assert (await world.post("/hooks/aws", good)).status_code == 200
    assert (world.suppressed(), world.kinds()) == BOUNCED


@pytest.mark.attack(65)
async def test_a_subscription_is_confirmed_at_amazon_and_nowhere_else(world):
    url = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=x&Token=y"
    evil = (
        "http://169.254.169.254/latest",
        "https://127.0.0.1/?Action=ConfirmSubscription",
        url.replace("amazonaws.com", "amazonaws.com@evil.example"),
    )
    for one in (*evil, url.replace("ConfirmSubscription", "DeleteTopic")):
        message = sns({}, kind="SubscriptionConfirmation", SubscribeURL=one, Token="y")
        assert (await world.post("/hooks/aws", message)).status_code == 403
        assert one not in world.fetched
    assert (
        await world.post("/hooks/aws", sns({}, kind="SubscriptionConfirmation", SubscribeURL=url, Token="y"))
    ).status_code == 200
    assert url in world.fetched


async def test_what_a_service_calls_hard_suppresses_nobody_where_it_is_our_fault(world):
    for number, text in enumerate(
        ("smtp;550 5.7.26 unauthenticated - gsmtp", "552 5.2.2 mailbox full", "550 5.7.1 blocked", "421 4.7.0 later", "")
    ):
        body = postmark(world, ID=number, Details=text)
        assert (await world.post("/hooks/pm", body, auth=("hook", "s3cret"))).status_code == 200
    assert world.suppressed() == set()
    assert world.kinds() == ["bounced"] * 5


async def test_a_complaint_stops_its_stream_and_an_autoresponder_nothing(world):
    for type_ in ("AutoResponder", "AddressChange"):
        assert (await world.post("/hooks/pm", postmark(world, Type=type_), auth=("hook", "s3cret"))).status_code == 200
    assert world.kinds() == []
    body = {"RecordType": "SpamComplaint", "ID": 7, "Email": PAT, "BouncedAt": moment(), "Metadata": {"trace": world.trace}}
    await world.post("/hooks/pm", body, auth=("hook", "s3cret"))
    assert world.suppressed() == {(PAT, "news", "complaint")}


async def test_what_is_about_nobody_of_ours_is_taken_and_forgotten(world):
    for body in (
        postmark(world, Email="victim@example.net"),
        postmark(world, Metadata={}),
        postmark(world, RecordType="Unheard"),
        postmark(world, Metadata={"trace": "x"}),
    ):
        assert (await world.post("/hooks/pm", body, auth=("hook", "s3cret"))).status_code == 200
    assert (world.suppressed(), world.kinds()) == (set(), [])


async def test_a_message_that_is_not_in_the_store_yet_is_asked_for_again(world):
    answer = await world.post("/hooks/pm", postmark(world, Metadata={"trace": ulid.new()}), auth=("hook", "s3cret"))
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers


def mailgun_parent(world):
    body = mailgun(world, key="a subaccount's")
    stamp, token = body["signature"]["timestamp"], body["signature"]["token"]
    body["signature"]["parent-signature"] = hmac.new(b"signing-key", (stamp + token).encode(), hashlib.sha256).hexdigest()
    return body


async def test_mailgun_of_a_subaccount_is_believed_by_its_parents_key(world):
    assert (await world.post("/hooks/mg", mailgun_parent(world))).status_code == 200
    assert (world.suppressed(), world.kinds()) == BOUNCED


WHEN = "2026-11-20T10:00:00.5Z"
ABOUT = {"Email": PAT, "BouncedAt": WHEN, "ID": 1, "RecordType": "Bounce", "Details": ""}
CHANGED = {
    "RecordType": "SubscriptionChange",
    "Recipient": PAT,
    "ChangedAt": WHEN,
    "SuppressSending": True,
    "Origin": "Recipient",
}


def event_data(**more):
    return {"event-data": {"event": "failed", "id": "e", "timestamp": 1.5, "recipient": PAT, **more}}


def from_ses(**said):
    return {"mail": {"messageId": "1", "timestamp": WHEN, "destination": [PAT]}, **said}


def from_sendgrid(**said):
    return [{"email": PAT, "timestamp": 1, "sg_event_id": "e", **said}]


TO = [{"emailAddress": PAT, "diagnosticCode": "Amazon SES did not send the message to this address"}]
GONE = {"code": 550, "message": "5.1.1 user unknown"}


@pytest.mark.parametrize(
    ("provider", "payload", "kind", "reason"),
    [
        ("postmark", {**ABOUT, "Type": "Unsubscribe"}, "unsubscribed", "unsubscribe"),
        ("postmark", {**ABOUT, "Type": "Subscribe"}, None, None),
        ("postmark", {**ABOUT, "Type": "Transient"}, "deferred", None),
        ("postmark", {**ABOUT, "Type": "DnsError"}, "deferred", None),
        ("postmark", {**ABOUT, "Type": "SoftBounce", "Details": "smtp;452 4.2.2 mailbox full"}, "bounced", None),
        ("postmark", {**ABOUT, "Type": "SpamNotification"}, "bounced", None),
        ("postmark", {**CHANGED, "SuppressionReason": "ManualSuppression"}, "unsubscribed", "unsubscribe"),
        ("postmark", {**CHANGED, "SuppressionReason": "ManualSuppression", "Origin": "Customer"}, None, None),
        ("postmark", {**CHANGED, "SuppressionReason": "HardBounce"}, None, None),
        ("postmark", {**CHANGED, "SuppressionReason": None, "SuppressSending": False}, None, None),
        ("mailgun", event_data(severity="temporary", **{"delivery-status": {"code": 451, "message": "4.7.652 later"}}), "deferred", None),
        ("mailgun", event_data(severity="temporary", **{"delivery-status": {"code": 498, "message": "No MX"}}), "deferred", None),
        ("mailgun", event_data(severity="permanent", **{"delivery-status": GONE}), "bounced", "bounce"),
        ("mailgun", event_data(severity="permanent", **{"delivery-status": {**GONE, "message": "no", "enhanced-code": "5.1.1"}}), "bounced", "bounce"),
        ("mailgun", event_data(severity="permanent", reason="suppress-bounce", **{"delivery-status": {"code": 605}}), "suppressed", None),
        ("mailgun", event_data(event="opened", **{"client-info": {"bot": "apple"}}), "opened", None),
        ("ses", from_ses(eventType="Bounce", bounce={"bounceType": "Permanent", "bounceSubType": "OnAccountSuppressionList", "bouncedRecipients": TO, "timestamp": WHEN}), "suppressed", None),
        ("ses", from_ses(notificationType="Bounce", bounce={"bounceType": "Permanent", "bounceSubType": "Suppressed", "bouncedRecipients": TO, "timestamp": WHEN}), "suppressed", None),
        ("ses", from_ses(notificationType="Complaint", complaint={"complaintSubType": "OnAccountSuppressionList", "complainedRecipients": TO, "timestamp": WHEN}), "suppressed", None),
        ("ses", from_ses(notificationType="Complaint", complaint={"complaintSubType": None, "complaintFeedbackType": "abuse", "complainedRecipients": TO, "timestamp": WHEN}), "complained", "complaint"),
        ("ses", from_ses(notificationType="Complaint", complaint={"complaintFeedbackType": "not-spam", "complainedRecipients": TO, "timestamp": WHEN}), None, None),
        ("ses", from_ses(eventType="DeliveryDelay", deliveryDelay={"delayType": "SpamDetected", "delayedRecipients": [{"emailAddress": PAT, "status": "4.4.1"}], "timestamp": WHEN}), "deferred", None),
        ("ses", from_ses(eventType="Reject", reject={"reason": "Bad content"}), "bounced", None),
        ("ses", from_ses(eventType="Subscription", subscription={"timestamp": WHEN, "newTopicPreferences": {"unsubscribeAll": True}}), "unsubscribed", "unsubscribe"),
        ("ses", from_ses(eventType="Subscription", subscription={"timestamp": WHEN, "newTopicPreferences": {"unsubscribeAll": False}}), None, None),
        ("sendgrid", from_sendgrid(event="dropped", reason="Bounced Address", status="5.0.0"), "suppressed", None),
        ("sendgrid", from_sendgrid(event="dropped", reason="Invalid"), "bounced", None),
        ("sendgrid", from_sendgrid(event="bounce", type="blocked", reason="550 5.1.1 user unknown"), "bounced", None),
        ("sendgrid", from_sendgrid(event="bounce", type="bounce", reason="550 5.1.1 user unknown", status="5.0.0"), "bounced", "bounce"),
        ("sendgrid", from_sendgrid(event="deferred", response="400 try again later", attempt="5"), "deferred", None),
        ("sendgrid", from_sendgrid(event="group_resubscribe"), None, None),
    ],
)  # fmt: skip
def test_what_services_document_is_read_as_they_mean_it(provider, payload, kind, reason):
    told = services.told(provider, payload)
    assert [(one.kind, one.reason, one.recipient) for one in told] == ([(kind, reason, PAT)] if kind else [])


@pytest.mark.attack(67)
async def test_bodies_are_bounded_and_what_is_no_report_is_refused(world):
    auth = ("hook", "s3cret")
    assert (await world.post("/hooks/pm", b"x" * (reports.MAX_BODY + 1), auth=auth)).status_code == 413
    for body in (b"", b"[", b"null", b"7", b"[]", b"{}", b"[" * 100_000, b'{"RecordType": "Bounce"}', b"\xff"):
        assert (await world.post("/hooks/pm", body, auth=auth)).status_code == 400
    assert (await world.post("/hooks/nobody", b"{}")).status_code == 404


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["mail", "bounce", "event", "event-data", "RecordType", "timestamp", "email", "headers", "message"]), inner, max_size=4),
)  # fmt: skip


@given(st.sampled_from(sorted(Provider)), _JSON)
def test_any_payload_is_read_or_is_a_payload_error(provider, payload):
    try:
        services.told(provider, payload)
    except services.PayloadError:
        return
