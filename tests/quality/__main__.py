"""`python -m tests.quality [alarms] [refusals] [recall]`: the three figures of the rule book, in full.

False alarms: findings on templates in wide use. False refusals: errors on mail that is known to be accepted. Recall: how many of
the seeded faults are found under the right rule. Exit status 1 when one of them is out of bounds (see the tests beside this).
"""

import logging
import statistics
import sys
import tempfile
from collections import Counter
from pathlib import Path

from delivcheck.model import Level
from tests.quality import accepted, faults, templates
from tests.quality.limits import MAX_MEDIAN, MIN_RECALL
from tests.quality.world import CORPORA, failing, judge

TOP = 10


def alarms() -> bool:
    """Medians, the most frequent rules, the worst files."""
    good = True
    for fill, mode in ((False, "as shipped"), (True, "links filled in")):
        counts: dict[str, list[int]] = {}
        rules: Counter[str] = Counter()
        worst = []
        for built in templates.built(fill=fill):
            found = failing(judge(built.message, "transactional").results, Level.WARNING)
            counts.setdefault(built.name.partition("/")[0], []).append(len(found))
            rules.update(f"{one.rule} ({one.level})" for one in found)
            worst.append((len(found), built.name, ", ".join(one.rule for one in found)))
        print(f"\nFindings at warning or above a file, policy transactional, templates {mode}")
        for folder, each in counts.items():
            median = statistics.median(each)
            good = good and median <= MAX_MEDIAN
            print(f"  {folder:16} {len(each):4} files, median {median:g}, maximum {max(each)}")
        print(f"  the {TOP} most frequent rules:")
        for rule, count in rules.most_common(TOP):
            print(f"  {count:6}  {rule}")
        print("  the worst files:")
        for count, name, which in sorted(worst, reverse=True)[:5]:
            print(f"  {count:6}  {name}: {which}")
    return good


def refusals() -> bool:
    """Errors of accepted messages, by policy."""
    judged: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    left_out = messages = 0
    with tempfile.TemporaryDirectory() as folder:
        for case in (*accepted.own(packs=True), *accepted.archived(), *accepted.bench(Path(folder), 20)):
            left_out += bool(case.faults)
            messages += not case.faults
            judged.update(() if case.faults else case.policies)
            for one in accepted.refusals(case):
                refused[one.policy] += 1
                print(f"  {one.case} under {one.policy}: {one.rule}: {one.what}")
    print(f"\nFalse refusals: {messages} accepted messages, {left_out} of the corpora left out for true faults (faulty.toml)")
    for policy, count in sorted(judged.items()):
        print(f"  {policy:16} {count:4} judged, {refused[policy]} refused")
    return not refused


def recall() -> bool:
    """Seeded faults that the right rule does not find."""
    families: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    for case in faults.cases():
        family = case.rules[0].partition("/")[0]
        families[family] += 1
        found = faults.found(case)
        if found.keys().isdisjoint(case.rules):
            missed[family] += 1
            print(f"  missed {case.name}: {' or '.join(case.rules)}; found were {', '.join(found) or 'none'}")
    share = 1 - missed.total() / families.total()
    print(
        f"\nRecall: {families.total() - missed.total()} of {families.total()} seeded faults found under the right rule, {share:.1%}"
    )
    for family, count in sorted(families.items()):
        print(f"  {family:16} {count - missed[family]:4} of {count}")
    return share >= MIN_RECALL


FIGURES = {"alarms": alarms, "refusals": refusals, "recall": recall}


def main() -> int:
    """Print what was asked for, or all."""
    logging.disable(logging.CRITICAL)
    wanted = sys.argv[1:] or [*FIGURES]
    if unknown := set(wanted) - FIGURES.keys():
        print(f"no figure {', '.join(sorted(unknown))}: there are {', '.join(FIGURES)}", file=sys.stderr)
        return 2
    if not CORPORA.is_dir():
        print("../shared/corpora is not there: no templates, no archived mail", file=sys.stderr)
    held = [FIGURES[name]() for name in wanted]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
