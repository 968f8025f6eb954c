"""200 mail templates with their data, as a shop would have them, the same each time: what `tests.bench.templates` measures.

They are written in Jinja2, whose loops, tests and values Django and Liquid read as they are; for Handlebars they are rewritten.
Each has an HTML of 5 to 15 KB when it is rendered, most a plain-text twin and a subject, and one data set beside it.
"""

import json
import re
from pathlib import Path

SHARES = {"jinja2": 100, "django": 40, "mjml": 20, "jinja2+mjml": 10, "handlebars": 20, "liquid": 5, "html": 5}  # 200

CONFIG = """
[templates]
from = "Harbour Coffee <orders@harbour-coffee.example>"
[[templates.overrides]]
paths = ["django/*"]
engine = "django"
[[templates.overrides]]
paths = ["liquid/*"]
engine = "liquid"
[[templates.overrides]]
paths = ["handlebars/*"]
engine = "handlebars"
"""

KINDS = (
    ("Your order {{ order.number }} is on its way", "Your order is on its way", "Follow the parcel"),
    ("Receipt for order {{ order.number }}", "Thank you for your order", "See the receipt"),
    ("Order {{ order.number }}: an item is late", "An item of your order is late", "Change the order"),
    ("Set a new password", "You asked for a new password", "Set a new password"),
    ("{{ user.first_name }}, confirm your address", "One click and you are in", "Confirm the address"),
    ("Invoice {{ order.number }} for {{ user.first_name }}", "Your invoice of this month", "Open the invoice"),
    ("Your parcel waits at {{ shop.city }}", "Your parcel is ready to be collected", "Find the shop"),
    ("How was order {{ order.number }}?", "Tell us how it was", "Write a review"),
)
STORIES = (
    "We packed your beans this morning, within an hour of roasting, and the courier has taken them with the noon round.",
    "If you did not ask for this, somebody may have mistyped an address; nothing happens unless you press the button above.",
    "Keep this message: it is the proof of purchase that our shops ask for, and it has what your accountant wants to see.",
    "The parcel is kept for seven days. Bring a document with your name on it, or send somebody with the code below.",
    "Ships come in with the tide, and with them beans from three continents, which we roast here on the same day.",
    "Our grinder of the season is back in stock, quieter than before, and it now comes with a lid that closes.",
)
GOODS = (
    "Sidamo, whole beans",
    "Huehuetenango, filter",
    "Sumatra Mandheling",
    "House espresso",
    "Decaf of the month",
    "Filters",
)

