"""Policies say which rules run, at which level, and what follows; mistakes in them are told in one line."""

from datetime import date

import pytest
from msgspec import UNSET

from delivcheck import policy
from delivcheck.engine import Judged, rule
from delivcheck.facts.roots import Declared, Octets, Origin
from delivcheck.model import (
    Basis,
    Counts,
    Level,
    MessageClass,
    Outcome,
    Problem,
    Result,
    Rule,
    Source,
    Stage,
    TargetKind,
    Verdict,
    Volume,
    Where,
)


def a_rule(name="spf/no-record", level=Level.ERROR, **more):
    settled = {
        "title": "t",
        "basis": Basis.PROVIDER,
        "since": "0.1",
        "why": "w",
        "fix": "f",
        "targets": (TargetKind.MESSAGE,),
        "stage": Stage.PRE_SIGN,
        "source": (Source("RFC", date(2026, 11, 22)),),
        **more,
    }
    return Rule(id=name, level=level, **settled)


BULK = policy.load("bulk")
SPF = a_rule(levels={"low-volume": Level.WARNING, "strict": Level.NOTE, "csa": Level.ERROR})
UNSUBSCRIBE = a_rule("unsubscribe/missing", class_=MessageClass.BULK)


@rule("spf/no-record")
def _spf(octets: Octets, *, max_octets: int = 5, words: tuple[str, ...] = (), anything: object = None):
    yield Problem(f"{octets} {max_octets} {words} {anything}")


RULES = {one.id: one for one in (SPF, UNSUBSCRIBE)}
CHECKS = {"spf/no-record": _spf}


def made(**keys):
    return policy.fold("mine", keys, "mine.toml")


# --- reading -------------------------------------------------------------------------------------------------------


def test_a_policy_extends_another_and_later_settings_win():
    mine = made(extends="transactional", rules={"spf/*": "warning", "spf/no-record": {"level": "note", "max-octets": 9}})

    assert mine.message_class is MessageClass.TRANSACTIONAL
    assert mine.level(SPF, Declared()) is Level.NOTE
    assert mine.options("spf/no-record") == {"max-octets": 9}
    assert mine.options("spf/other") == {}


def test_a_toml_list_reaches_the_check_as_a_tuple():
    assert made(rules={"spf/no-record": {"words": ["a", "b"]}}).options("spf/no-record") == {"words": ("a", "b")}


def test_command_line_settings_lie_over_the_policy():
    assert BULK.with_settings([policy.parse_setting("spf/* = off")]).level(SPF, Declared()) is Level.OFF


@pytest.mark.parametrize(
    ("column", "volume", "expected"),
    [
        ("bulk", Volume.BULK, Level.ERROR),
        ("bulk", Volume.LOW, Level.WARNING),
        ("strict", Volume.BULK, Level.NOTE),
        ("strict", Volume.LOW, Level.NOTE),
        ("csa", Volume.BULK, Level.ERROR),
    ],
)
def test_a_page_gives_its_level_by_column(column, volume, expected):
    assert made(column=column).level(SPF, Declared(volume=volume)) is expected


@pytest.mark.parametrize(
    ("levels", "volume", "expected"),
    [
        ({"gmx": Level.ERROR}, Volume.BULK, Level.ERROR),
        ({"gmx": Level.ERROR, "low-volume": Level.NOTE}, Volume.LOW, Level.ERROR),
        ({"gmx": Level.NOTE}, Volume.BULK, Level.WARNING),  # a pack can only raise a level
        ({"orange": Level.ERROR}, Volume.BULK, Level.WARNING),
    ],
)
def test_a_regional_pack_raises_the_level_of_its_column(levels, volume, expected):
    page = a_rule(level=Level.WARNING, levels=levels)
    assert made(extends="bulk", packs=["gmx"]).level(page, Declared(volume=volume)) is expected


def test_packs_add_up_over_what_a_policy_extends():
    assert made(extends="gmx", packs=["tonline"]).packs == ("gmx", "tonline")


