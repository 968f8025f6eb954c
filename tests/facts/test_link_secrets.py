"""What URLs give away, and what only looks like it."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.facts.link_secrets import MAX_PARAMETERS, parameters_of, secrets_in
from delivcheck.mime.links import split_url

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIyMDMxOCJ9.dGhpcy1pcy1hLXNpZ25hdHVyZQ"


def found(url):
    return [secret.what for secret in secrets_in(split_url(url))]


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("https://a.example/?password=s3cret", "a password"),
        ("https://a.example/?user[password]=s3cret", "a password"),
        ("https://a.example/#access_token=9f2c77", "an access token"),
        ("https://a.example/?API-Key=9f2c77", "an API key"),
        ("https://a.example/x;jsessionid=9f2c77?a=1", "a session"),
        ("https://a.example/?ASPSESSIONIDQQCTABCD=9f2c77", "a session"),
        ("https://a.example/rk_live_9f2c77abd1e044c1a7", "a secret key of Stripe"),
        ("https://a.example/?t=ghp_" + "a1" * 18, "a token of GitHub"),
        ("https://a.example/?t=" + JWT, "a signed token (JWT)"),
        ("https://a.example/verify/" + JWT, "a signed token (JWT)"),
    ],
)
def test_secrets(url, what):
    assert found(url) == [what]


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example/reset?token=9f2c77abd1e0",
        "https://a.example/?reset_password_token=9f2c77abd1e0",
        "https://a.example/?password=reset",
        "https://a.example/?password=",
        "https://a.example/?password",
        "https://a.example/?access_token=pk.9f2c77abd1e0",
        "https://a.example/agenda?sessionId=9f2c77abd1e0",
        "https://a.example/?pwd=9f2c77abd1e0",
        "https://a.example/eyJhbGciOiJIUzI1NiJ9",
        "mailto:a@example.org?subject=password",
    ],
)
def test_no_secrets(url):
    assert found(url) == []


def test_parameters_are_decoded_once_and_counted():
    url = split_url("https://a.example/p;x=1?a%20b=%2541&c+d=e#f=g" + "&h=i" * 1000)
    parameters = list(parameters_of(url))
    assert [tuple(one) for one in parameters[:4]] == [("a b", "%41"), ("c d", "e"), ("f", "g"), ("h", "i")]
    assert len(parameters) == MAX_PARAMETERS


@given(st.text(max_size=300))
def test_it_returns(text):
    list(secrets_in(split_url("https://a.example/?" + text)))


@pytest.mark.parametrize("tail", ["eyJa" * 16_000, "&a=b" * 16_000, "eyJaaaaaaaaaa.eyJaaaaaaaaa." * 2_400, "SG." * 20_000])
def test_it_takes_time_in_proportion(tail):
    url = split_url("https://a.example/?" + tail)
    start = time.process_time()
    list(secrets_in(url))
    assert time.process_time() - start < 2