_HEAD = """<!DOCTYPE html>
<html lang="en" dir="ltr" xmlns="http://www.w3.org/1999/xhtml">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>@TITLE@</title>
  <style>
    body { margin: 0; padding: 0; width: 100% !important; background-color: #f4f1ec; -webkit-text-size-adjust: 100%; }
    table { border-collapse: collapse; border-spacing: 0; }
    img { border: 0; line-height: 100%; outline: none; text-decoration: none; }
    a { color: #7a3e12; text-decoration: underline; }
    h1 { margin: 0 0 16px; font-family: Georgia, serif; font-size: 26px; line-height: 32px; color: #2b2118; }
    h2 { margin: 24px 0 8px; font-family: Georgia, serif; font-size: 19px; line-height: 26px; color: #2b2118; }
    p { margin: 0 0 16px; font-family: Helvetica, Arial, sans-serif; font-size: 16px; line-height: 24px; color: #3d3229; }
    .card { width: 600px; background-color: #ffffff; }
    .cell { padding: 24px 32px; }
    .price { text-align: right; white-space: nowrap; }
    .button a { display: inline-block; padding: 12px 24px; background-color: #7a3e12; color: #ffffff; }
    @media only screen and (max-width: 620px) { .card { width: 100% !important; } .cell { padding: 16px !important; } }
    @media (prefers-color-scheme: dark) { body, .card { background-color: #1d1712 !important; } p, h1 { color: #f4f1ec !important; } }
  </style>
</head>
<body>
<div style="display:none;max-height:0;overflow:hidden">@PREVIEW@</div>
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"><tr><td align="center">
<table role="presentation" class="card" width="600" cellpadding="0" cellspacing="0" border="0">
<tr><td class="cell" style="padding:24px 32px;border-bottom:1px solid #e5ded4">
  <a href="https://www.harbour-coffee.example/?from=mail"><img src="https://img.harbour-coffee.example/logo.png" width="140" height="36" alt="Harbour Coffee" style="display:block"></a>
</td></tr>
<tr><td class="cell">
"""
_TAIL = """
</td></tr>
@FOOTER@
</table>
</td></tr></table>
</body>
</html>
"""
_FOOTER = """<tr><td class="cell" style="padding:24px 32px;border-top:1px solid #e5ded4;font-size:13px;line-height:20px;color:#5c5147">
  <p style="font-size:13px;line-height:20px">Harbour Coffee Ltd, 4 Quay Street, {{ shop.city }}. You get this because you ordered from us.</p>
  <p style="font-size:13px;line-height:20px"><a href="https://www.harbour-coffee.example/help">Help</a> ·
  <a href="https://www.harbour-coffee.example/privacy">Privacy</a> · <a href="{{ shop.settings_url }}">What we send you</a></p>
</td></tr>
"""
_BUTTON = """<table role="presentation" class="button" cellpadding="0" cellspacing="0" border="0" style="margin:0 0 24px"><tr>
<td style="background-color:#7a3e12;border-radius:4px"><a href="@URL@" style="display:inline-block;padding:12px 24px;font-family:Helvetica,Arial,sans-serif;font-size:16px;line-height:24px;color:#ffffff;text-decoration:none">@LABEL@</a></td>
</tr></table>
"""
_LINES = """<h2>What is in it</h2>
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0">
{% for line in order.lines %}
<tr>
  <td width="64" style="padding:8px 16px 8px 0"><img src="{{ line.image }}" width="64" height="64" alt="{{ line.name }}" style="display:block"></td>
  <td style="padding:8px 0;font-family:Helvetica,Arial,sans-serif;font-size:15px;line-height:22px;color:#3d3229"><a href="{{ line.url }}" style="color:#7a3e12">{{ line.name }}</a><br>{{ line.count }} × {{ line.price }}{% if line.note %}<br><em>{{ line.note }}</em>{% endif %}</td>
  <td class="price" style="padding:8px 0;font-family:Helvetica,Arial,sans-serif;font-size:15px;line-height:22px;color:#3d3229">{{ line.total }}</td>
</tr>
{% endfor %}
<tr><td colspan="2" style="padding:8px 0;border-top:1px solid #e5ded4">Total</td>
<td class="price" style="padding:8px 0;border-top:1px solid #e5ded4"><strong>{{ order.total }}</strong></td></tr>
</table>
"""
_ADDRESS = """<h2>Where it goes</h2>
<p>{{ user.first_name }} {{ user.last_name }}<br>{{ user.street }}<br>{{ user.city }}{% if user.phone %}<br>{{ user.phone }}{% endif %}</p>
"""
_STORY = """<h2>@HEADING@</h2>
<p style="margin:0 0 16px">@TEXT@ <a href="https://www.harbour-coffee.example/stories/@NUMBER@" style="color:#7a3e12">Read about it</a>.</p>
"""
_TEXT = """Hello {{ user.first_name }},

@TEXT@

@LABEL@: {{ action_url }}

{% for line in order.lines %}* {{ line.count }} x {{ line.name }}: {{ line.total }}
{% endfor %}
Total: {{ order.total }}

Harbour Coffee Ltd, 4 Quay Street, {{ shop.city }}
What we send you: {{ shop.settings_url }}
"""
_MJML_HEAD = """<mjml lang="en" dir="ltr">
  <mj-head>
    <mj-title>@TITLE@</mj-title>
    <mj-preview>@PREVIEW@</mj-preview>
    <mj-attributes>
      <mj-all font-family="Helvetica, Arial, sans-serif" />
      <mj-text font-size="16px" line-height="24px" color="#3d3229" />
      <mj-button background-color="#7a3e12" color="#ffffff" />
    </mj-attributes>
    <mj-style>a { color: #7a3e12; }</mj-style>
  </mj-head>
  <mj-body background-color="#f4f1ec">
    <mj-include path="@UP@partials/head.mjml" />
"""
_MJML_TAIL = """    <mj-include path="@UP@partials/foot.mjml" />
  </mj-body>
</mjml>
"""
_MJML_LOGO = """<mj-section background-color="#ffffff"><mj-column>
  <mj-image width="140px" src="https://img.harbour-coffee.example/logo.png" alt="Harbour Coffee" href="https://www.harbour-coffee.example/" />
</mj-column></mj-section>
"""
_MJML_FOOT = """<mj-section background-color="#ffffff"><mj-column>
  <mj-divider border-width="1px" border-color="#e5ded4" />
  <mj-text font-size="13px">Harbour Coffee Ltd, 4 Quay Street. <a href="https://www.harbour-coffee.example/privacy">Privacy</a></mj-text>
</mj-column></mj-section>
"""
_MJML_LINE = """<mj-section background-color="#ffffff">
  <mj-column width="25%"><mj-image src="@IMAGE@" alt="@NAME@" width="96px" /></mj-column>
  <mj-column width="75%"><mj-text><strong>@NAME@</strong><br />@PRICE@</mj-text></mj-column>
</mj-section>
"""


