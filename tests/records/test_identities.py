"""What the configuration says of who sends is brought to the one form that everything compares."""

import ipaddress

import pytest

from delivcheck.records.identities import BadIdentity, author, own_domain, sending_address
from delivcheck.records.identities import test_url as unsubscribe_url


def test_each_in_its_one_form():
    assert author(" Shop@BÜCHER.example ") == "shop@xn--bcher-kva.example"
    assert sending_address("::ffff:192.0.2.1") == ipaddress.ip_address("192.0.2.1")
    assert unsubscribe_url("https://example.org:8443/u/x?t=1") == "https://example.org:8443/u/x?t=1"


@pytest.mark.parametrize(
    ("read", "text"),
    [
        *((author, text) for text in ("", "shop", "@example.org", "shop@", "shop@a..b")),
        *(
            (own_domain, text)
            for text in ("", "example", "a..b", "*.example.org", "https://example.org", "192.0.2.1", "a@example.org")
        ),
        *((sending_address, text) for text in ("", "192.0.2", "mx.example.org")),
        *(
            (unsubscribe_url, text)
            for text in (
                "",
                "x",
                "http://example.org/",
                "https:///x",
                "https://a@example.org/",
                "https://[",
                "https://ex ample.org/",
            )
        ),
        *(
            (unsubscribe_url, text)
            for text in ("https://example.org:99999/", "https://bücher.example/", "https://example.org/\n")
        ),
    ],
)
def test_what_is_none_of_them_is_told(read, text):
    with pytest.raises(BadIdentity):
        read(text)
