"""What callers write on sendmail's command line, and what strangers would write there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.integrations.sendmail.arguments import Arguments, UsageError, parse


def of(line, environment=None):
    return parse(line if isinstance(line, list) else line.split(" "), environment or {})


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("-t -i", {"from_header": True, "dot_ends": False}),  # PHP's default
        ("-t -i -fbounces@a.example", {"from_header": True, "dot_ends": False, "sender": "bounces@a.example"}),
        ("-ti", {"from_header": True, "dot_ends": False}),
        ("-it", {"from_header": True, "dot_ends": False}),
        ("-tif x@a.example", {"from_header": True, "dot_ends": False, "sender": "x@a.example"}),
        (
            "-i -FCronDaemon -B8BITMIME -oem root",  # Debian's cron
            {"dot_ends": False, "full_name": "CronDaemon", "body": "8BITMIME", "recipients": ("root",)},
        ),
        (
            "-oem -oi -f me@a.example -- you@b.example them@b.example",  # mutt
            {"dot_ends": False, "sender": "me@a.example", "recipients": ("you@b.example", "them@b.example")},
        ),
        ("-f me@a.example -i you@b.example", {"sender": "me@a.example", "dot_ends": False, "recipients": ("you@b.example",)}),
        ("-i -f me@a.example you@b.example", {"sender": "me@a.example", "dot_ends": False, "recipients": ("you@b.example",)}),
        ("-bs", {"smtp": True}),
        ("-bs -bm a@b.example", {"recipients": ("a@b.example",)}),
        (
            "-bm -v -U -G -n -L tag -Ac -em -oeq -O DeliveryMode=b a@b.example",
            {"verbose": True, "recipients": ("a@b.example",)},
        ),
        ("-O IgnoreDots=True a@b.example", {"dot_ends": False, "recipients": ("a@b.example",)}),
        (
            "-N success,delay -R hdrs -V id7 -B 7bit a@b.example",
            {
                "notify": ("SUCCESS", "DELAY"),
                "ret": "HDRS",
                "envid": "id7",
                "body": "7BIT",
                "recipients": ("a@b.example",),
            },
        ),
        ("-N never a@b.example", {"notify": ("NEVER",), "recipients": ("a@b.example",)}),
        ("-r x@a.example -f y@a.example a@b.example", {"sender": "y@a.example", "recipients": ("a@b.example",)}),
        ("-f <> a@b.example", {"sender": "", "recipients": ("a@b.example",)}),
        ("-f<> a@b.example", {"sender": "", "recipients": ("a@b.example",)}),
        ("-X /tmp/log -C /tmp/cf -d0.1 -h 3 -p x -M a=b a@b.example", {"recipients": ("a@b.example",)}),
        ("-- -x@b.example", {"recipients": ("-x@b.example",)}),
        ("a@b.example -- -x@b.example", {"recipients": ("a@b.example", "-x@b.example")}),
    ],
)
def test_what_real_callers_write(line, wanted):
    assert of(line) == Arguments(**wanted)


def test_an_empty_sender_is_the_null_sender():
    assert of(["-f", "", "a@b.example"]).sender == ""


@pytest.mark.parametrize(
    "line",
    [
        "-q",
        "-q30m",
        "-bp",
        "-bi",
        "-bd",
        "-bt",
        "-bv a@b.example",
        "-I",
        "-Z",
        "-tZ",
        "-f",
        "-t -f",
        "-N sometimes a@b.example",
        "-N never,success a@b.example",
        "-R all a@b.example",
        "-B BINARY a@b.example",
        "a@b.example -f x@a.example",
        "a@b.example -X/tmp/shell.php",
        "--mode",
        "--no-such x -t",
        "-t --mode observe",
        "-t -i -fx@a.example --config=/tmp/mine.toml",
        "a@b.example --config=/tmp/mine.toml",
    ],
)
def test_what_cannot_be_carried_out_is_a_usage_error_in_one_line(line):
    with pytest.raises(UsageError) as raised:
        of(line)
    assert str(raised.value)
    assert "\n" not in str(raised.value)


def test_our_own_options_stand_in_front_and_go_before_the_environment():
    environment = {"DELIVCHECK_POLICY": "bulk", "DELIVCHECK_ON_UNKNOWN": "raise", "DELIVCHECK_STREAM": ""}
    found = of("--config /etc/x.toml --policy=transactional --mode observe -ti", environment)
    assert found.own == {"config": "/etc/x.toml", "policy": "transactional", "mode": "observe", "on-unknown": "raise"}
    assert found.from_header


@pytest.mark.parametrize("name", ["x\r\nBcc: evil@c.example", "x\nBcc: y", "a\x7fb", "a\u2028b"])
def test_a_name_with_control_characters_is_refused(name):
    with pytest.raises(UsageError, match="control"):
        of(["-F", name, "a@b.example"])


WORDS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["-t", "-i", "--", "-", "-f", "-oi", "-N", "-bs", "--mode", "--config=x", "a@b.example", "-f<>", "-qx", ""]
    ),
    st.text(alphabet="-tifFNRVBobqOX@<>a ", max_size=8),
)


@given(st.lists(WORDS, max_size=8))
def test_it_returns_or_raises_its_one_error(argv):
    try:
        found = parse(argv, {})
    except UsageError:
        return
    assert all(isinstance(one, str) for one in found.recipients)
    # Behind sendmail's own first word nothing of ours is taken.
    first = next((n for n, word in enumerate(argv) if word == "--" or not word.startswith("--")), len(argv))
    assert len(found.own) <= first
