"""Which value fits a variable's name: a URL for `reset_url`, a first name for `user.first_name`.

The domain is reserved (ICANN's base registry agreement, specification 5 section 1, withholds the label "example" in every
generic top-level domain), but is not one that rules take for a link that somebody forgot to set, as example.com is.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from itertools import pairwise

DOMAIN = "example.email"
SITE = f"https://www.{DOMAIN}"
MOMENT = datetime(2026, 11, 23, 10, 30)  # noqa: DTZ001 -- what programs hand to templates has no zone either
MAX_WORDS = 60  # characters of a value made of the variable's name

# By the last words of a variable's path, the longest that is here. Of two values the second is for the second item of a list.
_TEXTS: dict[str, str | tuple[str, str]] = {
    # people and places
    "name": "Pat Sample",
    "names": "Pat Sample, Robin Sample",
    "first_name": ("Pat", "Robin"),
    "given_name": ("Pat", "Robin"),
    "fname": ("Pat", "Robin"),
    "firstname": ("Pat", "Robin"),
    "last_name": "Sample",
    "family_name": "Sample",
    "lastname": "Sample",
    "surname": "Sample",
    "lname": "Sample",
    "full_name": ("Pat Sample", "Robin Sample"),
    "fullname": ("Pat Sample", "Robin Sample"),
    "display_name": ("Pat Sample", "Robin Sample"),
    "user_display": "Pat Sample",
    "user": "Pat Sample",
    "customer": "Pat Sample",
    "recipient": "Pat Sample",
    "author": "Robin Sample",
    "sender": "Robin Sample",
    "sender_name": "Robin Sample",
    "from_name": "Robin Sample",
    "inviter": "Robin Sample",
    "username": "pat.sample",
    "login": "pat.sample",
    "nickname": "Pat",
    "salutation": "Pat",
    "initials": "PS",
    "title": "Spring in the garden",
    "email": f"pat.sample@{DOMAIN}",
    "e_mail": f"pat.sample@{DOMAIN}",
    "mail": f"pat.sample@{DOMAIN}",
    "email_address": f"pat.sample@{DOMAIN}",
    "emailaddress": f"pat.sample@{DOMAIN}",
    "support_email": f"help@{DOMAIN}",
    "contact_email": f"help@{DOMAIN}",
    "from_email": f"hello@{DOMAIN}",
    "reply_to": f"hello@{DOMAIN}",
    "phone": "+43 1 234567",
    "telephone": "+43 1 234567",
    "phone_number": "+43 1 234567",
    "mobile": "+43 1 234567",
    "fax": "+43 1 234567",
    "address": "Gartenweg 7, 1010 Vienna, Austria",
    "address1": "Gartenweg 7",
    "address_1": "Gartenweg 7",
    "address2": "Staircase 2",
    "address_2": "Staircase 2",
    "street": "Gartenweg 7",
    "line1": "Gartenweg 7",
    "line2": "Staircase 2",
    "city": "Vienna",
    "town": "Vienna",
    "state": "Vienna",
    "region": "Vienna",
    "province": "Vienna",
    "country": "Austria",
    "country_code": "AT",
    "zip": "1010",
    "zip_code": "1010",
    "zipcode": "1010",
    "postcode": "1010",
    "postal_code": "1010",
    "location": "Vienna",
    "venue_name": "Garden Hall",
    "room": "Room 7",
    "room_name": "Room 7",
    "timezone": "Europe/Vienna",
    "tz": "Europe/Vienna",
    "gender": "female",
    "company": "Garden Shop Ltd",
    "company_name": "Garden Shop Ltd",
    "organization": "Sample Brothers",
    "organisation": "Sample Brothers",
    "organization_name": "Sample Brothers",
    "affiliation": "University of Vienna",
    "brand": "Garden Shop",
    "brand_name": "Garden Shop",
    "shop": "Garden Shop",
    "shop_name": "Garden Shop",
    "store_name": "Garden Shop",
    "site_name": "Garden Shop",
    "app_name": "Garden Shop",
    "server_name": "Garden Shop",
    "team_name": "Gardeners",
    "group_name": "Gardeners",
    "provider": "Garden Bank",
    # links and pictures
    "url": (f"{SITE}/garden", f"{SITE}/chairs"),
    "uri": f"{SITE}/garden",
    "link": (f"{SITE}/garden", f"{SITE}/chairs"),
    "href": (f"{SITE}/garden", f"{SITE}/chairs"),
    "permalink": f"{SITE}/garden",
    "site": SITE,
    "website": SITE,
    "homepage": SITE,
    "base_url": SITE,
    "site_url": SITE,
    "root_url": SITE,
    "unsubscribe": f"{SITE}/unsubscribe/u7",
    "unsubscribe_url": f"{SITE}/unsubscribe/u7",
    "unsubscribe_link": f"{SITE}/unsubscribe/u7",
    "unsub_url": f"{SITE}/unsubscribe/u7",
    "preferences_url": f"{SITE}/preferences/u7",
    "view_online_url": f"{SITE}/view/u7",
    "web_version": f"{SITE}/view/u7",
    "tracking_url": f"{SITE}/parcels/7",
    "path": "/garden",
    "slug": ("garden-chair", "garden-table"),
    "domain": f"www.{DOMAIN}",
    "site_domain": f"www.{DOMAIN}",
    "host": f"www.{DOMAIN}",
    "hostname": f"www.{DOMAIN}",
    "protocol": "https",
    "scheme": "https",
    "image": (f"{SITE}/images/chair.png", f"{SITE}/images/table.png"),
    "img": (f"{SITE}/images/chair.png", f"{SITE}/images/table.png"),
    "src": (f"{SITE}/images/chair.png", f"{SITE}/images/table.png"),
    "image_url": (f"{SITE}/images/chair.png", f"{SITE}/images/table.png"),
    "image_src": (f"{SITE}/images/chair.png", f"{SITE}/images/table.png"),
    "picture": f"{SITE}/images/pat.png",
    "photo": f"{SITE}/images/pat.png",
    "avatar": f"{SITE}/images/pat.png",
    "avatar_url": f"{SITE}/images/pat.png",
    "icon": f"{SITE}/images/icon.png",
    "icon_url": f"{SITE}/images/icon.png",
    "logo": f"{SITE}/images/logo.png",
    "logo_url": f"{SITE}/images/logo.png",
    "banner": f"{SITE}/images/banner.png",
    "banner_url": f"{SITE}/images/banner.png",
    "background_image": f"{SITE}/images/banner.png",
    "alt": "A wooden garden chair",
    "image_alt": "A wooden garden chair",
    # goods and money
    "product": ("Garden chair", "Garden table"),
    "product_name": ("Garden chair", "Garden table"),
    "product_title": ("Garden chair", "Garden table"),
    "item": ("Garden chair", "Garden table"),
    "item_name": ("Garden chair", "Garden table"),
    "line_item": ("Garden chair", "Garden table"),
    "items_name": ("Garden chair", "Garden table"),
    "items_title": ("Garden chair", "Garden table"),
    "products_name": ("Garden chair", "Garden table"),
    "products_title": ("Garden chair", "Garden table"),
    "sku": ("GC-101", "GT-102"),
    "price": ("39.00", "89.00"),
    "amount": "128.00",
    "total": "128.00",
    "subtotal": "128.00",
    "sum": "128.00",
    "cost": "39.00",
    "balance": "128.00",
    "tax": "21.33",
    "vat": "21.33",
    "shipping": "4.90",
    "discount": "10",
    "percent": "10",
    "percentage": "10",
    "rate": "10",
    "currency": "EUR",
    "currency_code": "EUR",
    "currency_symbol": "€",
    "card_brand": "Visa",
    "last_four": "4242",
    "last4": "4242",
    "plan": "Basic",
    "plan_name": "Basic",
    "status": "confirmed",
    "carrier": "Austrian Post",
    "payment_method": "Visa",
    # identifiers
    "id": ("7", "8"),
    "uid": "u7",
    "uuid": "4f9d1f0e-3f6b-4c55-9c55-0d5a0b6f7a01",
    "guid": "4f9d1f0e-3f6b-4c55-9c55-0d5a0b6f7a01",
    "uidb64": "Nw",
    "pk": "7",
    "key": "u7k3f9",
    "token": "u7k3f9",
    "hash": "u7k3f9",
    "code": "A204817",
    "pin": "204817",
    "otp": "204817",
    "verification_code": "204817",
    "coupon": "SPRING10",
    "coupon_code": "SPRING10",
    "discount_code": "SPRING10",
    "promo_code": "SPRING10",
    "number": "204817",
    "reference": "A-204817",
    "order_id": "204817",
    "order_number": "204817",
    "order_name": "#204817",
    "invoice_id": "A-204817",
    "receipt_id": "A-204817",
    "tracking_number": "00340434161094021501",
    "ip": "192.0.2.7",  # RFC 5737: kept for documentation
    "ip_address": "192.0.2.7",
    "user_agent": "Firefox on Linux",
    "browser": "Firefox",
    "browser_name": "Firefox",
    "operating_system": "Linux",
    "device": "a laptop",
    "version": "4.2",
    "file_name": "invoice.pdf",
    "filename": "invoice.pdf",
    "attachment_name": "invoice.pdf",
    "attachment_type": "PDF",
    "attachment_size": "240 KB",
    # time
    "date": "23 November 2026",
    "day": "23",
    "weekday": "Monday",
    "month": "November",
    "year": "2026",
    "time": "10:30",
    "hour": "10",
    "timestamp": "23 November 2026, 10:30",
    "datetime": "23 November 2026, 10:30",
    "birthday": "23 November",
    "now": "23 November 2026",
    "today": "23 November 2026",
    "deadline": "30 November 2026",
    "start": "23 November 2026, 10:30",
    "end": "23 November 2026, 12:00",
    "due": "30 November 2026",
    "expires": "30 November 2026",
    "expiry": "30 November 2026",
    "created": "23 November 2026",
    "updated": "23 November 2026",
    "duration": "14 days",
    "expires_in": "24 hours",
    "trial_length": "14",
    # words
    "subject": "Your order has shipped",
    "email_subject": "Your order has shipped",
    "headline": "Spring in the garden",
    "heading": "Spring in the garden",
    "preheader": "Two chairs and a table are on their way",
    "preview_text": "Two chairs and a table are on their way",
    "description": "A garden chair of oak, made in Austria",
    "summary": "A garden chair of oak, made in Austria",
    "excerpt": "A garden chair of oak, made in Austria",
    "text": "Two chairs and a table are on their way.",
    "body": "Two chairs and a table are on their way.",
    "content": "Two chairs and a table are on their way.",
    "html": "Two chairs and a table are on their way.",
    "message": "Two chairs and a table are on their way.",
    "comment": "The chairs are fine, thank you.",
    "note": "The chairs are fine, thank you.",
    "reason": "the chairs are sold out",
    "feedback": "The chairs are fine, thank you.",
    "quote": "The chairs are fine.",
    "label": "Chairs",
    "category": "Chairs",
    "tag": "Chairs",
    "button": "See the chairs",
    "button_text": "See the chairs",
    "cta": "See the chairs",
    "cta_text": "See the chairs",
    "copyright": "© 2026 Garden Shop Ltd",
    "signature": "Robin Sample, Garden Shop Ltd",
    # markup
    "lang": "en",
    "language": "en",
    "language_code": "en",
    "locale": "en",
    "dir": "ltr",
    "direction": "ltr",
    "charset": "utf-8",
    "encoding": "utf-8",
    "align": "left",
    "color": "#333333",
    "colour": "#333333",
    "background": "#ffffff",
    "background_color": "#ffffff",
    "bg_color": "#ffffff",
    "bgcolor": "#ffffff",
    "text_color": "#333333",
    "font": "Helvetica, Arial, sans-serif",
    "font_family": "Helvetica, Arial, sans-serif",
    "class": "chair",
    "css_class": "chair",
    "style": "font-weight:bold",
    "styles": "",
    "css": "",
}
_NUMBERS: dict[str, int] = {
    "count": 2,
    "quantity": 2,
    "qty": 2,
    "num": 2,
    "length": 2,
    "size": 2,
    "points": 120,
    "score": 4,
    "rating": 4,
    "stars": 4,
    "age": 30,
    "days": 14,
    "hours": 24,
    "minutes": 15,
    "expiration_days": 14,
    "weeks": 2,
    "months": 12,
    "years": 2,
    "width": 600,
    "height": 200,
    "index": 1,
    "position": 1,
    "page": 1,
    "guests": 2,
    "seats": 2,
}
_DATES = frozenset({
    "date", "datetime", "timestamp", "now", "today", "deadline", "dt", "start_dt", "end_dt", "start_date", "end_date",
    "created", "updated", "expires", "expiry", "due_date", "start_time", "end_time", "created_at", "updated_at", "birthday",
})  # fmt: skip
_PREDICATES = ("is", "has", "can", "show", "should", "use", "enable", "enabled", "allow", "was", "hide")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_BREAKS = re.compile(r"[^A-Za-z0-9]+")

# Values that programs, not people, write: nobody types an emoji into them. Compared with a variable's last words.
MACHINE = frozenset({
    "id", "uid", "uuid", "guid", "uidb64", "pk", "key", "token", "hash", "digest", "slug", "sku", "lang", "language",
    "language_code", "locale", "dir", "direction", "charset", "encoding", "align", "valign", "color", "colour", "bgcolor",
    "background", "font", "font_family", "class", "css_class", "style", "styles", "css", "currency", "currency_code",
    "currency_symbol", "protocol", "scheme", "domain", "host", "hostname", "path", "status", "code", "country_code",
    "timezone", "tz", "width", "height", "size", "type", "kind", "version", "ip", "ip_address", "date", "time", "timestamp",
    "datetime", "month", "weekday", "day", "year", "today", "now", "price", "amount", "total", "subtotal", "email",
    "e_mail", "mail", "email_address", "phone", "telephone", "number", "icon", "image", "img", "src", "picture", "photo",
    "avatar", "logo", "banner", "href", "url", "uri", "link", "permalink", "filename", "last4", "last_four",
})  # fmt: skip


# What is the sender's own, and is always there.
_SENDERS = frozenset(
    {"site", "site_name", "app", "app_name", "shop", "shop_name", "store_name", "brand", "brand_name", "server_name"}
)


def words_of(path: Iterable[str]) -> tuple[str, ...]:
    """The words of a path in lower case: ("order", "shipping", "first", "name") of `order.shippingFirstName`."""
    return tuple(word for step in path for word in _words(step))


@lru_cache(maxsize=4096)
def _words(step: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in _BREAKS.split(_CAMEL.sub("_", step)) if word)


@lru_cache(maxsize=4096)
def _ends(words: tuple[str, ...]) -> tuple[str, ...]:
    """The last words, the longest first."""
    return tuple("_".join(words[at:]) for at in range(max(len(words) - 4, 0), len(words)))


def text_for(path: Iterable[str], number: int = 0) -> str:
    """A text that fits; `number` is the item of a list that it is for."""
    return _text(words_of(path), number)


def _text(words: tuple[str, ...], number: int) -> str:
    for end in _ends(words):
        found = _TEXTS.get(end)
        if found is not None:
            if not isinstance(found, str):
                return found[number % 2]
            # Two orders have two numbers.
            return str(int(found) + number) if number and found.isdigit() else found
        if end in _NUMBERS:
            return str(_NUMBERS[end] + number)
        if end in _DATES or end.endswith(("_at", "_on")):
            return str(_TEXTS["date"])
    if _makes_url(words):
        return f"{SITE}/garden"
    # "message_complete" says more than any word that fits everywhere, and shows which variable it is.
    return "-".join(words[-3:])[:MAX_WORDS].capitalize() or "Sample"  # no blank: it may stand in a URL


def _makes_url(words: tuple[str, ...]) -> bool:
    """Whether it is a function of the sender's program that makes a URL: `url_for`, `external_url_for`, `url_for_index`."""
    return any(pair == ("url", "for") for pair in pairwise(words))