def _fill(text, /, **values):
    """The text with its @NAMES@ filled in."""
    return re.sub(r"@([A-Z]+)@", lambda found: str(values[found[1].lower()]), text)


def _stories(number, count, layout=_STORY):
    chosen = [STORIES[(number + at) % len(STORIES)] for at in range(count)]
    headings = [f"{text.split()[0]} {text.split()[1]}, no. {number}.{at}" for at, text in enumerate(chosen)]
    return [_fill(layout, heading=one, text=text, number=number) for one, text in zip(headings, chosen, strict=True)]


def data(number):
    """The values of one template."""
    lines = [
        {
            "name": f"{GOODS[(number + at) % len(GOODS)]}, {250 * (1 + at % 3)} g",
            "image": f"https://img.harbour-coffee.example/goods/{at}.jpg",
            "url": f"https://www.harbour-coffee.example/goods/{at}?order={number}",
            "count": 1 + at % 2,
            "price": f"£{7 + at}.50",
            "total": f"£{(1 + at % 2) * (7.5 + at):.2f}",
            "note": "roasted to order" if at % 3 == 0 else "",
        }
        for at in range(3 + number % 6)
    ]
    return {
        "user": {
            "first_name": ("Pat", "Zoë", "Aiko", "Núria")[number % 4],
            "last_name": "Fisher",
            "street": f"{number} Long Lane",
            "city": "Bristol",
            "phone": "+44 117 496 0123" if number % 2 else "",
        },
        "order": {"number": f"HC-{10_000 + number}", "total": "£64.20", "lines": lines},
        "shop": {"city": "Bristol", "settings_url": "https://www.harbour-coffee.example/settings?u=7f3a"},
        "action_url": f"https://www.harbour-coffee.example/orders/{10_000 + number}",
    }


# --- the languages -------------------------------------------------------------------------------------------------


def _body(number, button):
    _, title, label = KINDS[number % len(KINDS)]
    parts = [f"<h1>{title}</h1>\n<p>Hello {{{{ user.first_name }}}},</p>\n", *_stories(number, 2), button(label)]
    parts += [_LINES, _ADDRESS] if number % 4 else [_ADDRESS, _LINES]
    return "".join([*parts, *_stories(number + 3, 1 + number % 3)])


