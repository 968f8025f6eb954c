"""Domains as they are found in the wild, from clean to broken: records and a signed message, made from a seed.

Each kind of record has a table of ways to write it, by name; a domain draws one of each. All names are below `.example`, so that
every domain is an organizational domain of its own.
"""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests import keys

SIGNED = datetime(2026, 1, 5, 9, tzinfo=UTC)  # t= of every signature that has one
SENDS = ("192.0.2.25", "198.51.100.77", "2001:db8::25", "203.0.113.9")  # the hosts that are judged; the last is nobody's
CLEAN = 0.4  # of the draws; among the rest every way is as likely as the others


@dataclass(frozen=True)
class Domain:
    """A domain: its zone in the form of a page's `dns`, a message it signed, and which ways were drawn, by kind."""

    name: str
    zone: dict[str, object]
    octets: bytes
    ways: dict[str, str] = field(default_factory=dict)


# --- the ways: name → records, {d} being the domain. A list is several records ------------------------------------

SPF = {
    "plain": "v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/48 -all",
    "mx and a": "v=spf1 mx a ~all",
    "include": "v=spf1 include:_spf.{d} -all",
    "redirect": "v=spf1 redirect=_spf.{d}",
    "exists with macro": "v=spf1 exists:%{{i}}._ip.{d} -all",
    "macro in include": "v=spf1 include:%{{d}}.spf.{d} ?all",
    "all mechanisms": "v=spf1 a:a1.{d}/24 mx:{d} ip4:198.51.100.77 include:_spf.{d} exists:a1.{d} ~all",
    "ptr": "v=spf1 ptr:{d} -all",
    "upper case": "V=SPF1 IP4:192.0.2.25 -ALL",
    "two blanks": "v=spf1  ip4:192.0.2.25   -all ",
    "no all": "v=spf1 ip4:198.51.100.0/24",
    "plus all": "v=spf1 +all",
    "sends nothing": "v=spf1 -all",
    "version alone": "v=spf1",
    "none": None,
    "several": ["v=spf1 ip4:192.0.2.25 -all", "v=spf1 a -all"],
    "beside other txt": ["google-site-verification=abc", "v=spf1 ip4:192.0.2.25 -all", "MS=ms1"],
    "version 10": "v=spf10 ip4:192.0.2.25 -all",
    "leading blank": " v=spf1 ip4:192.0.2.25 -all",
    "joined strings lose a blank": [["v=spf1 ip4:192.0.2.25", "include:_spf.{d} -all"]],
    "joined strings": [["v=spf1 ip4:192.0.2.25 ", "include:_spf.{d} -all"]],
    "bad ip4": "v=spf1 ip4:192.0.2.999 -all",
    "ip4 short": "v=spf1 ip4:192.0.2 -all",
    "ip4 prefix 33": "v=spf1 ip4:192.0.2.0/33 -all",
    "ip4 host name": "v=spf1 ip4:mail.{d} -all",
    "ip6 in ip4": "v=spf1 ip4:2001:db8::25 -all",
    "ip6 prefix 129": "v=spf1 ip6:2001:db8::/129 -all",
    "address without ip4": "v=spf1 192.0.2.25 -all",
    "colon and blank": "v=spf1 ip4: 192.0.2.25 -all",
    "equals for a colon": "v=spf1 include=_spf.{d} -all",
    "unknown mechanism": "v=spf1 ip4:192.0.2.25 hosts:mail.{d} -all",
    "unknown modifier": "v=spf1 ip4:192.0.2.25 tag=x -all",
    "commas": "v=spf1 ip4:192.0.2.25, ip4:198.51.100.77, -all",
    "all with a value": "v=spf1 ip4:192.0.2.25 -all:{d}",
    "dash dash all": "v=spf1 ip4:192.0.2.25 --all",
    "en dash all": "v=spf1 ip4:192.0.2.25 –all",
    "quoted": '"v=spf1 ip4:192.0.2.25 -all"',
    "include of an address": "v=spf1 include:192.0.2.25 -all",
    "include of a name without record": "v=spf1 include:nothing.{d} -all",
    "include of a name that does not exist": "v=spf1 include:gone.example -all",
    "include of nothing": "v=spf1 include: -all",
    "include of itself": "v=spf1 include:{d} -all",
    "include of a loop": "v=spf1 include:loop.{d} -all",
    "include of a broken record": "v=spf1 include:broken.{d} -all",
    "include of two records": "v=spf1 include:two.{d} -all",
    "include that times out": "v=spf1 ip4:192.0.2.25 include:slow.{d} -all",
    "redirect to nothing": "v=spf1 redirect=nothing.{d}",
    "redirect twice": "v=spf1 redirect=_spf.{d} redirect=_spf.{d}",
    "redirect beside all": "v=spf1 ip4:192.0.2.25 redirect=nothing.{d} -all",
    "terms after all": "v=spf1 ip4:192.0.2.25 -all ip4:198.51.100.77",
    "ten lookups": "v=spf1 " + " ".join(f"a:a{n}.{{d}}" for n in range(10)) + " -all",
    "eleven lookups": "v=spf1 " + " ".join(f"a:a{n}.{{d}}" for n in range(11)) + " -all",
    "many lookups below": "v=spf1 include:many.{d} include:many.{d} -all",
    "two voids": "v=spf1 a:v1.{d} a:v2.{d} -all",
    "three voids": "v=spf1 a:v1.{d} a:v2.{d} a:v3.{d} -all",
    "eleven mx": "v=spf1 mx:crowd.{d} -all",
    "mx of nothing": "v=spf1 mx:nothing.{d} ip4:192.0.2.25 -all",
    "a times out": "v=spf1 a:slow.{d} -all",
    "bad macro": "v=spf1 exists:%{{z}}.{d} -all",
    "lone percent": "v=spf1 exists:100%.{d} -all",
    "macro in a modifier": "v=spf1 ip4:192.0.2.25 exp=%{{x}}.{d} -all",
    "explanation": "v=spf1 ip4:192.0.2.25 -all exp=why.{d}",
    "label of 64": "v=spf1 a:" + "a" * 64 + ".{d} -all",
    "single label": "v=spf1 include:localhost -all",
    "underscore": "v=spf1 a:_a.{d} -all",
    "trailing dot": "v=spf1 include:_spf.{d}. -all",
    "dual prefix": "v=spf1 a/24//64 -all",
    "prefix zero": "v=spf1 ip4:0.0.0.0/0 -all",
    "leading zeros": "v=spf1 ip4:192.000.002.025 -all",
    "times out": "TIMEOUT",
    "servfail": "SERVFAIL",
}
SPF_CLEAN = ("plain", "mx and a", "include", "redirect", "all mechanisms", "no all", "beside other txt", "joined strings")