def test_a_policy_file_is_read_by_path(tmp_path):
    path = tmp_path / "ours.toml"
    path.write_text('extends = "bulk"\non-unknown = "send"\nvolume = "low"\n[rules]\n"spf/*" = "off"\n')

    ours = policy.load(str(path))

    assert (ours.name, ours.on_unknown, ours.on_fail, ours.volume) == ("ours", "send", "refuse", Volume.LOW)


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ({"extend": "bulk"}, "mine.toml: extend: no such key; did you mean extends?"),
        ({"qqqqqq": 1}, "mine.toml: qqqqqq: no such key"),
        ({"on-fail": "refus"}, "mine.toml: on-fail: 'refus' is none of refuse, hold, send; did you mean refuse?"),
        ({"class": 7}, "mine.toml: class: 7 is none of bulk, transactional"),
        ({"rules": {"spf/*": "eror"}}, "did you mean error?"),
        ({"rules": {"spf/*": {"level": "x"}}}, 'rules."spf/*".level'),
        ({"rules": {"spf/*": 4}}, "a level, or a table"),
        ({"rules": 4}, "mine.toml: rules: a table"),
        (
            {"extends": "bulky"},
            "no policy 'bulky': there are a11y, bulk, csa, eu, gmx, icloud, laposte, mailru, netease, orange, parked, strict, tonline, transactional, yandex, or name a .toml file; did you mean bulk?",
        ),
        ({"extends": "zzz"}, "or name a .toml file"),
        ({"column": "orange"}, "mine.toml: column: 'orange' is none of bulk, strict, csa"),
        ({"packs": ["gmxx"]}, "did you mean gmx?"),
        ({"packs": "gmx"}, "mine.toml: packs: a list of regional packs, of orange,"),
    ],
)
def test_a_mistake_is_one_line_with_file_key_and_suggestion(keys, complaint):
    with pytest.raises(policy.PolicyError) as error:
        made(**keys)
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)


