"""The configuration file: found upwards, read strictly, folded under the command line."""

import contextlib
import os
import time
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck import config, policy
from delivcheck.config import Config, ConfigError, Layer, discover, find, load, settled
from delivcheck.facts.roots import ReaderClients, Sender
from delivcheck.model import Level, MessageClass, Volume
from delivcheck.tables import Reader

FULL = """\
policy = "csa"
class = "bulk"
volume = "low"
timeout = 7.5
nameservers = ["192.0.2.53", "[2001:db8::53]:5353"]
owned-domains = ["Example.com.", "bücher.example"]
jurisdictions = ["de"]
selectors = ["s1", "s2"]

[sender]
postal-address = " 1 Main St, Springfield IL 62701 "
legal-name = "Example Ltd"
brand-names = ["Example", " "]
sexually-oriented = false
unsolicited = true
mailbox-domains = ["Example.ORG", "bücher.example"]

[clients]
gmail = 45
outlook-word = 5.5
aol = 0

[rules]
"class/undeclared" = "off"
"size/*" = { level = "note" }

[streams.receipts]
class = "transactional"
policy = "house.toml"

[streams.weekly.rules]
"class/undeclared" = "error"
"""


def written(folder, text, name="delivcheck.toml"):
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_every_key_is_read(tmp_path):
    found = load(written(tmp_path, FULL))
    assert found.layer.policy == "csa"
    assert (found.layer.message_class, found.layer.volume) == (MessageClass.BULK, Volume.LOW)
    assert found.timeout == 7.5
    assert found.nameservers == ("192.0.2.53", "[2001:db8::53]:5353")
    assert found.owned_domains == ("example.com", "xn--bcher-kva.example")
    assert (found.jurisdictions, found.selectors) == (("DE",), ("s1", "s2"))
    assert found.sender == Sender(
        "1 Main St, Springfield IL 62701", "Example Ltd", ("Example",), False, True, ("example.org", "xn--bcher-kva.example")
    )
    assert found.clients == ReaderClients({"gmail": 45, "outlook-word": 5.5, "aol": 0})
    assert [(one.pattern, one.level) for one in found.layer.rules] == [("class/undeclared", Level.OFF), ("size/*", Level.NOTE)]
    assert found.streams["receipts"].message_class is MessageClass.TRANSACTIONAL
    assert found.streams["receipts"].policy == str(tmp_path / "house.toml"), "beside the file, not where the user stands"
    assert found.streams["weekly"].rules[0].level is Level.ERROR


def test_pyproject_has_the_same_in_its_table(tmp_path):
    text = FULL.replace("[rules]", "[tool.delivcheck.rules]").replace("[streams.", "[tool.delivcheck.streams.")
    found = load(written(tmp_path, "[tool.delivcheck]\n" + text, "pyproject.toml"))
    assert found.layer.policy == "csa"
    assert set(found.streams) == {"receipts", "weekly"}


@pytest.mark.parametrize(
    ("files", "start", "found"),
    [
        ({"delivcheck.toml": ""}, ".", "delivcheck.toml"),
        ({"delivcheck.toml": ""}, "a/b/c", "delivcheck.toml"),
        ({"delivcheck.toml": "", "a/delivcheck.toml": ""}, "a/b", "a/delivcheck.toml"),
        ({"pyproject.toml": "[tool.delivcheck]\n"}, "a", "pyproject.toml"),
        ({"pyproject.toml": "[tool.delivcheck]\n", "delivcheck.toml": ""}, ".", "delivcheck.toml"),
        ({"delivcheck.toml": "", "a/pyproject.toml": "[tool.other]\n"}, "a", "delivcheck.toml"),
        ({"delivcheck.toml": "", "a/pyproject.toml": 'x = ["delivcheck"]\n'}, "a", "delivcheck.toml"),
        ({"delivcheck.toml": "", "a/pyproject.toml": "not toml"}, "a", "delivcheck.toml"),
        ({"delivcheck.toml": "", "a/pyproject.toml": "[tool.delivcheck]\nnot toml"}, "a", "a/pyproject.toml"),
        ({"delivcheck.toml": "", "a/pyproject.toml": b"delivcheck \xff"}, "a", "delivcheck.toml"),
    ],
    ids=str,
)
def test_the_nearest_file_is_taken(tmp_path, files, start, found):
    for name, text in files.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    folder = tmp_path / start
    folder.mkdir(parents=True, exist_ok=True)
    assert find(folder) == tmp_path / found


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away")
@pytest.mark.parametrize(("owner", "mode", "read"), [(12345, 0o1777, False), (12345, 0o755, True), (0, 0o1777, True)])
def test_what_a_stranger_put_where_anybody_may_is_passed_by(tmp_path, caplog, owner, mode, read):
    for name, text in (("delivcheck.toml", ""), ("inner/delivcheck.toml", ""), ("inner/pyproject.toml", "[tool.delivcheck]\n")):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    inner = tmp_path / "inner"
    for file in inner.iterdir():
        os.chown(file, owner, -1)
    inner.chmod(mode)
    assert find(inner) == (inner if read else tmp_path) / "delivcheck.toml"
    assert [str(inner) in line for line in caplog.messages] == ([] if read else [True, True])