DMARC = {
    "reject": "v=DMARC1; p=reject; rua=mailto:dmarc@{d}",
    "all tags": "v=DMARC1; p=quarantine; sp=none; np=reject; adkim=s; aspf=r; fo=1:d; rua=mailto:a@{d}; ruf=mailto:f@{d}; psd=n; t=y",
    "monitoring": "v=DMARC1;p=none;rua=mailto:dmarc@{d};",
    "pct": "v=DMARC1; p=quarantine; pct=50; rf=afrf; ri=86400; rua=mailto:dmarc@{d}",
    "two addresses": "v=DMARC1; p=reject; rua=mailto:dmarc@{d}, mailto:second@{d}",
    "size limit": "v=DMARC1; p=reject; rua=mailto:dmarc@{d}!10m",
    "https address": "v=DMARC1; p=reject; rua=https://{d}/reports",
    "white space": "v = DMARC1 ; p = reject ; rua = mailto:dmarc@{d}",
    "upper case tags": "v=DMARC1; P=REJECT; RUA=mailto:dmarc@{d}",
    "no addresses": "v=DMARC1; p=reject",
    "none": None,
    "several": ["v=DMARC1; p=none", "v=DMARC1; p=reject"],
    "beside other txt": ["v=DMARC1; p=reject; rua=mailto:dmarc@{d}", "google-site-verification=abc"],
    "spf in its place": "v=spf1 -all",
    "other txt in its place": "google-site-verification=abc",
    "at the domain itself": None,
    "lower case version": "v=dmarc1; p=reject; rua=mailto:dmarc@{d}",
    "version 2": "v=DMARC2; p=reject",
    "no version": "p=reject; rua=mailto:dmarc@{d}",
    "version last": "p=reject; rua=mailto:dmarc@{d}; v=DMARC1",
    "leading blank": " v=DMARC1; p=reject; rua=mailto:dmarc@{d}",
    "quoted": '"v=DMARC1; p=reject; rua=mailto:dmarc@{d}"',
    "colons for semicolons": "v=DMARC1: p=reject: rua=mailto:dmarc@{d}",
    "commas for semicolons": "v=DMARC1, p=reject, rua=mailto:dmarc@{d}",
    "no semicolons": "v=DMARC1 p=reject rua=mailto:dmarc@{d}",
    "escaped semicolons": "v=DMARC1\\; p=reject\\; rua=mailto:dmarc@{d}",
    "two semicolons": "v=DMARC1;; p=reject;; rua=mailto:dmarc@{d}",
    "no p": "v=DMARC1; rua=mailto:dmarc@{d}",
    "no p and no addresses": "v=DMARC1; sp=reject",
    "version alone": "v=DMARC1",
    "p not second": "v=DMARC1; rua=mailto:dmarc@{d}; p=reject",
    "p misspelt": "v=DMARC1; p=quarantaine; rua=mailto:dmarc@{d}",
    "p misspelt and no addresses": "v=DMARC1; p=quarantaine",
    "p empty": "v=DMARC1; p=; rua=mailto:dmarc@{d}",
    "p twice": "v=DMARC1; p=none; p=reject; rua=mailto:dmarc@{d}",
    "sp misspelt": "v=DMARC1; p=reject; sp=rejekt; rua=mailto:dmarc@{d}",
    "adkim misspelt": "v=DMARC1; p=reject; adkim=strict; rua=mailto:dmarc@{d}",
    "fo 0 and 1": "v=DMARC1; p=reject; fo=0:1; rua=mailto:dmarc@{d}",
    "fo with commas": "v=DMARC1; p=reject; fo=1,d,s; rua=mailto:dmarc@{d}",
    "t misspelt": "v=DMARC1; p=reject; t=yes; rua=mailto:dmarc@{d}",
    "psd misspelt": "v=DMARC1; p=reject; psd=no; rua=mailto:dmarc@{d}",
    "unknown tag": "v=DMARC1; p=reject; policy=x; rua=mailto:dmarc@{d}",
    "tag without value": "v=DMARC1; p=reject; rua; ruf=mailto:dmarc@{d}",
    "no mailto": "v=DMARC1; p=reject; rua=dmarc@{d}",
    "mailto with blank": "v=DMARC1; p=reject; rua=mailto: dmarc@{d}",
    "mailto without domain": "v=DMARC1; p=reject; rua=mailto:dmarc",
    "semicolon between addresses": "v=DMARC1; p=reject; rua=mailto:a@{d}; mailto:b@{d}",
    "empty address": "v=DMARC1; p=reject; rua=mailto:a@{d},,mailto:b@{d}",
    "one address bad": "v=DMARC1; p=reject; rua=mailto:a@{d},b@{d}",
    "fifty-one addresses": "v=DMARC1; p=reject; rua=" + ",".join(f"mailto:r{n}@{{d}}" for n in range(51)),
    "trailing garbage": "v=DMARC1; p=reject; rua=mailto:dmarc@{d}; done",
    "times out": "TIMEOUT",
}
DMARC_CLEAN = ("reject", "all tags", "monitoring", "two addresses", "no addresses")