def test_policies_in_a_circle_are_told(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text(f'extends = "{path}"\n')
    with pytest.raises(policy.PolicyError, match="more than 8 deep"):
        policy.load(str(path))


def test_a_missing_policy_file_is_told():
    with pytest.raises(policy.PolicyError, match=r"nowhere\.toml: No such file"):
        policy.load("nowhere.toml")


def test_a_setting_needs_a_level():
    with pytest.raises(policy.PolicyError, match="is not RULE=LEVEL"):
        policy.parse_setting("spf/no-record")


@pytest.mark.parametrize(
    ("rules", "complaint"),
    [
        ({"spf/no-recrod": "off"}, "mine.toml: no rule 'spf/no-recrod'; did you mean spf/no-record?"),
        ({"no-record": "off"}, "did you mean spf/no-record?"),
        ({"zzzzzz": "off"}, "mine.toml: no rule 'zzzzzz'"),
        ({"spf/no-record": {"octets": 9}}, "spf/no-record has no option 'octets'; its options: max-octets, words, anything"),
        ({"unsubscribe/missing": {"octets": 9}}, "it has none"),
        ({"spf/no-record": {"max-octets": "9"}}, "max-octets must be int, not '9'"),
        ({"spf/no-record": {"max-octets": True}}, "max-octets must be int, not True"),
        ({"spf/no-record": {"words": "a"}}, "words must be a list of texts, not 'a'"),
        ({"spf/no-record": {"words": [1]}}, "words must be a list of texts, not [1]"),
    ],
)
def test_settings_are_held_against_the_rule_book(rules, complaint):
    with pytest.raises(policy.PolicyError) as error:
        policy.hold_against(made(rules=rules), RULES, CHECKS)
    assert complaint in str(error.value)


def test_settings_that_fit_are_taken():
    policy.hold_against(
        made(rules={"spf/*": "off", "spf/no-record": {"max-octets": 9, "anything": "x", "words": ["a", "b"]}}), RULES, CHECKS
    )


# --- what runs -----------------------------------------------------------------------------------------------------


def around(**more):
    settled = {"kind": TargetKind.MESSAGE, "stage": Stage.POST_SIGN, "declared": Declared(), **more}
    return policy.Circumstances(**settled)


@pytest.mark.parametrize(
    ("rule", "circumstances", "reason"),
    [
        (a_rule(), around(), None),
        (a_rule(stage=Stage.POST_SIGN), around(stage=Stage.PRE_SIGN), "judged on the message as it is after signing"),
        (a_rule(stage=Stage.PRE_SIGN), around(stage=Stage.TEMPLATE), "judged on the message as it is before signing"),
        (
            a_rule(stage=Stage.POST_SIGN, targets=(TargetKind.DOMAIN,)),
            around(kind=TargetKind.DOMAIN, stage=Stage.TEMPLATE),
            None,
        ),
        (
            a_rule(not_for=("received",)),
            around(origin=Origin.AS_RECEIVED),
            "the message came in, so its sender's octets are not known",
        ),
        (a_rule(not_for=("reconstructed",)), around(origin=Origin.RECONSTRUCTED), "put together again from its parts"),
        (a_rule(not_for=("converted",)), around(line_ends_converted=True), "stored with other line ends"),
        (a_rule(not_for=("received",)), around(), None),
        (
            UNSUBSCRIBE,
            around(declared=Declared(MessageClass.TRANSACTIONAL)),
            "asked of bulk mail; this is declared transactional",
        ),
        (UNSUBSCRIBE, around(declared=Declared(MessageClass.BULK)), None),
        (UNSUBSCRIBE, around(), None),
        (a_rule(volume=Volume.BULK), around(declared=Declared(volume=Volume.LOW)), "asked of bulk-volume senders"),
        (a_rule(volume=Volume.BULK), around(), None),
    ],
)
def test_a_rule_that_cannot_apply_says_why(rule, circumstances, reason):
    ((_, _, why),) = policy.select(BULK, [rule], circumstances)

    assert (why is None) == (reason is None)
    assert reason is None or reason in why


def test_rules_for_other_targets_and_rules_that_are_off_are_left_out():
    off = made(extends="bulk", rules={"spf/*": "off"})

    assert list(policy.select(BULK, [a_rule(targets=(TargetKind.DOMAIN,))], around())) == []
    assert list(policy.select(off, [SPF], around())) == []


# --- what follows --------------------------------------------------------------------------------------------------

FAILED = Judged("spf/no-record", Outcome.FAIL, (Problem("none"),))


@pytest.mark.parametrize(
    ("rule_level", "own", "expected"),
    [
        (Level.ERROR, None, Level.ERROR),
        (Level.ERROR, Level.NOTE, Level.NOTE),
        (Level.NOTE, Level.ERROR, Level.WARNING),
        (Level.WARNING, Level.ERROR, Level.ERROR),
        (Level.ERROR, Level.ERROR, Level.ERROR),
    ],
)
def test_a_sub_case_lowers_freely_and_raises_by_one_step(rule_level, own, expected):
    judged = Judged("spf/no-record", Outcome.FAIL, (Problem("none", level=own),))

    result = policy.weigh(SPF, rule_level, judged, Declared())

    assert (result.level, result.problems[0].level) == (expected, expected)


def test_a_result_is_worth_its_worst_problem():
    judged = Judged("spf/no-record", Outcome.FAIL, (Problem("a", level=Level.NOTE), Problem("b")))

    assert policy.weigh(SPF, Level.WARNING, judged, Declared()).level is Level.WARNING


@pytest.mark.parametrize("outcome", [Outcome.FAIL, Outcome.UNKNOWN])
def test_a_rule_of_one_class_never_decides_while_the_class_is_undeclared(outcome):
    judged = Judged("unsubscribe/missing", outcome, (Problem("none"),) if outcome is Outcome.FAIL else (), "timeout")

    result = policy.weigh(UNSUBSCRIBE, Level.ERROR, judged, Declared())

    assert (result.outcome, result.level) == (Outcome.UNKNOWN, Level.NOTE)
    assert result.reason == ("fails if this is bulk mail; its class was not declared" if outcome is Outcome.FAIL else "timeout")
    assert policy.weigh(UNSUBSCRIBE, Level.ERROR, Judged("x", Outcome.PASS), Declared()).outcome is Outcome.PASS
    assert policy.weigh(UNSUBSCRIBE, Level.ERROR, judged, Declared(MessageClass.BULK)).outcome is outcome


def test_our_own_bug_is_marked():
    assert policy.weigh(SPF, Level.ERROR, Judged("x", Outcome.UNKNOWN, reason="r", bug=True), Declared()).bug is True


def test_the_place_of_what_is_unknown_comes_along():
    judged = Judged("spf/no-record", Outcome.UNKNOWN, reason="r", where=Where(line=3))
    assert policy.weigh(SPF, Level.ERROR, judged, Declared()).where == Where(line=3)
    assert policy.weigh(SPF, Level.ERROR, Judged("spf/no-record", Outcome.PASS), Declared()).where is UNSET


def result(outcome, level=Level.ERROR, name="spf/no-record"):
    return Result(name, outcome, level)


@pytest.mark.parametrize(
    ("results", "fail_on", "expected"),
    [
        ([], Level.ERROR, Verdict.PASS),
        ([result(Outcome.FAIL)], Level.ERROR, Verdict.FAIL),
        ([result(Outcome.FAIL)], None, Verdict.PASS),
        ([result(Outcome.FAIL, Level.WARNING)], Level.ERROR, Verdict.PASS),
        ([result(Outcome.FAIL, Level.WARNING)], Level.WARNING, Verdict.FAIL),
        ([result(Outcome.UNKNOWN), result(Outcome.FAIL)], Level.ERROR, Verdict.FAIL),
        ([result(Outcome.UNKNOWN), result(Outcome.PASS)], Level.ERROR, Verdict.UNKNOWN),
        ([result(Outcome.UNKNOWN, Level.NOTE)], Level.ERROR, Verdict.PASS),
        ([result(Outcome.NOT_APPLICABLE), result(Outcome.PASS)], Level.ERROR, Verdict.PASS),
        ([result(Outcome.NOT_APPLICABLE)], Level.ERROR, Verdict.UNKNOWN),  # nothing was judged: no pass
        ([result(Outcome.NOT_APPLICABLE)], None, Verdict.PASS),
    ],
)
def test_only_the_chosen_level_decides_failed_before_unknown(results, fail_on, expected):
    assert policy.verdict(results, fail_on) is expected


def test_outcomes_are_counted():
    results = [
        result(Outcome.PASS),
        result(Outcome.PASS),
        result(Outcome.FAIL),
        result(Outcome.UNKNOWN),
        result(Outcome.NOT_APPLICABLE),
    ]

    assert policy.count(results, 3) == Counts(2, 1, 1, 1, 3)


FOLLOWING = {
    "dkim/no-key": a_rule("dkim/no-key", explains=("dkim/does-not-*", "dkim/unauthenticated")),
    "dkim/does-not-verify": a_rule("dkim/does-not-verify", explains=("dkim/unauthenticated", "dkim/no-key")),
    "dkim/unauthenticated": a_rule("dkim/unauthenticated", explains=("dmarc/not-aligned",)),
    "dmarc/not-aligned": a_rule("dmarc/not-aligned"),
}


def followed(*failed, passed=(), levels=()):
    levels = dict(levels)
    results = [result(Outcome.FAIL, levels.get(name, Level.ERROR), name) for name in failed]
    results += [result(Outcome.PASS, name=name) for name in passed]
    told = policy.follow(results, FOLLOWING)
    return {one.rule: one.because for one in told if isinstance(one.because, str)}


def test_what_follows_names_the_first_cause():
    assert followed(*FOLLOWING) == dict.fromkeys(
        ["dkim/does-not-verify", "dkim/unauthenticated", "dmarc/not-aligned"], "dkim/no-key"
    )


def test_a_rule_that_passed_explains_nothing():
    assert followed("dmarc/not-aligned", passed=["dkim/unauthenticated"]) == {}


def test_nothing_follows_from_what_is_worth_less():
    assert followed("dkim/unauthenticated", "dmarc/not-aligned", levels={"dkim/unauthenticated": Level.WARNING}) == {}
