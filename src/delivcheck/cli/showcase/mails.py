"""The showcase's mail: what a shop's programs send, most of it well made, some of it with the faults that are met every day."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage

from .zone import SENDER

PEOPLE = ("ada", "ben", "chloe", "dora", "emil", "farah", "hugo", "ines", "jan", "kim", "lena", "mio")
UNREACHABLE = ("gone", "full", "spam")  # `sink.ANSWERS` has what is said of them
DOMAINS = ("example.net", "example.org", "example.net", "gmail.com", "outlook.com", "yahoo.com")


@dataclass(frozen=True, slots=True)
class Letter:
    """One message, ready to be handed in."""

    sender: str
    recipient: str
    octets: bytes


_LEAVE = f"https://www.{SENDER}/unsubscribe"
_FOOT_TEXT = f"You get this letter because you asked for it in our shop. Unsubscribe: {_LEAVE}\n"
_FOOT = f'<p>You get this letter because you asked for it in our shop. <a href="{_LEAVE}">Unsubscribe</a>.</p>'


def _message(subject: str, text: str, html: str, *, stream: str, template: str, tag: str = "") -> EmailMessage:
    made = EmailMessage(policy=policy.default.clone(max_line_length=76))  # RFC 2045's limit; the default makes lines of 78
    made["From"] = f"Linden Shop <{stream}@{SENDER}>"
    made["Subject"] = subject
    made["X-Delivcheck-Stream"] = stream
    made["X-Delivcheck-Template"] = template
    if tag:
        made["X-Delivcheck-Tag"] = tag
    made.set_content(text)
    head = f'<meta charset="utf-8"><title>{subject}</title>'
    page = f'<!doctype html><html lang="en"><head>{head}</head><body>{html}</body></html>'
    made.add_alternative(page, subtype="html")
    return made


def _receipt(number: int) -> EmailMessage:
    where = f"https://www.{SENDER}/orders/{number}"
    text = f"Thank you. Order {number} is on its way.\n\nFollow it: {where}\n"
    html = f'<p>Thank you. Order <b>{number}</b> is on its way.</p><p><a href="{where}">Follow your order</a></p>'
    return _message(f"Your order {number}", text, html, stream="receipts", template="order-sent", tag="eu")


def _reset(number: int) -> EmailMessage:
    where = f"https://www.{SENDER}/reset?token=demo{number}"
    text = f"Somebody asked for a new password. If that was you: {where}\n\nThe link is good for one hour.\n"
    html = f'<p>Somebody asked for a new password.</p><p><a href="{where}">Choose a new one</a>, within one hour.</p>'
    return _message("Choose a new password", text, html, stream="resets", template="password-reset")


def _news(number: int) -> EmailMessage:
    where = f"https://www.{SENDER}/new?week={number % 52}"
    text = f"What is new this week at Linden Shop: {where}\n\n{_FOOT_TEXT}"
    html = (
        f'<h1>New this week</h1><p><a href="{where}">Lamps of ash and linen</a> are back, with free delivery until Sunday.'
        f"</p>{_FOOT}"
    )
    return _message("Lamps of ash and linen", text, html, stream="news", template="weekly", tag="autumn")


def _campaign(number: int) -> EmailMessage:
    where = f"https://www.{SENDER}/sale?week={number % 52}"
    text = f"A fifth off everything until Sunday: {where}\n\n{_FOOT_TEXT}"
    html = f'<h1>A fifth off</h1><p>Until Sunday, on <a href="{where}">everything</a>.</p>{_FOOT}'
    return _message("A fifth off everything", text, html, stream="news", template="campaign", tag="sale")


def _leftover(number: int) -> EmailMessage:
    text = f"Hi {{{{ first_name }}}}, your statement {number} is ready: https://www.{SENDER}/statements/{number}\n"
    html = f'<p>Hi {{{{ first_name }}}}, <a href="https://www.{SENDER}/statements/{number}">your statement</a> is ready.</p>'
    return _message("Your statement is ready", text, html, stream="statements", template="statement")


def _local(number: int) -> EmailMessage:
    where = f"http://localhost:3000/verify/{number}"
    html = f'<p>Welcome! <a href="{where}">Confirm your address</a>.</p>'
    return _message("Welcome to Linden Shop", f"Confirm your address: {where}\n", html, stream="receipts", template="welcome")


def _foreign(number: int) -> EmailMessage:
    made = _receipt(number)
    del made["From"]
    made["From"] = "Linden Shop <linden.shop@gmail.com>"
    return made


OFTEN = 0.06  # of the mail goes to who cannot be reached

# How often each is sent, of a hundred.
KINDS: tuple[tuple[int, Callable[[int], EmailMessage]], ...] = (
    (44, _receipt),
    (16, _reset),
    (24, _news),
    (2, _campaign),
    (6, _leftover),
    (5, _local),
    (3, _foreign),
)


def letter(number: int, dice: random.Random) -> Letter:
    """The next message."""
    made = dice.choices([make for _, make in KINDS], [often for often, _ in KINDS])[0](number)
    who = dice.choice(PEOPLE if dice.random() > OFTEN else UNREACHABLE)
    recipient = f"{who}.demo{number}@{dice.choice(DOMAINS)}"
    made["To"] = recipient
    return Letter(f"bounces@{SENDER}", recipient, made.as_bytes(policy=made.policy.clone(linesep="\r\n", cte_type="7bit")))