MTA_STS = {
    "plain": "v=STSv1; id=20260101T000000;",
    "no final semicolon": "v=STSv1; id=20260101",
    "unknown field": "v=STSv1; id=1; extra=yes;",
    "none": None,
    "several": ["v=STSv1; id=1;", "v=STSv1; id=2;"],
    "beside other txt": ["v=STSv1; id=1;", "unrelated"],
    "spf in its place": "v=spf1 -all",
    "no id": "v=STSv1;",
    "version alone": "v=STSv1",
    "empty id": "v=STSv1; id=;",
    "id with hyphens": "v=STSv1; id=2026-01-01;",
    "id of 33": "v=STSv1; id=" + "1" * 33 + ";",
    "id twice": "v=STSv1; id=1; id=2;",
    "no semicolon": "v=STSv1 id=1",
    "blank before the semicolon": "v=STSv1 ; id=1;",
    "lower case version": "v=stsv1; id=1;",
    "version 2": "v=STSv2; id=1;",
    "id first": "id=1; v=STSv1;",
    "leading blank": " v=STSv1; id=1;",
    "quoted": '"v=STSv1; id=1;"',
    "upper case id": "v=STSv1; ID=1;",
    "blanks around equals": "v=STSv1; id = 1;",
    "two semicolons": "v=STSv1;; id=1;",
    "two semicolons at the end": "v=STSv1; id=1;;",
    "no field": "v=STSv1; id=1; whatever;",
    "extension with a blank": "v=STSv1; id=1; ext=1 2;",
    "times out": "TIMEOUT",
}
MTA_STS_CLEAN = ("plain", "no final semicolon", "none")

