"""System checks, `manage.py delivcheck`, and the helper over the outbox."""

import io
import json
import unittest

import pytest
from django.core import mail
from django.core.checks import run_checks
from django.core.management import call_command
from django.test import override_settings

from delivcheck.integrations.django.testing import DeliverabilityMixin, assert_outbox_deliverable
from tests.integrations import house
from tests.integrations.django.inside.project import LOCMEM, OURS, letter, project

SETTINGS = {"dns": house.dns(), "config": False, "policy": house.POLICY}


def found(deploy=False):
    return run_checks(tags=["delivcheck"], include_deployment_checks=deploy)


# --- system checks: settings -------------------------------------------------------------------------------------


def test_settings_that_can_be_say_nothing():
    with project(backend=LOCMEM):
        assert found() == []


@pytest.mark.parametrize(
    ("said", "key", "words"),
    [
        ({"DELIVCHECK": {"mode": "lenient"}}, "E001", "mode: enforce or observe, not 'lenient'"),
        ({"DELIVCHECK": {"policy": "none-such"}}, "E001", "none-such"),
        ({"DELIVCHECK": {"config": "/no/such/delivcheck.toml"}}, "E001", "No such file"),
        (
            {"MAILERS": {"news": {"BACKEND": OURS, "OPTIONS": {"backend": LOCMEM, "mood": "x"}}}},
            "E002",
            "MAILERS['news']: OPTIONS: no setting 'mood'",
        ),
        (
            {"MAILERS": {"news": {"BACKEND": OURS, "OPTIONS": {"backend": LOCMEM, "policy": "x"}}}},
            "E002",
            "MAILERS['news']: OPTIONS: ",
        ),
    ],
)
def test_settings_that_cannot_be_are_errors(said, key, words):
    with override_settings(**said):
        [told] = found()
    assert told.id == f"delivcheck.{key}"
    assert words in told.msg


def test_a_configuration_that_cannot_be_read_is_an_error_though_mail_would_go_on(tmp_path, monkeypatch):
    (tmp_path / "delivcheck.toml").write_text("[hooks]\nmode = 'strict'\n")
    monkeypatch.chdir(tmp_path)
    with override_settings(DELIVCHECK={}):
        [told] = found()
    assert (told.id, "delivcheck.toml" in told.msg, "without having been judged" in told.hint) == (
        "delivcheck.E003",
        True,
        True,
    )


# --- system checks: domains --------------------------------------------------------------------------------------


def test_a_domain_in_order_says_nothing_wrong():
    with override_settings(DELIVCHECK=SETTINGS):
        assert [one for one in found(deploy=True) if one.id == "delivcheck.E010"] == []


def test_what_fails_is_told_with_the_rule_its_fix_and_the_setting():
    records = {name: value for name, value in house.RECORDS.items() if not name.startswith("_dmarc")}
    with override_settings(DELIVCHECK={**SETTINGS, "policy": "bulk", "dns": house.dns(records)}):
        told = next(one for one in found(deploy=True) if "dmarc/no-record" in one.msg)
    assert told.id == "delivcheck.E010"
    assert told.obj == "DEFAULT_FROM_EMAIL, SERVER_EMAIL"  # one domain, audited once
    assert "_dmarc.example.org" in told.hint
    assert told.hint.endswith("delivcheck explain dmarc/no-record")


def test_the_projects_own_levels_hold_for_its_domain():
    records = {name: value for name, value in house.RECORDS.items() if not name.startswith("_dmarc")}
    settings = {**SETTINGS, "policy": "bulk", "dns": house.dns(records), "rules": {"dmarc/*": "off"}}
    with override_settings(DELIVCHECK=settings):
        assert not any("dmarc/" in one.msg for one in found(deploy=True))


def test_dead_dns_is_a_warning_and_never_an_error():
    with override_settings(DELIVCHECK={**SETTINGS, "policy": "bulk", "dns": house.Dead()}):
        told = found(deploy=True)
    assert [one.id for one in told] == ["delivcheck.W011"]
    assert "could not be found out" in told[0].msg


def test_without_deploy_no_dns_is_asked():
    with override_settings(DELIVCHECK={**SETTINGS, "dns": house.Dead()}):
        assert found() == []


def test_offline_says_that_nothing_was_looked_at():
    with override_settings(DELIVCHECK={**SETTINGS, "dns": "offline"}):
        assert [one.id for one in found(deploy=True)] == ["delivcheck.I012"]


def test_djangos_own_default_has_no_domain():
    with override_settings(DELIVCHECK=SETTINGS, DEFAULT_FROM_EMAIL="webmaster@localhost", SERVER_EMAIL="root@localhost"):
        told = found(deploy=True)
    assert [(one.id, one.obj) for one in told] == [
        ("delivcheck.W012", "DEFAULT_FROM_EMAIL")
    ]  # nobody is written to from the other


def test_a_sender_that_is_no_domain_is_told():
    with override_settings(DELIVCHECK=SETTINGS, DEFAULT_FROM_EMAIL="shop@exa mple..org"):
        assert "delivcheck.W012" in [one.id for one in found(deploy=True)]


# --- manage.py delivcheck ----------------------------------------------------------------------------------------