def value_for(path: Iterable[str], number: int = 0) -> str | int:
    """The same, but a number for what is one everywhere."""
    words = words_of(path)
    for end in _ends(words):
        if end in _TEXTS:
            break
        if end in _NUMBERS:
            return _NUMBERS[end] + number
    return _text(words, number)


def is_count(path: Iterable[str]) -> bool:
    """Whether it is a number that is compared with others."""
    return any(end in _NUMBERS or end.startswith("num_") for end in _ends(words_of(path)))


def is_predicate(path: Iterable[str]) -> bool:
    """Whether its name asks a question: `is_new`, `has_items`."""
    steps = tuple(path)
    words = words_of(steps[-1:])
    return len(words) > 1 and words[0] in _PREDICATES


def is_machines(path: Iterable[str]) -> bool:
    """Whether the name says that no person types the value."""
    words = words_of(path)
    return is_count(path) or any(end in MACHINE for end in _ends(words))


def is_the_senders(path: Iterable[str]) -> bool:
    """Whether the name says that the value is the same in every mail."""
    return not _SENDERS.isdisjoint(_ends(words_of(path)))


def singular(name: str) -> str:
    """What one of several is called, as far as an English plural tells."""
    return name[:-1] if name.endswith("s") and not name.endswith("ss") and len(name) > len("us") else name