TLS_RPT = {
    "mailto": "v=TLSRPTv1; rua=mailto:tls@{d}",
    "https": "v=TLSRPTv1;rua=https://tls.{d}/report",
    "two addresses": "v=TLSRPTv1; rua=mailto:tls@{d},https://tls.{d}/report",
    "final semicolon": "v=TLSRPTv1; rua=mailto:tls@{d};",
    "none": None,
    "several": ["v=TLSRPTv1; rua=mailto:tls@{d}", "v=TLSRPTv1; rua=mailto:b@{d}"],
    "beside other txt": ["unrelated", "v=TLSRPTv1; rua=mailto:tls@{d}"],
    "spf in its place": "v=spf1 -all",
    "no rua": "v=TLSRPTv1;",
    "version alone": "v=TLSRPTv1",
    "empty rua": "v=TLSRPTv1; rua=",
    "no mailto": "v=TLSRPTv1; rua=tls@{d}",
    "http": "v=TLSRPTv1; rua=http://tls.{d}/report",
    "mailto without domain": "v=TLSRPTv1; rua=mailto:tls",
    "one address bad": "v=TLSRPTv1; rua=mailto:tls@{d},tls@{d}",
    "blank between addresses": "v=TLSRPTv1; rua=mailto:tls@{d} , mailto:b@{d}",
    "semicolon between addresses": "v=TLSRPTv1; rua=mailto:a@{d}; mailto:b@{d}",
    "rua twice": "v=TLSRPTv1; rua=mailto:a@{d}; rua=mailto:b@{d}",
    "second rua bad": "v=TLSRPTv1; rua=mailto:a@{d}; rua=b@{d}",
    "extension with a blank": "v=TLSRPTv1; rua=mailto:tls@{d}; ext=1 2",
    "dmarc in its place": "v=DMARC1; p=reject; rua=mailto:a@{d}",
    "lower case version": "v=tlsrptv1; rua=mailto:tls@{d}",
    "no version": "rua=mailto:tls@{d}",
    "leading blank": " v=TLSRPTv1; rua=mailto:tls@{d}",
    "quoted": '"v=TLSRPTv1; rua=mailto:tls@{d}"',
    "no semicolon": "v=TLSRPTv1 rua=mailto:tls@{d}",
    "blank before the semicolon": "v=TLSRPTv1 ; rua=mailto:tls@{d}",
    "blanks around equals": "v=TLSRPTv1; rua = mailto:tls@{d}",
    "two semicolons": "v=TLSRPTv1;; rua=mailto:tls@{d}",
    "two semicolons at the end": "v=TLSRPTv1; rua=mailto:tls@{d};;",
    "upper case mailto": "v=TLSRPTv1; rua=MAILTO:tls@{d}",
    "unknown field": "v=TLSRPTv1; rua=mailto:tls@{d}; ext=1",
    "times out": "TIMEOUT",
}
TLS_RPT_CLEAN = ("mailto", "https", "none")

