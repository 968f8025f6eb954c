"""One call checks a message or a domain; what comes back is frozen, says where, and serialises to schema delivcheck/1."""

import asyncio
import json
from datetime import UTC, datetime

import msgspec
import pytest

import delivcheck
from delivcheck.api import Checker, Options, to_json, unreadable
from delivcheck.catalog import pages
from delivcheck.engine import Check
from delivcheck.facts.roots import Octets
from delivcheck.model import DnsUse, Found, MessageClass, NoSuchName, Outcome, Problem, TargetKind, Undetermined, Verdict, Where
from delivcheck.net.snapshot import from_mapping
from delivcheck.policy import load
from tests.keys import sign_example

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
RECEIPT = b"From: shop@example.org\r\nTo: a@example.net\r\nSubject: Your receipt\r\n\r\nThank you.\r\n"


def check(octets=RECEIPT, **settings):
    return delivcheck.check_message(octets, dns=settings.pop("dns", "offline"), now=NOW, **settings)


def outcomes(report):
    return {result.rule: result.outcome for result in report.targets[0].results}


def test_a_message_is_checked_offline_with_nothing_else_given():
    report = check()

    assert report.targets[0].kind is TargetKind.MESSAGE
    assert outcomes(report)["class/undeclared"] is Outcome.FAIL
    assert report.dns == DnsUse()


def test_what_was_not_asked_for_does_not_apply_and_says_so():
    reasons = {result.reason for result in check().targets[0].results if result.outcome is Outcome.NOT_APPLICABLE}

    assert "DNS was not asked (--offline)" in reasons


def test_a_problem_in_a_message_names_the_file():
    report = check(b"From: a@example.org\r\nSubject: Hello {{ name }}\r\n\r\nx\r\n", name="mails/a.eml")

    (where,) = {
        problem.where
        for result in report.targets[0].results
        if result.rule == "template/unrendered-code"
        for problem in result.problems
    }
    assert (where.file, where.line, where.header) == ("mails/a.eml", 2, "Subject")


def test_a_declared_class_settles_what_depends_on_it():
    assert "class/undeclared" not in {
        result.rule for result in check(message_class="transactional").targets[0].results if result.outcome is Outcome.FAIL
    }
    assert check(policy="transactional").targets[0].declared.class_ is MessageClass.TRANSACTIONAL
    assert check(policy="transactional", message_class="bulk").targets[0].declared.class_ is MessageClass.BULK


def test_a_newsletter_without_a_way_out_never_looks_like_a_plain_pass():
    target = check(b"From: a@example.org\r\nTo: b@example.net\r\nSubject: Offers\r\n\r\nBuy\r\n").targets[0]
    by_rule = {result.rule: result for result in target.results}

    assert by_rule["class/undeclared"].outcome is Outcome.FAIL
    assert by_rule["unsubscribe/missing"].outcome is Outcome.UNKNOWN
    assert "fails if this is bulk mail" in by_rule["unsubscribe/missing"].reason
    assert check(b"From: a@example.org\r\nSubject: Offers\r\n\r\nBuy\r\n", message_class="bulk").verdict is Verdict.FAIL


@pytest.mark.parametrize("octets", [b"", b"\r\n\r\n", b"\n"])
def test_an_empty_message_is_an_input_error(octets):
    with pytest.raises(delivcheck.InputError, match="empty"):
        check(octets)


@pytest.mark.parametrize("name", ["", "exa mple.org", "example", "192.0.2.1", "a..b", "x" * 64 + ".org", "exämple .org"])
def test_what_is_no_domain_is_an_input_error(name):
    with pytest.raises(delivcheck.InputError, match="not a domain name"):
        delivcheck.audit_domain(name, dns="offline")


@pytest.mark.parametrize("name", ["", "https://example.org", "*.example.org", "exa mple.org", "a..b", "192.0.2.1"])
def test_an_owned_domain_that_is_none_is_an_input_error_of_one_line(name):
    with pytest.raises(delivcheck.InputError, match=r"^owned_domains: .* is no domain") as error:
        delivcheck.audit_domain("example.org", dns="offline", owned_domains=(name,))
    assert "\n" not in str(error.value)


def test_owned_domains_may_be_written_as_people_write_them():
    link = b"From: news@shop.example\r\nContent-Type: text/html\r\n\r\n<a href='https://xn--bcher-kva.example/'>Books</a>\r\n"
    report = delivcheck.check_message(link, dns="offline", owned_domains=("BÜCHER.example.",))
    assert not [one for one in report.targets[0].results if one.rule.startswith("links/") and one.problems]