def _button(label):
    return _fill(_BUTTON, url="{{ action_url }}", label=label)


def _subject_and_text(number):
    subject, _, label = KINDS[number % len(KINDS)]
    return subject + "\n", _fill(_TEXT, text=STORIES[number % len(STORIES)], label=label)


def jinja(number):
    """Inheritance two deep, an include, an imported macro."""
    subject, text = _subject_and_text(number)
    html = _body(number, '{{{{ ui.button(action_url, "{}") }}}}\n'.format)
    html = (
        '{% extends "layouts/order.html.j2" %}\n{% import "macros/ui.html.j2" as ui %}\n'
        f"{{% block title %}}{KINDS[number % len(KINDS)][1]}{{% endblock %}}\n"
        f"{{% block preview %}}{STORIES[(number + 1) % len(STORIES)]}{{% endblock %}}\n"
        f"{{% block content %}}\n{html}{{% endblock %}}\n"
    )
    return {"html.j2": html, "subject.j2": subject} | ({"txt.j2": text} if number % 5 else {})


def _layouts(suffix):
    blocks = {"title": "{% block title %}Harbour Coffee{% endblock %}", "preview": "{% block preview %}{% endblock %}"}
    base = (
        _fill(_HEAD, **blocks)
        + "{% block main %}{% endblock %}"
        + _fill(_TAIL, footer='{% include "partials/footer.html' + suffix + '" %}')
    )
    order = f'{{% extends "layouts/base.html{suffix}" %}}\n{{% block main %}}{{% block content %}}{{% endblock %}}{{% endblock %}}\n'
    return {f"layouts/base.html{suffix}": base, f"layouts/order.html{suffix}": order, f"partials/footer.html{suffix}": _FOOTER}


def django(number):
    """Inheritance two deep, includes with values, filters, translated words."""
    subject, text = _subject_and_text(number)
    html = _body(number, '{{% include "partials/button.html" with url=action_url label="{}" %}}\n'.format)
    html = html.replace("{{ user.first_name }}", "{{ user.first_name|capfirst }}").replace(
        "Total</td>", '{% translate "Total" %}</td>'
    )
    html = (
        '{% extends "layouts/order.html" %}{% load i18n %}\n'
        f"{{% block title %}}{KINDS[number % len(KINDS)][1]}{{% endblock %}}\n"
        f"{{% block content %}}\n{html}{{% endblock %}}\n"
    )
    return {"html": html, "subject.txt": "{% autoescape off %}" + subject.strip() + "{% endautoescape %}\n", "txt": text}


def mjml(number):
    """Includes, attributes, sections; no values, as MJML itself has none."""
    _, title, label = KINDS[number % len(KINDS)]
    lines = "".join(
        _fill(_MJML_LINE, image=line["image"], name=line["name"], price=line["price"])
        for line in data(number)["order"]["lines"][:4]
    )
    return {"mjml": _mjml(number, title, label, "https://www.harbour-coffee.example/orders", "./", lines)}


def mjml_in_jinja(number):
    """The same with values and a loop."""
    subject, title, label = KINDS[number % len(KINDS)]
    line = _fill(_MJML_LINE, image="{{ line.image }}", name="{{ line.name }}", price="{{ line.total }}")
    lines = f"{{% for line in order.lines %}}\n{line}{{% endfor %}}\n"
    return {"mjml.j2": _mjml(number, title, label, "{{ action_url }}", "../mjml/", lines), "subject.j2": subject}


def _mjml(number, title, label, url, up, lines):
    section = '<mj-section background-color="#ffffff"><mj-column>\n{}</mj-column></mj-section>\n'
    stories = "".join(_stories(number, 2, "<mj-text><h2>@HEADING@</h2><p>@TEXT@</p></mj-text>\n"))
    first = f'<mj-text><h1>{title}</h1></mj-text>\n{stories}<mj-button href="{url}">{label}</mj-button>\n'
    head = _fill(_MJML_HEAD, title=title, preview=STORIES[number % len(STORIES)], up=up)
    return head + section.format(first) + lines + _fill(_MJML_TAIL, up=up)