def test_without_a_file_nothing_is_said(tmp_path):
    nowhere = tmp_path / "a"
    nowhere.mkdir()
    if find(nowhere) is None:  # nobody put one above the temporary folder
        assert discover(start=nowhere) == Config()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("polcy = 'bulk'\n", ":1: polcy: no such key; did you mean policy?"),
        ("extends = 'bulk'\n", ':1: extends: no such key; it belongs in a policy file, named here by policy = "FILE.toml"'),
        ("[[require]]\nid = 'acme/x'\n", ":1: require: no such key; it belongs in a policy file"),
        ("policy = 3\n", ":1: policy: a policy's name or file, not 3"),
        ("\n\nclass = 'marketing'\n", ":3: class: 'marketing' is none of bulk, transactional"),
        ("volume = 'hgih'\n", ":1: volume: 'hgih' is none of bulk, low"),
        ("timeout = 0\n", ":1: timeout: a number of seconds above 0, not 0"),
        ("timeout = true\n", ":1: timeout: a number of seconds above 0, not True"),
        ("timeout = 'soon'\n", ":1: timeout: a number of seconds above 0, not 'soon'"),
        ("nameservers = '192.0.2.1'\n", ":1: nameservers: a list of strings is wanted here, not '192.0.2.1'"),
        ("selectors = ['a', 1]\n", ":1: selectors: a list of strings is wanted here, not ['a', 1]"),
        (
            "jurisdictions = ['DE', 'Germany']\n",
            ":1: jurisdictions: 'Germany' is no code of a country such as DE, US or EU; did you mean DE (Germany)?",
        ),
        ("owned-domains = ['https://a.example']\n", ":1: owned-domains: 'https://a.example' is no domain"),
        ("[sender]\nlegal-nam = 'x'\n", ":2: sender.legal-nam: no such key; did you mean legal-name?"),
        ("[sender]\nlegal-name = 3\n", ":2: sender.legal-name: a string is wanted here, not 3"),
        ("[sender]\nunsolicited = 'yes'\n", ":2: sender.unsolicited: true or false is wanted here, not 'yes'"),
        ("[sender]\nbrand-names = 'x'\n", ":2: sender.brand-names: a list of strings is wanted here, not 'x'"),
        ("[sender]\nmailbox-domains = ['a..b']\n", ":2: sender.mailbox-domains: "),
        ("[clients]\ngmial = 45\n", ":2: clients.gmial: no such key; did you mean gmail?"),
        ("[clients]\ngmail = 450\n", ":2: clients.gmail: percent of readers, at most 100 and above 0, not 450"),
        ("[clients]\ngmail = false\n", ":2: clients.gmail: percent of readers, at most 100 and above 0, not False"),
        ("[clients]\ngmail = '45 %'\n", ":2: clients.gmail: percent of readers, at most 100 and above 0, not '45 %'"),
        ("[clients]\ngmail = 60\nyahoo = 60\n", ":1: clients: the shares add up to 120 percent"),
        ("clients = ['gmail']\n", ":1: clients: a table is wanted here"),
        ("sender = 1\n", ":1: sender: a table is wanted here"),
        ("rules = 1\n", ":1: rules: a table is wanted here"),
        (
            "[rules]\n'spf/*' = 'eror'\n",
            ":2: rules.\"spf/*\": 'eror' is none of error, warning, note, off; did you mean error?",
        ),
        ("[rules]\n'spf/*' = 1\n", ':2: rules."spf/*": a level, or a table of a level and options'),
        ("streams = []\n", ":1: streams: a table is wanted here"),
        ("[streams]\nweekly = 1\n", ":2: streams.weekly: a table is wanted here"),
        ("[streams.weekly]\nclas = 'bulk'\n", ":2: streams.weekly.clas: no such key; did you mean class?"),
        ("[streams.'a b']\nclass = 'x'\n", ":2: streams.a b.class: 'x' is none of bulk, transactional"),
        ("[streams.weekly.rules]\n'a/b' = 'x'\n", ":2: rules.\"a/b\": 'x' is none of"),
        ("policy = \n", ": not valid TOML: Invalid value (at line 1, column 10)"),
    ],
)
def test_a_mistake_is_told_with_file_line_and_key(tmp_path, text, complaint):
    file = written(tmp_path, text)
    with pytest.raises(ConfigError) as error:
        load(file)
    assert str(error.value).startswith(f"{file}{complaint}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 100_000,
        "a = " + "{a = " * 100_000,
        "a." * 20_000 + "b = 1",
        "timeout = " + "1" * 5000,
        "timeout = " + "1" * 400,
        "timeout = inf",
        "timeout = nan",
        "tool = 1",
        "policy = 'a\\u0000.toml'",
        "#" * 1_000_001,
        "[" + " " * 5000 + "\n",
    ],
    ids=["lists", "tables", "dots", "digits", "no-float", "inf", "nan", "tool", "nul", "long", "blank"],
)
def test_a_file_made_to_break_the_reader_is_told_as_such(tmp_path, text):
    for name in (config.FILE, config.SHARED_FILE):
        file = written(tmp_path, text + "\n# delivcheck", name)
        with contextlib.suppress(ConfigError):
            load(file)
        found = find(tmp_path)
        assert found is None or found.name in {config.FILE, config.SHARED_FILE}
        file.unlink()


