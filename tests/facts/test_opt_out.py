"""Sentences around the unsubscribe link: which of them demand more than following it."""

import time

import pytest

from delivcheck.facts.message import html_parts, links, text_parts
from delivcheck.facts.opt_out import opt_out_addresses, opt_out_demands
from delivcheck.facts.unsubscribe_links import unsubscribe_links
from delivcheck.mime.message import parse
from delivcheck.model import NotApplicable


def found_in(text, kind="html"):
    head = f"From: a@example.org\r\nMIME-Version: 1.0\r\nContent-Type: text/{kind}; charset=utf-8\r\n\r\n"
    message = parse((head + text.replace("\n", "\r\n")).encode())
    texts, html = text_parts.function(message), html_parts.function(message)
    return unsubscribe_links.function(message, links.function(message, texts, html), html, texts, NotApplicable("no field"))


def demands(text, kind="html"):
    return [one.kind for one in opt_out_demands.function(found_in(text, kind)).each]


@pytest.mark.parametrize(
    "sentence",
    [
        "Please log in to <a href='https://e.example/1'>unsubscribe</a>.",
        "To unsubscribe, sign in to your <a href='https://e.example/1'>account</a>.",
        "You must be logged in to <a href='https://e.example/1'>opt out</a>.",
        "Zum Abmelden <a href='https://e.example/1'>loggen Sie sich</a> ein.",
        "Pour vous <a href='https://e.example/1'>désabonner</a>, connectez-vous à votre compte.",
        "Para darse de baja <a href='https://e.example/1'>inicie sesión</a>.",
        "Per <a href='https://e.example/1'>annullare l'iscrizione</a> effettua l’accesso.",
        "Para cancelar a inscrição, <a href='https://e.example/1'>faça login</a>.",
        "Om je af te melden, <a href='https://e.example/1'>afmelden</a>: log in op je account om je af te melden; afmelden na inloggen.",
        "Чтобы отписаться, <a href='https://e.example/1'>войдите</a> в аккаунт.",
        "<a href='https://e.example/1'>配信停止</a>にはログインしてください。",
        "退订请先<a href='https://e.example/1'>登录</a>。",
        "수신거부하려면 <a href='https://e.example/1'>로그인</a>하세요.",
    ],
)
def test_a_login_is_demanded(sentence):
    assert "login" in demands(f"<p>{sentence}</p>")


@pytest.mark.parametrize(
    "text",
    [
        "<p><a href='https://e.example/0'>Log in</a> <a href='https://e.example/1'>Unsubscribe</a></p>",
        "<p><a href='https://e.example/0'><b>Log in</b></a>&nbsp;&nbsp;<a href='https://e.example/1'>Unsubscribe</a></p>",
        "<p>Log in to read more. <a href='https://e.example/1'>Unsubscribe</a></p>",
        "<p>Log in to read more • <a href='https://e.example/1'>Unsubscribe</a></p>",
        "<p>Log in to read more – <a href='https://e.example/1'>Unsubscribe</a></p>",
        "<p><span style='display:none'>Log in to</span> <a href='https://e.example/1'>unsubscribe</a></p>",
        "<p>Log in to change your address, or <a href='https://e.example/1'>unsubscribe</a></p>",
        "<p>Loggen Sie sich ein oder <a href='https://e.example/1'>melden Sie sich ab</a></p>",
        "<p><a href='https://e.example/1'>Unsubscribe</a> without logging in</p>",
        "<p>Zum <a href='https://e.example/1'>Abmelden</a> ist kein Login nötig</p>",
        "<p>Log in to read more</p><p><a href='https://e.example/1'>Unsubscribe</a></p>",
        "<p><a href='https://e.example/unsubscribe'>x</a></p>",
    ],
)
def test_a_login_beside_it_is_no_demand(text):
    assert demands(text) == []


def test_plain_text_has_sentences_over_lines():
    assert demands("Offers.\n\nTo unsubscribe, please log in\nto your account: https://e.example/1\n", "plain") == ["login"]
    assert demands("Log in: https://e.example/0\n\nUnsubscribe: https://e.example/unsubscribe\n", "plain") == []


def test_a_link_outside_any_block_has_no_words_around_it():
    assert demands("<html><body><a href='https://e.example/1'>Unsubscribe</a></body></html>") == []


def test_a_sentence_is_told_once_for_two_links():
    text = "<p>Log in to <a href='https://e.example/1'>unsubscribe</a> or to <a href='https://e.example/2'>opt out</a></p>"
    assert demands(text) == ["login"]


def test_every_address_is_kept_once():
    text = "<p><a href='https://e.example/1'>Unsubscribe</a> <a href='https://e.example/1'>unsubscribe</a></p>"
    text += "<p><a href='mailto:leave@e.example?subject=unsubscribe'>Unsubscribe</a> <a href='tel:1'>unsubscribe</a></p>"
    offered = opt_out_addresses.function(found_in(text), NotApplicable("no field"))
    assert ([url for url, _ in offered.web], offered.mail) == (["https://e.example/1"], ("leave@e.example",))


def test_without_addresses_there_is_nothing():
    with pytest.raises(NotApplicable):
        opt_out_addresses.function(NotApplicable("no text"), NotApplicable("no field"))


@pytest.mark.parametrize(
    "piece", ["log in ", "unsubscribe ", "a. ", "<b>", "log in unsubscribe or ", "\n", "&nbsp;", "<a href=x>unsubscribe</a>"]
)
def test_time_grows_with_the_text_and_not_with_its_square(piece):
    def seconds(size):
        links_found = found_in("<p><a href='https://e.example/1'>unsubscribe</a> " + piece * (size // len(piece)))
        started = time.perf_counter()
        opt_out_demands.function(links_found)
        return time.perf_counter() - started

    assert seconds(100_000) < 40 * max(seconds(10_000), 0.02)