GOOD = "{% load shop %}<html lang=en><title>x</title><p>{{ name|shout }}, {% greeting %} <a href='{% url 'order' 7 %}'>order</a></html>"
BAD = "<html lang=en><p>Dear {{ name }}, see <a href='http://localhost:8000/orders'>it</a></html>"
TAGS = """
from django import template
register = template.Library()
register.filter("shout", lambda text: str(text).upper())
register.simple_tag(lambda: "welcome", name="greeting")
"""


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A project's folder with templates of mail and of pages, and a tag library of its own."""
    folder = tmp_path / "templates"
    (folder / "emails").mkdir(parents=True)
    (folder / "pages").mkdir()
    (folder / "emails" / "good.html").write_text(GOOD)
    (folder / "emails" / "_footer.html").write_text("{% nothing_that_is_known %}")
    (folder / "pages" / "home.html").write_text("{% no_mail %}")
    (folder / "pages" / "reset_email.txt").write_text("Dear {{ name|shout }}, reset it.")
    (tmp_path / "shop_tags.py").write_text(TAGS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    options = {"libraries": {"shop": "shop_tags"}, "builtins": ["shop_tags"]}
    templates = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [folder], "OPTIONS": options}]
    with override_settings(TEMPLATES=templates):
        yield folder


def command(*paths, **given):
    """The exit code and the report."""
    code, out = 0, io.StringIO()
    try:
        call_command("delivcheck", *paths, stdout=out, **{"format": "json", **given})
    except SystemExit as ended:
        code = ended.code
    text = out.getvalue()
    return code, json.loads(text) if text.startswith("{") else text


def test_the_projects_mail_is_found_and_rendered_with_its_own_tags_filters_and_addresses(shop):
    code, report = command(policy="transactional")
    assert sorted(one["target"] for one in report["targets"]) == [
        "templates/emails/good.html",
        "templates/pages/reset_email.txt",
    ]
    failed = {each["rule"] for one in report["targets"] for each in one["results"] if each["outcome"] == "fail"}
    assert not failed & {"template/does-not-render", "template/unrendered-code"}
    [address] = [each for one in report["targets"] for each in one["results"] if each["rule"] == "links/placeholder"]
    assert "/orders/7/" in address["problems"][0]["message"]  # the project's own
    assert code == 0


def test_a_template_is_named_by_its_path_or_as_django_names_it(shop):
    (shop / "emails" / "bad.html").write_text(BAD)
    by_path, by_name = command("templates/emails/bad.html"), command("emails/bad.html")
    assert by_path[0] == by_name[0] == 1
    for _, report in (by_path, by_name):
        [target] = report["targets"]
        assert "localhost" in str([one for one in target["results"] if one["level"] == "error"])


def test_the_projects_policy_and_levels_hold_where_the_command_line_says_nothing(shop):
    (shop / "emails" / "bad.html").write_text(BAD)
    with override_settings(DELIVCHECK={"message_class": "transactional", "rules": {"links/*": "off"}}):
        code, report = command("emails/bad.html")
        assert (code, report["targets"][0]["declared"]["class"]) == (0, "transactional")
        assert command("emails/bad.html", rules=["links/*=error"])[0] == 1


def test_the_exit_codes_are_those_of_the_command_line(shop, capsys):
    assert command("emails/none.html")[0] == 3
    assert "no such file" in capsys.readouterr().err
    assert command("emails/good.html", policy="none-such")[0] == 2
    assert command("emails/good.html", exit_zero=True)[0] == 0


def test_a_project_without_mail_is_told(shop, capsys):
    for path in ((shop / "emails" / "good.html"), (shop / "pages" / "reset_email.txt"), (shop / "emails" / "_footer.html")):
        path.unlink()
    (shop / "emails").rmdir()
    assert command()[0] == 2
    assert "no e-mail templates were found" in capsys.readouterr().err


def test_djangos_verbosity_and_colour_are_ours(shop):
    quiet, loud = (
        command("emails/good.html", format="text", verbosity=0)[1],
        command("emails/good.html", format="text", verbosity=2)[1],
    )
    assert len(quiet) < len(loud)
    assert "\x1b[" in command("emails/good.html", format="text", force_color=True)[1]


def test_the_configuration_names_the_templates_and_goes_before_what_is_guessed(shop, tmp_path):
    (tmp_path / "delivcheck.toml").write_text('[templates]\npaths = ["templates/pages/reset_email.txt"]\n')
    _, report = command()
    assert [one["target"] for one in report["targets"]] == ["templates/pages/reset_email.txt"]


# --- the outbox --------------------------------------------------------------------------------------------------


@pytest.fixture
def outbox(monkeypatch):
    monkeypatch.setattr(mail, "outbox", [], raising=False)
    return mail.outbox


def test_good_mail_passes_and_bad_mail_fails_with_the_findings_as_the_command_line_shows_them(outbox):
    outbox.append(letter())
    assert assert_outbox_deliverable(config=False)
    outbox.append(letter(house.BAD_SUBJECT))
    with pytest.raises(AssertionError) as raised:
        assert_outbox_deliverable(config=False)
    assert "outbox[1]" in str(raised.value)
    assert house.BAD_RULE in str(raised.value)
    assert assert_outbox_deliverable(config=False, ignore=[house.BAD_RULE])


def test_an_empty_outbox_is_no_success(outbox):
    with pytest.raises(AssertionError, match="no mail was sent"):
        assert_outbox_deliverable(config=False)


def test_the_mixin_holds_for_a_whole_class(outbox):
    class Receipts(DeliverabilityMixin, unittest.TestCase):
        delivcheck_ignore = (house.BAD_RULE,)

    outbox.append(letter(house.BAD_SUBJECT))
    assert Receipts().assertOutboxDeliverable(config=False)
    Receipts.delivcheck_ignore = ()
    with pytest.raises(AssertionError, match=house.BAD_RULE):
        Receipts().assertOutboxDeliverable(config=False)