# What is signed with which key, and the record published for it: {p} is the key
DKIM = {
    "rsa 2048": {"record": "v=DKIM1; k=rsa; p={p}"},
    "rsa 1024": {"key": "rsa1024", "record": "v=DKIM1; p={p}"},
    "ed25519": {"algorithm": "ed25519-sha256", "key": "ed25519", "record": "v=DKIM1; k=ed25519; p={p}"},
    "key alone": {"record": "p={p}"},
    "all tags": {"record": "v=DKIM1; h=sha256; k=rsa; n=notes; s=email; t=y; p={p}"},
    "bare key": {"record": "v=DKIM1; p={p}", "bare": True},
    "simple": {"canonicalization": "simple/simple", "record": "v=DKIM1; p={p}"},
    "simple without body": {"canonicalization": "relaxed", "record": "v=DKIM1; p={p}"},
    "own subdomain in i=": {"tags": {"i": "@news.{d}"}, "record": "v=DKIM1; p={p}"},
    "final semicolon": {"record": "v=DKIM1; k=rsa; p={p};"},
    "white space in the key": {"record": "v=DKIM1; k=rsa; p= {p} "},
    "two semicolons": {"record": "v=DKIM1;; k=rsa;; p={p}"},
    "none": {"publish": False},
    "revoked": {"record": "v=DKIM1; p="},
    "other key": {"key": "rsa2048-other", "record": keys.record("rsa2048")},
    "rsa 512": {"key": "rsa512", "record": "v=DKIM1; p={p}"},
    "rsa 768": {"key": "rsa768", "record": "v=DKIM1; p={p}"},
    "rsa-sha1": {"algorithm": "rsa-sha1", "record": "v=DKIM1; p={p}"},
    "key cut off": {"record": "v=DKIM1; k=rsa; p=" + keys.public("rsa2048")[:255]},
    "key of another kind": {"record": "v=DKIM1; k=ed25519; p={p}"},
    "ed25519 without k=": {"algorithm": "ed25519-sha256", "key": "ed25519", "record": "v=DKIM1; p={p}"},
    "unknown kind": {"record": "v=DKIM1; k=dsa; p={p}"},
    "only sha1": {"record": "v=DKIM1; h=sha1; p={p}"},
    "not for email": {"record": "v=DKIM1; s=tlsrpt; p={p}"},
    "for several services": {"record": "v=DKIM1; s=email:tlsrpt; p={p}"},
    "strict identity": {"tags": {"i": "@news.{d}"}, "record": "v=DKIM1; t=s; p={p}"},
    "lower case version": {"record": "v=dkim1; p={p}"},
    "version 2": {"record": "v=DKIM2; p={p}"},
    "version last": {"record": "k=rsa; p={p}; v=DKIM1"},
    "k after p": {"record": "v=DKIM1; p={p}; k=rsa"},
    "no p": {"record": "v=DKIM1; k=rsa"},
    "p twice": {"record": "v=DKIM1; p={p}; p={p}"},
    "escaped semicolons": {"record": "v=DKIM1\\; k=rsa\\; p={p}"},
    "quoted": {"record": '"v=DKIM1; k=rsa; p={p}"'},
    "no tag name": {"record": "{p}"},
    "pem": {"record": "v=DKIM1; p=-----BEGIN PUBLIC KEY-----{p}-----END PUBLIC KEY-----"},
    "not base64": {"record": "v=DKIM1; p={p}!"},
    "spf in its place": {"record": "v=spf1 -all"},
    "expired": {"tags": {"x": "1767700000"}, "record": "v=DKIM1; p={p}"},
    "expires before it was signed": {"tags": {"x": "1767000000"}, "record": "v=DKIM1; p={p}"},
    "expires late": {"tags": {"x": "4102444800"}, "record": "v=DKIM1; p={p}"},
    "i= elsewhere": {"tags": {"i": "@elsewhere.example"}, "record": "v=DKIM1; p={p}"},
    "no From in h=": {"headers": ["to", "subject", "date"], "record": "v=DKIM1; p={p}"},
    "l= of all": {"tags": {"l": "30"}, "record": "v=DKIM1; p={p}"},
    "l= of nothing": {"tags": {"l": "0"}, "record": "v=DKIM1; p={p}"},
    "l= too long": {"tags": {"l": "9999"}, "record": "v=DKIM1; p={p}"},
    "no v=": {"tags": {"v": False}, "record": "v=DKIM1; p={p}"},
    "v=2": {"tags": {"v": "2"}, "record": "v=DKIM1; p={p}"},
    "unknown tag": {"tags": {"zz": "1"}, "record": "v=DKIM1; p={p}"},
    "q=dns": {"tags": {"q": "dns"}, "record": "v=DKIM1; p={p}"},
    "q=dns/txt": {"tags": {"q": "dns/txt"}, "record": "v=DKIM1; p={p}"},
    "body changed": {"record": "v=DKIM1; p={p}", "afterwards": ["thank you", "thank You"]},
    "subject changed": {"record": "v=DKIM1; p={p}", "afterwards": ["Subject: ", "Subject: [list] "]},
    "footer added": {"record": "v=DKIM1; p={p}", "afterwards": ["the shop\r\n", "the shop\r\n-- \r\nlist footer\r\n"]},
    "footer beyond l=": {
        "tags": {"l": "30"},
        "record": "v=DKIM1; p={p}",
        "afterwards": ["the shop\r\n", "the shop\r\n-- \r\nlist footer\r\n"],
    },
    "second From": {"record": "v=DKIM1; p={p}", "afterwards": ["From: ", "From: x@elsewhere.example\r\nFrom: "]},
    "folded anew": {"record": "v=DKIM1; p={p}", "afterwards": ["your order of", "your order\r\n of"]},
    "folded anew under simple": {
        "canonicalization": "simple/simple",
        "record": "v=DKIM1; p={p}",
        "afterwards": ["your order of", "your order\r\n of"],
    },
    "blank lines added": {"record": "v=DKIM1; p={p}", "afterwards": ["the shop\r\n", "the shop\r\n\r\n\r\n"]},
}
DKIM_CLEAN = ("rsa 2048", "rsa 1024", "ed25519", "key alone", "all tags", "final semicolon")