def test_a_domain_is_audited_over_any_dns_client():
    class Dns:
        asked = []  # noqa: RUF012

        async def ask(self, name, type):  # noqa: A002
            self.asked.append(name)
            return Found(((b"v=spf1 -all",),)) if (name, type) == ("example.org", "TXT") else NoSuchName()

    report = delivcheck.audit_domain("Example.ORG.", dns=Dns())

    assert report.targets[0].target == "Example.ORG."
    assert "example.org" in Dns.asked
    assert "_dmarc.example.org" in Dns.asked


def test_several_sending_addresses_are_targets_behind_the_domain():
    dns = from_mapping({"example.org TXT": "v=spf1 ip4:192.0.2.1 -all", "1.2.0.192.in-addr.arpa PTR": "out.example.org"})

    def audited(ip, **more):
        return [(one.target, one.kind) for one in delivcheck.audit_domain("example.org", dns=dns, ip=ip, **more).targets]

    domain = ("example.org", TargetKind.DOMAIN)
    assert audited(None) == audited("192.0.2.1") == audited(["192.0.2.1"]) == [domain]
    assert audited(["192.0.2.1", "2001:db8::1"], ehlo=["out.example.org", None]) == [
        domain,
        ("192.0.2.1 for example.org", TargetKind.SENDING_IP),
        ("2001:db8::1 for example.org", TargetKind.SENDING_IP),
    ]
    with pytest.raises(ValueError, match="2 addresses and 1 EHLO names"):
        audited(["192.0.2.1", "192.0.2.2"], ehlo="out.example.org")


def test_the_twins_for_a_running_loop_say_the_same():
    async def both():
        one = await delivcheck.check_message_async(RECEIPT, dns="offline", now=NOW)
        two = await delivcheck.audit_domain_async("example.org", dns=from_mapping({}))
        return one, two

    message, domain = asyncio.run(both())
    assert outcomes(message) == outcomes(check())
    assert outcomes(domain) == outcomes(delivcheck.audit_domain("example.org", dns=from_mapping({})))


def test_an_unknown_policy_is_told_with_a_suggestion():
    with pytest.raises(delivcheck.PolicyError, match="did you mean transactional"):
        check(policy="transactionl")


def test_json_holds_what_failed_and_is_unknown_or_everything():
    report = check()
    short, whole = json.loads(to_json(report)), json.loads(to_json(report, every_result=True))

    assert short["schema"] == "delivcheck/1"
    assert {result["outcome"] for result in short["targets"][0]["results"]} <= {"fail", "unknown"}
    assert len(whole["targets"][0]["results"]) == sum(whole["targets"][0]["counts"].values())
    assert short["targets"][0]["counts"] == whole["targets"][0]["counts"]
    assert short["targets"][0]["declared"] == {"class": None, "volume": "bulk", "stream": None}


def test_results_come_in_the_order_of_the_book():
    rules = [result.rule for result in check().targets[0].results]

    assert rules == [name for name in pages() if name in rules]


def test_a_target_that_cannot_be_read_keeps_its_place():
    target = unreadable("a.eml", TargetKind.MESSAGE, "no such file")

    assert (target.verdict, target.error) == (Verdict.UNKNOWN, "no such file")
    assert json.loads(to_json(target))["error"] == "no such file"


def test_one_run_serves_many_targets_side_by_side():
    checker = Checker(Options(load("bulk"), dns=from_mapping({"a.example TXT": "v=spf1 -all", "b.example TXT": "v=spf1 +all"})))

    async def both():
        return await asyncio.gather(checker.domain("a.example"), checker.domain("b.example"))

    first, second = asyncio.run(both())
    failed = [{result.rule for result in each.results if result.outcome is Outcome.FAIL} for each in (first, second)]
    assert "spf/passes-everyone" not in failed[0]
    assert "spf/passes-everyone" in failed[1]


def test_one_live_client_serves_all_targets_of_a_checker():
    checker = Checker(Options(load("bulk"), dns="live"))

    assert checker.options.dns not in {"live", "offline"}
    assert checker.options.dns.use() == DnsUse()


def test_a_place_that_names_its_file_keeps_it():
    def elsewhere(octets: Octets):
        yield Problem("in a partial", Where(file="partials/footer.html", line=3))
        yield Problem("here", Where(line=len(octets.data.splitlines())))
        yield Problem("nowhere")
        yield Undetermined("not read", Where(line=4))

    checker = Checker(Options(load("bulk"), dns="offline"))
    book = checker.book
    checker.book = type(book)(
        book.rules, {**book.checks, "class/undeclared": Check("class/undeclared", elsewhere)}, book.providers
    )

    results = asyncio.run(checker.message(RECEIPT, name="a.eml")).results
    result = next(one for one in results if one.rule == "class/undeclared")

    assert result.where == Where(file="a.eml", line=4)
    assert [problem.where and (problem.where.file, problem.where.line) for problem in result.problems] == [
        ("partials/footer.html", 3),
        ("a.eml", 5),
        None,
    ]


