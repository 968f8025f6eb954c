"""Hypothesis strategies for DNS names, values and answers."""

import ipaddress

from hypothesis import strategies as st

from delivcheck.model import Answer, Failed, Failure, Found, NoData, NoSuchName, Question

RESOLVED = [kind for kind in Failure if kind is not Failure.LAME]  # no message says that; it is what a missing AA bit comes to

labels = st.one_of(
    st.sampled_from(["a", "b", "_dmarc", "*", "xn--bcher-kva", "s1", "x" * 63]),
    st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=8),
    st.sampled_from(["a\\.b", "\\\\", "\\000", "\\032", "\\;", "\\255z"]),  # what RFC 1035 section 5.1 escapes
)
names = st.lists(labels, min_size=1, max_size=3).map(".".join)
strings = st.one_of(st.binary(max_size=255), st.text(max_size=60).map(str.encode))
numbers = st.integers(0, 2**32 - 1)

VALUES = {
    "TXT": st.lists(strings, min_size=1, max_size=4).map(tuple),
    "A": st.integers(0, 2**32 - 1).map(lambda number: str(ipaddress.IPv4Address(number))),
    "AAAA": st.integers(2**112, 2**128 - 1).map(lambda number: str(ipaddress.IPv6Address(number))),
    "MX": st.tuples(st.integers(0, 65535), st.one_of(names, st.just(""))),
    "NS": names,
    "PTR": names,
    "CNAME": names,
    "SOA": st.tuples(names, names, numbers, numbers, numbers, numbers, numbers),
    "CAA": st.sampled_from(['0 issue "ca.example"', '128 iodef "mailto:a@b.example"']),
}
questions = st.builds(Question, names, st.sampled_from(sorted(VALUES)))


@st.composite
def found(draw: st.DrawFn, type_: str) -> Found:
    records = draw(st.lists(VALUES[type_], min_size=1, max_size=1 if type_ in ("CNAME", "SOA") else 3, unique=True))
    aliases = draw(st.lists(names, max_size=0 if type_ == "CNAME" else 2, unique=True))
    return Found(tuple(sorted(records)), draw(st.integers(0, 604_800)), draw(st.booleans()), tuple(aliases))


@st.composite
def asked(draw: st.DrawFn) -> tuple[Question, Answer]:
    """A question and an answer that fits it."""
    question = draw(questions)
    kinds = [
        found(question.type).filter(lambda answer: question.name not in answer.aliases),
        st.builds(NoData, st.integers(0, 10_800)),
        st.builds(NoSuchName, st.integers(0, 10_800)),
        st.builds(Failed, st.sampled_from(RESOLVED), st.text(max_size=20)),
    ]
    return question, draw(st.one_of(kinds))