MESSAGE = (
    "From: Shop <news@{d}>\r\nTo: customer@customer.example\r\nSubject: your order of today\r\n"
    "Date: Mon, 05 Jan 2026 09:00:00 +0000\r\nMessage-ID: <1@{d}>\r\n\r\nthank you\r\n.\r\n\r\n\r\n\r\nthe shop\r\n"
)

_TABLES = {
    "spf": (SPF, SPF_CLEAN),
    "dkim": (DKIM, DKIM_CLEAN),
    "dmarc": (DMARC, DMARC_CLEAN),
    "mta-sts": (MTA_STS, MTA_STS_CLEAN),
    "tls-rpt": (TLS_RPT, TLS_RPT_CLEAN),
}
_PLACES = {"spf": "{d} TXT", "dmarc": "_dmarc.{d} TXT", "mta-sts": "_mta-sts.{d} TXT", "tls-rpt": "_smtp._tls.{d} TXT"}


def generate(count: int, seed: int = 1) -> list[Domain]:
    """So many domains; each way of each kind is drawn before any is drawn again."""
    draw = random.Random(seed)
    decks: dict[str, list[str]] = {kind: [] for kind in _TABLES}
    made = []
    for number in range(count):
        ways = {}
        for kind, (table, clean) in _TABLES.items():
            if not decks[kind]:
                decks[kind] = draw.sample(sorted(table), len(table))
            # The first draws go through all ways; from then on CLEAN of them are clean.
            ways[kind] = draw.choice(clean) if number >= len(table) and draw.random() < CLEAN else decks[kind].pop()
        made.append(_make(f"d{number:03}s{seed}.example", ways))
    return made