def test_thousands_of_rules_are_read_in_linear_time(tmp_path):
    rules = "".join(f"'spf/{number}' = 'off'\n" for number in range(3000))
    started = time.process_time()
    assert len(load(written(tmp_path, f"[rules]\n{rules}")).layer.rules) == 3000
    assert time.process_time() - started < 20


def test_a_mistake_in_pyproject_has_its_line_too(tmp_path):
    file = written(tmp_path, "[project]\nname = 'x'\n\n[tool.delivcheck]\npolcy = 'x'\n", "pyproject.toml")
    with pytest.raises(ConfigError, match=r"pyproject\.toml:5: polcy: "):
        load(file)
    file = written(tmp_path, "tool.delivcheck.polcy = 'x'\n", "pyproject.toml")
    with pytest.raises(ConfigError, match=r"pyproject\.toml:1: polcy: "):
        load(file)
    file = written(tmp_path, "tool.delivcheck = 1\n", "pyproject.toml")
    with pytest.raises(ConfigError, match=r"a table is wanted here"):
        load(file)


PLACES = """\
# every number is the line it stands on; [no.table] 1
a = 1.0
b.c = 3
"b" . 'd e' = 4
words = [5, # [
  6, [ 6, 6 ],
  "[x]", 'y = "',
  8, ]
text = '''
c = 1
[gone]
''''
more = @@@
d = 1 \\@@@
" \\\\@@@
after = 16
separated = "\u2028\x85"
next = 18
[t] # ]
k = 20
[t . "u]"]
k = 22
in = { x = 23, y.z = 23, v = [ { w = 23 }, { w = 23 }, 23 ] }
[[many]]
k = 25
[many.below]
k = 27
[[many]]
k = 29
[[many.deep]]
k = 31
[many.deep.er]
k = 33
[[many.deep]]
k = 35
[last]
arrays = [
  { k = 38 },

  { k = 40, other = [
    41 ] },
]
k = 43
""".replace("@@@", '"""')


def test_every_key_and_every_element_has_its_own_line():
    def held(value, *keys):
        if isinstance(value, dict):
            for key, one in value.items():
                yield from held(one, *keys, key)
        elif isinstance(value, list):
            for index, one in enumerate(value):
                yield from held(one, *keys, index)
        elif type(value) is int:
            yield keys, value

    found = Reader(Path("x.toml"), PLACES).lines
    expected = dict(held(tomllib.loads(PLACES)))
    assert {keys: found.get(keys) for keys in expected} == expected
    assert len(expected) > 20
    assert (found["text",], found["more",], found["words",], found["words", 4]) == (9, 13, 5, 7)
    assert (found["many",], found["many", 0], found["many", 1], found["many", 1, "deep", 1]) == (24, 24, 28, 34)
    assert ("c",) not in found
    assert ("gone",) not in found


def test_what_cannot_be_read_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r"gone\.toml: No such file"):
        load(tmp_path / "gone.toml")
    (tmp_path / "latin.toml").write_bytes(b"# caf\xe9\n")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(tmp_path / "latin.toml")


def test_a_stream_must_exist(tmp_path):
    found = load(written(tmp_path, FULL))
    assert found.stream("weekly").rules
    with pytest.raises(ConfigError, match=r"no stream 'weekyl'; did you mean weekly\?"):
        found.stream("weekyl")
    with pytest.raises(ConfigError, match=r"there is no delivcheck\.toml"):
        Config().stream("x")
    with pytest.raises(ConfigError, match="has none"):
        load(written(tmp_path, "")).stream("x")


# --- folding -----------------------------------------------------------------------------------------------------

BULK, TRANSACTIONAL = MessageClass.BULK, MessageClass.TRANSACTIONAL