def handlebars(number):
    """Block helpers and a partial."""
    subject, _, text = (*_subject_and_text(number), "")[0], "", _subject_and_text(number)[1]
    whole = _fill(_HEAD, title=KINDS[number % len(KINDS)][1], preview=STORIES[number % len(STORIES)])
    whole += _body(number, _button) + _fill(_TAIL, footer="{{> footer }}")
    return {"html.hbs": _rewritten(whole), "subject.hbs": subject, "txt.hbs": _rewritten(text)}


def _rewritten(text):
    for said, instead in (
        (r"\{% for (\w+) in ([\w.]+) %\}", r"{{#each \2 as |\1|}}"),
        (r"\{% endfor %\}", "{{/each}}"),
        (r"\{% if ([\w.]+) %\}", r"{{#if \1}}"),
        (r"\{% endif %\}", "{{/if}}"),
    ):
        text = re.sub(said, instead, text)
    return text


def liquid(number):
    """An include."""
    subject, _ = _subject_and_text(number)
    whole = _fill(_HEAD, title=KINDS[number % len(KINDS)][1], preview=STORIES[number % len(STORIES)])
    whole += _body(number, _button) + _fill(_TAIL, footer="{% include 'footer' %}")
    return {"html.liquid": whole, "subject.liquid": subject}


def plain(number):
    """What a designer hands over: HTML with nothing in it."""
    _, title, label = KINDS[number % len(KINDS)]
    whole = _fill(_HEAD, title=title, preview=STORIES[number % len(STORIES)]) + f"<h1>{title}</h1>\n"
    whole += "".join(_stories(number, 3)) + _fill(_BUTTON, url="https://www.harbour-coffee.example/orders", label=label)
    return {
        "html": whole
        + "".join(_stories(number + 1, 4))
        + _fill(
            _TAIL,
            footer=_FOOTER.replace("{{ shop.city }}", "Bristol").replace(
                "{{ shop.settings_url }}", "https://www.harbour-coffee.example/settings"
            ),
        )
    }


_MACROS = "{% macro button(url, label) %}" + _fill(_BUTTON, url="{{ url }}", label="{{ label }}") + "{% endmacro %}\n"
_LANGUAGES = {  # the folder, what writes a template, the files that they share
    "jinja2": ("jinja2", jinja, _layouts(".j2") | {"macros/ui.html.j2": _MACROS}),
    "django": ("django", django, _layouts("") | {"partials/button.html": _fill(_BUTTON, url="{{ url }}", label="{{ label }}")}),
    "mjml": ("mjml", mjml, {"partials/head.mjml": _MJML_LOGO, "partials/foot.mjml": _MJML_FOOT}),
    "jinja2+mjml": ("mjml-in-jinja2", mjml_in_jinja, {}),
    "handlebars": ("handlebars", handlebars, {"partials/footer.hbs": _FOOTER}),
    "liquid": ("liquid", liquid, {"partials/footer.liquid": _FOOTER}),
    "html": ("plain", plain, {}),
}


def write(folder, shares=SHARES):
    """Write so many templates of each engine below a folder; gives the file that each is called by, with its engine."""
    folder = Path(folder)
    (folder / "delivcheck.toml").write_text(CONFIG)
    written = {}
    for engine, count in shares.items():
        name, make, shared = _LANGUAGES[engine]
        place = folder / name
        for path, text in shared.items():
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_text(text)
        place.mkdir(exist_ok=True)
        for number in range(count):
            files = make(number)
            for suffix, text in files.items():
                (place / f"mail{number:03}.{suffix}").write_text(text)
            (place / f"mail{number:03}.json").write_text(json.dumps(data(number)))
            written[place / f"mail{number:03}.{next(iter(files))}"] = engine
    return written