def test_the_json_begins_with_the_schema_and_its_keys_stand_as_documented():
    assert list(json.loads(to_json(check()))) == ["schema", "version", "policy", "verdict", "elapsed_ms", "dns", "targets"]


def test_our_own_bug_is_unknown_and_marked(caplog):
    def broken(octets: Octets):
        yield Problem("never seen")
        raise RuntimeError(octets)

    checker = Checker(Options(load("bulk"), dns="offline"))
    book = checker.book
    checker.book = type(book)(
        book.rules, {**book.checks, "class/undeclared": Check("class/undeclared", broken)}, book.providers
    )

    target = asyncio.run(checker.message(RECEIPT))

    assert [result.outcome for result in target.results if result.bug is True] == [Outcome.UNKNOWN]
    assert "class/undeclared" in caplog.text


def test_a_file_stored_with_lf_is_checked_as_it_was_on_the_wire():
    assert outcomes(check(RECEIPT.replace(b"\r\n", b"\n"))).keys() == outcomes(check()).keys()


def test_a_deadline_ends_an_audit_whatever_dns_does():
    class Silent:
        async def ask(self, name, type):  # noqa: A002
            await asyncio.sleep(60)

    report = delivcheck.audit_domain("example.org", dns=Silent(), timeout=0.05)

    assert report.verdict is Verdict.UNKNOWN
    assert Outcome.FAIL not in {
        outcome for rule, outcome in outcomes(report).items() if rule.startswith(("spf/", "dmarc/", "dkim/"))
    }


@pytest.mark.parametrize("silent", ["a", "b", "c"])
def test_dmarc_passes_by_any_signature_whose_key_answers(silent):
    """Three aligned signatures, one key times out: the other two are judged, and DMARC passes by either."""
    each = [{"domain": "example.org", "selector": selector, "algorithm": "rsa-sha256"} for selector in "abc"]
    octets, keys = sign_example(RECEIPT, {"each": each}, NOW)
    zone = {**keys, "_dmarc.example.org TXT": "v=DMARC1; p=reject", f"{silent}._domainkey.example.org TXT": "TIMEOUT"}

    facts = check(octets, dns=from_mapping(zone)).targets[0].facts

    assert [one["result"] for one in facts["dkim"]] == ["unknown" if selector == silent else "pass" for selector in "abc"]
    assert (facts["dmarc"]["result"], facts["dmarc"]["dkim_aligned"]) == ("pass", True)


async def _from_inside_a_loop():
    with pytest.raises(RuntimeError, match=r"await delivcheck\.check_message_async"):
        delivcheck.check_message(RECEIPT)
    with pytest.raises(RuntimeError, match=r"await delivcheck\.audit_domain_async"):
        delivcheck.audit_domain("example.org")


def test_inside_a_running_loop_the_twin_is_named():
    asyncio.run(_from_inside_a_loop())


def test_without_dns_no_provider_is_known_to_have_no_blocker():
    """Neither SPF nor DKIM nor DMARC was judged, so silence about them is no good news."""
    assert {one.outlook for one in check().targets[0].providers.values()} <= {"unknown", "would-reject", "would-defer"}


def test_outlooks_can_be_left_out_and_nothing_else_changes():
    """No verdict rests on them, and a gate shows them to nobody."""

    async def main():
        options = Options(load("bulk"), dns="offline", now=NOW)
        return [await Checker(options, outlooks=wanted).message(RECEIPT) for wanted in (True, False)]

    full, bare = asyncio.run(main())

    assert full.providers
    assert bare == msgspec.structs.replace(full, providers={})


def test_a_checker_says_of_each_message_what_a_fresh_one_says():
    """What it keeps from one target to the next is only what depends on none."""
    other = RECEIPT.replace(b"Subject: Your receipt\r\n", b"").replace(b"shop@", b"shop@@")

    async def main():
        options = Options(load("bulk"), dns=from_mapping({}), now=NOW)
        one = Checker(options)
        kept = [await one.message(octets) for octets in (RECEIPT, other, RECEIPT)]
        return kept, [await Checker(options).message(octets) for octets in (RECEIPT, other, RECEIPT)]

    kept, fresh = asyncio.run(main())

    assert kept == fresh