@pytest.mark.parametrize(
    ("layers", "name", "message_class"),
    [
        ([], "bulk", None),
        ([Layer(), Layer(), Layer()], "bulk", None),
        ([Layer(), Layer(policy="csa")], "csa", None),
        ([Layer(policy="strict"), Layer(policy="csa")], "strict", None),
        ([Layer(), Layer(message_class=BULK)], "bulk", BULK),
        ([Layer(message_class=TRANSACTIONAL), Layer(message_class=BULK)], "bulk", TRANSACTIONAL),
        ([Layer(policy="transactional"), Layer(message_class=BULK)], "transactional", TRANSACTIONAL),
        ([Layer(message_class=BULK), Layer(policy="transactional")], "transactional", BULK),
        ([Layer(policy="transactional", message_class=BULK)], "transactional", BULK),
    ],
    ids=str,
)
def test_the_stronger_layer_decides(layers, name, message_class):
    done = settled(layers)
    assert (done.policy.name, done.message_class) == (name, message_class)


def test_rules_of_all_layers_apply_and_the_stronger_comes_last():
    def says(level):
        return Layer(rules=(policy.parse_setting(f"class/undeclared={level}"),))

    done = settled([says("note"), says("error"), says("off")])
    assert [setting.level for setting in done.policy.settings] == [Level.OFF, Level.ERROR, Level.NOTE]


def test_an_unknown_policy_is_a_policy_error():
    with pytest.raises(policy.PolicyError, match="no policy 'bulkk'"):
        settled([Layer(policy="bulkk")])


@given(st.text(max_size=200))
def test_any_text_is_a_configuration_or_a_config_error(text):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "delivcheck.toml"
        file.write_text(text, encoding="utf-8", errors="replace", newline="")
        with contextlib.suppress(ConfigError):
            assert isinstance(load(file), Config)


def test_the_readme_names_every_key():
    text = (Path(__file__).parents[1] / "README.md").read_text()
    told = text[text.index("`delivcheck.toml`, or") : text.index("`delivcheck rules` lists")]
    assert [key for key in config._KEYS if key not in told] == []


OVERRIDES = """\
class = "bulk"

[streams.receipts]
class = "transactional"

[[overrides]]
paths = ["mails/*"]
rules = { "mime/latin-1" = "off" }

[[overrides]]
paths = ["mails/receipts/*", "*.receipt.eml"]
stream = "receipts"
"""


@pytest.mark.parametrize(
    ("name", "streams"),
    [
        ("mails/a.eml", [None]),
        ("mails/receipts/a.eml", ["receipts", None]),  # the later one is the stronger
        ("mails/receipts/2026/a.eml", ["receipts", None]),
        ("elsewhere/a.receipt.eml", ["receipts"]),
        ("elsewhere/a.eml", []),
        ("../mails/a.eml", []),
    ],
)
def test_overrides_hold_for_paths_below_the_configuration(tmp_path, name, streams):
    found = load(written(tmp_path / "project", OVERRIDES))
    assert [one.stream for one in found.at(str(tmp_path / "project" / name))] == streams


def test_without_a_file_there_are_no_overrides():
    assert Config().at("mails/a.eml") == ()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("overrides = 3", ":1: overrides: tables [[overrides]] are wanted here"),
        ("[[overrides]]\nrules = {}", ":1: overrides: paths: at least one pattern is wanted"),
        ('[[overrides]]\npaths = "mails/*"', "overrides.paths: a list of strings is wanted here"),
        ('[streams.receipts]\n[[overrides]]\npaths = ["a"]\nstream = "receits"', "did you mean receipts?"),
        ('[[overrides]]\npath = ["a"]', "no such key; did you mean paths?"),
        ('[[overrides]]\npaths = ["a"]\n[[overrides]]\npaths = 3', ":4: overrides.paths: a list of strings is wanted here"),
        ('[[overrides]]\npaths = ["a"]\n\n[[overrides]]\nrules = {}', ":4: overrides: paths: at least one"),
        ('overrides = [\n{ paths = ["a"], polcy = "x" }]', ":2: overrides.polcy: no such key; did you mean policy?"),
    ],
)
def test_a_mistake_in_an_override_is_one_line(tmp_path, text, complaint):
    with pytest.raises(ConfigError) as error:
        load(written(tmp_path, text))
    assert complaint in str(error.value)


def test_the_systems_file_is_read_where_no_other_is_nearer(tmp_path):
    system = tmp_path / "etc.toml"
    system.write_text('policy = "strict"\n')
    (tmp_path / "here").mkdir()
    assert config.discover(start=tmp_path / "here", system=system).layer.policy == "strict"
    assert config.discover(start=tmp_path / "here", system=tmp_path / "none.toml").path is None
    (tmp_path / "here" / "delivcheck.toml").write_text('policy = "csa"\n')
    assert config.discover(start=tmp_path / "here", system=system).layer.policy == "csa"
