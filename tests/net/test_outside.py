"""A name server that does not see the public DNS cannot say that a name does not exist."""

import asyncio

import pytest

from delivcheck.model import Failed, Failure, Found, NoData, NoSuchName
from delivcheck.net.outside import Outside
from delivcheck.net.snapshot import from_mapping

PUBLIC = from_mapping({"com NS": "a.gtld-servers.net.", "arpa NS": "a.root-servers.net.", "www.example.com A": "192.0.2.1"})
INSIDE = from_mapping({"wiki.corp.internal A": "10.0.0.1", "mirror.example.com A": "10.0.0.2"})
SILENT = from_mapping({"com NS": "TIMEOUT"})


@pytest.mark.parametrize(
    ("beneath", "name", "kind"),
    [
        (PUBLIC, "missing.example.com", NoSuchName),
        (PUBLIC, "MISSING.example.COM.", NoSuchName),
        (PUBLIC, "www.example.com", Found),
        (PUBLIC, "example.com", NoData),
        (INSIDE, "example.org", Failed),
        (INSIDE, "example.ORG.", Failed),
        (INSIDE, "2.0.192.in-addr.arpa", Failed),
        (INSIDE, "mirror.example.com", Found),
        (INSIDE, "wiki.corp.internal", Found),
        (INSIDE, "other.corp.internal", NoSuchName),
        (INSIDE, "example.cmo", NoSuchName),
        (INSIDE, "", NoData),
        (SILENT, "missing.example.com", NoSuchName),
    ],
)
def test_no_such_name_is_believed_of_who_knows_the_top(beneath, name, kind):
    assert isinstance(asyncio.run(Outside(beneath).ask(name, "A")), kind)


def test_the_reason_names_the_top_level_domain():
    answer = asyncio.run(Outside(INSIDE).ask("_dmarc.example.org", "TXT"))
    assert answer == Failed(Failure.REFUSED, "not even org exists there: no view of the public DNS")