def _make(name: str, ways: dict[str, str]) -> Domain:
    zone = _surroundings(name)
    for kind, place in _PLACES.items():
        written = _TABLES[kind][0][ways[kind]]
        if written is not None:
            zone[place.format(d=name)] = _filled(written, name)
    if ways["dmarc"] == "at the domain itself":
        here = zone.get(f"{name} TXT", [])
        if here not in ("TIMEOUT", "SERVFAIL"):
            zone[f"{name} TXT"] = [
                *(here if isinstance(here, list) else [here]),
                f"v=DMARC1; p=reject; rua=mailto:dmarc@{name}",
            ]
    spec = {"domain": name, "selector": "s1", **DKIM[ways["dkim"]]}
    spec["tags"] = {tag: value.format(d=name) if value else value for tag, value in spec.get("tags", {}).items()}
    octets, published = keys.sign_example(MESSAGE.format(d=name).encode(), spec, SIGNED)
    return Domain(name, {**zone, **published}, octets, ways)


def _filled(written, name):
    return [_filled(each, name) for each in written] if isinstance(written, list) else written.format(d=name)


def _surroundings(name: str) -> dict[str, object]:
    """What the records lead to."""
    return {
        f"{name} A": "192.0.2.25",
        f"{name} MX": f"10 mx.{name}",
        f"mx.{name} A": "198.51.100.77",
        f"_spf.{name} TXT": "v=spf1 ip4:192.0.2.25 ip6:2001:db8::/32 ~all",
        f"{name}.spf.{name} TXT": "v=spf1 ip4:198.51.100.77 -all",
        "25.2.0.192.in-addr.arpa PTR": name,
        f"192.0.2.25._ip.{name} A": "127.0.0.2",
        f"nothing.{name} TXT": "unrelated",
        f"loop.{name} TXT": f"v=spf1 include:loop2.{name} -all",
        f"loop2.{name} TXT": f"v=spf1 include:loop.{name} -all",
        f"broken.{name} TXT": "v=spf1 ip4:bad -all",
        f"two.{name} TXT": ["v=spf1 -all", "v=spf1 +all"],
        f"slow.{name} TXT": "TIMEOUT",
        f"slow.{name} A": "TIMEOUT",
        f"slow.{name} AAAA": "TIMEOUT",
        f"many.{name} TXT": "v=spf1 " + " ".join(f"a:a{n}.{name}" for n in range(6)) + " ?all",
        f"crowd.{name} MX": [f"{n} a{n}.{name}" for n in range(11)],
        f"why.{name} TXT": "Ask %{s} and not %{i}",
        f"_a.{name} A": "192.0.2.25",
        **{f"a{n}.{name} A": f"198.51.100.{77 + n}" for n in range(12)},
    }
