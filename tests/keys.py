"""Test-only DKIM keys, derived from their names, and a signer for tests that shares no code with delivcheck or dkimpy.

The keys protect nothing: whoever reads this can make them. They are derived, so that examples have the same text everywhere and
no private key lies in the repository. The signer is deliberately plain, so that it can also write signatures that are wrong.
"""

import base64
import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

RSA_SIZES = {"rsa512": 512, "rsa768": 768, "rsa1024": 1024, "rsa1536": 1536, "rsa2048": 2048, "rsa2048-other": 2048}
ED25519_NAMES = ("ed25519", "ed25519-other")

_SMALL_PRIMES = [n for n in range(3, 3000) if all(n % d for d in range(2, math.isqrt(n) + 1))]
_PRIMORIAL = math.prod(_SMALL_PRIMES)


def _octets(seed: str) -> Iterator[bytes]:
    """An endless deterministic stream of 32-octet blocks."""
    counter = 0
    while True:
        yield hashlib.sha256(f"delivcheck test key {seed} {counter}".encode()).digest()
        counter += 1


def _prime(bits: int, seed: str) -> int:
    """The first probable prime of exactly these bits, its two top bits set, after a number derived from the seed."""
    blocks = _octets(seed)
    raw = b"".join(next(blocks) for _ in range(bits // 256 + 1))
    candidate = int.from_bytes(raw, "big") % (1 << bits) | 3 << (bits - 2) | 1
    while (
        math.gcd(candidate, _PRIMORIAL) != 1
        or any(pow(base, candidate - 1, candidate) != 1 for base in (2, 3, 5))
        or (candidate - 1) % 65537 == 0
    ):
        candidate += 2
    return candidate


@cache
def rsa_key(name: str) -> rsa.RSAPrivateKey:
    """The RSA key of a name in RSA_SIZES."""
    bits = RSA_SIZES[name]
    p, q = _prime(bits // 2, f"{name} p"), _prime(bits // 2, f"{name} q")
    d = pow(65537, -1, math.lcm(p - 1, q - 1))
    public = rsa.RSAPublicNumbers(65537, p * q)
    return rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public).private_key()


@cache
def ed25519_key(name: str = "ed25519") -> ed25519.Ed25519PrivateKey:
    """The Ed25519 key of a name in ED25519_NAMES."""
    return ed25519.Ed25519PrivateKey.from_private_bytes(next(_octets(name)))


def pem(name: str) -> bytes:
    """A private key as PKCS #8 PEM."""
    key = ed25519_key(name) if name in ED25519_NAMES else rsa_key(name)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def public(name: str, *, bare: bool = False) -> str:
    """A public key as p= has it: SubjectPublicKeyInfo (or, `bare`, RSAPublicKey) for RSA, 32 octets for Ed25519, in base64."""
    if name in ED25519_NAMES:
        raw = ed25519_key(name).public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    else:
        form = serialization.PublicFormat.PKCS1 if bare else serialization.PublicFormat.SubjectPublicKeyInfo
        raw = rsa_key(name).public_key().public_bytes(serialization.Encoding.DER, form)
    return base64.b64encode(raw).decode("ascii")


def record(name: str) -> str:
    """The usual key record of a key."""
    return f"v=DKIM1; k={'ed25519' if name in ED25519_NAMES else 'rsa'}; p={public(name)}"


# --- signing -----------------------------------------------------------------------------------------------------

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:((?:[^\r\n]|\r(?!\n)|\n|\r\n[ \t])*)\r\n")
DEFAULT_HEADERS = ("from", "to", "cc", "subject", "date", "message-id", "reply-to", "mime-version", "content-type")
WITH_LISTS = ("content-transfer-encoding", "list-id", "list-unsubscribe", "list-unsubscribe-post", "feedback-id", "in-reply-to")


def split(octets: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """(name, value) of each field, and the body."""
    fields, at = [], 0
    while found := _FIELD.match(octets, at):
        fields.append((found[1], found[2]))
        at = found.end()
    return fields, octets[at + 2 :]


def _header(name: bytes, value: bytes, how: str) -> bytes:
    if how == "simple":
        return name + b":" + value
    return name.lower() + b":" + re.sub(rb"[ \t]+", b" ", value.replace(b"\r\n", b"")).strip(b" ")


def _body(body: bytes, how: str) -> bytes:
    if how == "relaxed":
        body = b"\r\n".join(re.sub(rb"[ \t]+", b" ", line).rstrip(b" ") for line in body.split(b"\r\n"))
    while body.endswith(b"\r\n\r\n"):
        body = body[:-2]
    if body == b"\r\n":
        body = b""
    if body and not body.endswith(b"\r\n"):
        body += b"\r\n"
    return body or (b"" if how == "relaxed" else b"\r\n")


def sign(octets: bytes, spec: Mapping[str, Any], now: datetime) -> bytes:
    """One DKIM-Signature field. See `sign_example` for the fields of a spec."""
    algorithm = spec.get("algorithm", "rsa-sha256")
    key = spec.get("key", "ed25519" if algorithm == "ed25519-sha256" else "rsa2048")
    canonicalization = spec.get("canonicalization", "relaxed/relaxed")
    how_header, _, how_body = canonicalization.partition("/")
    fields, body = split(octets)
    names = spec.get("headers")
    if names is None:
        present = {name.lower().decode("ascii", "replace") for name, _ in fields}
        names = [*DEFAULT_HEADERS, *DEFAULT_HEADERS, *(name for name in WITH_LISTS if name in present)]
    digest = hashlib.sha1 if algorithm.endswith("sha1") else hashlib.sha256
    hashed = _body(body, how_body or "simple")
    extra = dict(spec.get("tags", {}))
    if extra.get("l") not in {None, False}:
        hashed = hashed[: int(extra["l"])]
    tags: dict[str, Any] = {
        "v": "1",
        "a": algorithm,
        "c": canonicalization,
        "d": spec["domain"],
        "s": spec["selector"],
        "t": str(int(now.timestamp())),
        "h": ":".join(names),
        "bh": base64.b64encode(digest(hashed).digest()).decode("ascii"),
    }
    tags.update(extra)
    written = {name: value for name, value in tags.items() if value is not False and name != "h" and name != "bh"}
    text = "; ".join(f"{name}={value}" for name, value in written.items())
    if tags["h"] is not False:
        text += ";\r\n\th=" + _wrapped(tags["h"])
    if tags["bh"] is not False:
        text += f";\r\n\tbh={tags['bh']}"
    b_value = spec.get("b_value", "{b}")
    around = ("b=", f"; {text.strip()}") if spec.get("b_first") else (f" {text};\r\n\tb=", ";" if "b_value" in spec else "")
    value = "".join(around).encode()
    chosen = []
    left = list(fields)
    for wanted in names:
        for index in range(len(left) - 1, -1, -1):
            if left[index][0].lower() == wanted.lower().encode():
                chosen.append(_header(*left.pop(index), how_header) + b"\r\n")
                break
    data = b"".join(chosen) + _header(b"DKIM-Signature", value, how_header)
    if algorithm.startswith("ed25519"):
        made = ed25519_key(key).sign(digest(data).digest())
    else:
        made = rsa_key(key).sign(data, padding.PKCS1v15(), hashes.SHA1() if algorithm.endswith("sha1") else hashes.SHA256())
    coded = base64.b64encode(made).decode("ascii")
    folded = b_value.replace("{b}", "\r\n\t ".join(re.findall(".{1,72}", coded)))
    return f"DKIM-Signature:{folded.join(around)}\r\n".encode()


def _wrapped(names: str) -> str:
    """h= folded after colons, about seventy characters a line."""
    lines, line = [], ""
    for name in names.split(":"):
        if line and len(line) + len(name) > 70:
            lines.append(line)
            line = ""
        line += name + ":"
    return "\r\n\t ".join([*lines, line[:-1]])


def sign_example(octets: bytes, spec: Mapping[str, Any], now: datetime) -> tuple[bytes, dict[str, str]]:
    """Sign the message of a page's example; give it back with the signature on top, and the keys to publish.

    `spec`: domain, selector; algorithm (rsa-sha256), key (a name in RSA_SIZES or ED25519_NAMES), headers (the list h=),
    canonicalization (relaxed/relaxed), tags ({l = "5", i = "@x.example"}; `false` leaves one out), publish (true),
    record ("v=DKIM1; t=y; p={p}"), bare (p= as RSAPublicKey); `each`: a list of such specs, the first ends up on top;
    `afterwards`: [old, new], a change made to the signed message. For tests of parsers: `b_first` puts b= at the beginning, and
    `b_value` (" {b} ") is what is written as its value.
    """
    keys: dict[str, str] = {}
    made = b""
    for one in spec.get("each", [spec]):
        name = one.get("key", "ed25519" if one.get("algorithm") == "ed25519-sha256" else "rsa2048")
        made += sign(octets, one, now)
        if one.get("publish", True):
            text = one.get("record") or record(name)
            where = f"{one['selector']}._domainkey.{one['domain']} TXT"
            keys[where] = text.replace("{p}", public(name, bare=one.get("bare", False)))
    signed = made + octets
    if "afterwards" in spec:
        old, new = (part.encode() for part in spec["afterwards"])
        if old not in signed:
            raise ValueError(f"the example has no {old!r} to change")
        signed = signed.replace(old, new, 1)
    return signed, keys
