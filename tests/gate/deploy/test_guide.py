"""docs/gate.md, read as its reader would: every command is run, every configuration line parsed, every name and number looked up."""

import asyncio
import itertools
import os
import re
import shlex
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

from delivcheck import catalog, config, ulid
from delivcheck import policy as policies
from delivcheck.cli import main
from delivcheck.facts.roots import Declared
from delivcheck.gate import reading
from delivcheck.gate.decide import ENHANCED
from delivcheck.gate.held import HeldStore
from delivcheck.gate.model import Action, Client, Decision, Incoming, Outcome
from delivcheck.gate.reply import Reply
from delivcheck.gate.serve.admin import Admin
from delivcheck.gate.settings import Hold
from delivcheck.model import MessageClass
from delivcheck.tables import ConfigError
from tests import keys
from tests.gate.deploy import settings_page
from tests.gate.deploy.site import DEPLOY, GUIDE, ROOT, logical_lines, message, name_server
from tests.gate.milter.test_postfix import ACTIONS
from tests.gate.serve.test_gate import next_hop
from tests.mta import needs_postfix, postfix
from tests.servers import program

README = ROOT / "README.md"
TEXT = GUIDE.read_text()
PROSE = re.sub(r"^```.*?^```$", "", TEXT, flags=re.MULTILINE | re.DOTALL)
GATES = sorted((DEPLOY / "gate").glob("*.toml"))
MAINS = sorted((DEPLOY / "postfix").glob("*.main.cf"))
MASTERS = sorted((DEPLOY / "postfix").glob("*.master.cf"))


def blocks(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def rows(first):
    """The rows of the table whose head begins with this cell, each as its cells."""
    table = re.search(rf"^\| {re.escape(first)} \|.*\n\|[ |-]+\n((?:\|.*\n)+)", TEXT, re.MULTILINE)
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table[1].splitlines()]


def named(text):
    """What stands between backticks."""
    return re.findall(r"`([^`]+)`", text)


# --- files ----------------------------------------------------------------------------------------------------------


def test_every_link_leads_somewhere_and_every_file_to_deploy_is_linked():
    links = {(GUIDE.parent / link).resolve() for link in re.findall(r"\]\(([^)#]+)\)", TEXT)}
    assert not [link for link in links if not link.exists()]
    linked = {link for link in links if link.is_file()}
    of_hooks = set((DEPLOY / "systemd").glob("delivcheck-daemon.*"))  # docs/hooks/daemon.md links them
    assert {path for path in DEPLOY.rglob("*.*") if path.is_file() and path.parent != DEPLOY} - linked - of_hooks == {
        DEPLOY / "systemd" / "delivcheck-gate.service"  # installed by a command
    }


def test_every_configuration_of_the_guide_is_run_by_a_test():
    run = Path(__file__).with_name("test_shapes.py").read_text() + Path(__file__).with_name("test_rewriting.py").read_text()
    assert [path.name for path in (*GATES, *MAINS, *MASTERS) if f'"{path.name}"' not in run] == []


def test_the_page_of_settings_is_what_the_code_says():
    assert settings_page.PAGE.read_text() == settings_page.page(), "run python -m tests.gate.deploy.settings_page"


def test_what_the_page_calls_required_is(tmp_path):
    whole = {
        "[gate]": {"name": '"a.example.com"'},
        "[[gate.listen]]": {"kind": '"milter"', "address": '"127.0.0.1:1"'},
        "[[gate.next-hop]]": {"address": '"127.0.0.1:2"'},
        "[[gate.sign]]": {"domain": '"example.com"', "selector": '"s1"', "key-env": '"KEY"'},
        "[gate.trace]": {},
        "[[gate.listen]] # http": {"kind": '"http"', "address": '"127.0.0.1:3"'},
        "[gate.otel]": {"endpoint": '"http://127.0.0.1:4318"'},
        "[gate.bounces]": {"domain": '"bounces.example.com"'},
        "[gate.reports.NAME]": {"provider": '"mailgun"', "secret-env": '"KEY"'},
    }

    def read(without=None):
        lines = [
            line
            for table, values in whole.items()
            for line in (table, *(f"{key} = {value}" for key, value in values.items() if (table, key) != without))
        ]
        path = tmp_path / "delivcheck.toml"
        path.write_text("\n".join(lines))
        return reading.read(config.load(path))

    read()
    for table, required in settings_page.REQUIRED.items():
        for key in required:
            with pytest.raises(ConfigError, match=key):
                read((table, key))


# --- the gate's configurations ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*GATES, DEPLOY / "delivcheck.toml"], ids=lambda path: path.stem)
def test_a_configuration_is_read_without_a_warning(path):
    found = config.load(path)
    assert not reading.warnings(found, reading.read(found))


def test_the_gate_of_the_readme_is_a_configuration_without_a_warning(tmp_path):
    [text] = [
        one for one in re.findall(r"^```toml\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL) if "[gate]" in one
    ]
    path = tmp_path / "delivcheck.toml"
    path.write_text(text)
    found = config.load(path)
    assert not reading.warnings(found, reading.read(found))


def test_where_a_checkout_is_installed_its_own_extras_are_named():
    """Nothing of this stands in a package index that a clone would be installed from."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for path in (README, GUIDE):
        for line in re.findall(r"pip install .*'(\..*?)'", path.read_text()):
            assert set(re.fullmatch(r"\.\[(.*)\]", line)[1].split(",")) <= set(extras), line
    assert "pip install -e '.[gate]'" in README.read_text()
    assert "pip install '.[gate]'" in TEXT


def test_the_commented_keys_of_the_whole_example_are_keys():
    """Each key of delivcheck.toml, commented out or not, is one of its table's, and every key is there."""
    table, seen = "", {}
    for line in (DEPLOY / "delivcheck.toml").read_text().splitlines():
        if found := re.match(r"(?:# )?(\[+gate.*?\]+)$", line):
            table = re.sub(r"(credentials|reports)\.\w+", r"\1.NAME", found[1])
        elif table and (found := re.match(r"(?:# ?)?([a-z-]+) *= ", line)):
            seen.setdefault(table, set()).add(found[1])
    ways = {f"{of}-{way}" for of in ("key", "password", "secret") for way in ("env", "command")}  # named beside the file
    for name, known in settings_page.TABLES.items():
        assert seen.get(name, set()) <= set(known), name
        assert set(known) - seen.get(name, set()) - ways <= {
            "name",
            "log-level",
            "stream",
            "mode",
            "on-fault",
            "networks",
            "credential",
        }, name


def test_a_policy_of_the_guide_can_be_used(tmp_path):
    policy, mended = blocks("toml")
    assert tomllib.loads(policy)["on-fail"] == tomllib.loads(mended)["on-fail"] == "hold"
    (tmp_path / "mended.toml").write_text(mended)
    [name] = tomllib.loads(mended)["rules"]
    levels = [
        policies.load(one).level(catalog.pages()[name], Declared(MessageClass.TRANSACTIONAL))
        for one in ("transactional", str(tmp_path / "mended.toml"))
    ]
    assert levels == ["error", "warning"], "the setting changes what is held"
    (tmp_path / "policy.toml").write_text(policy)
    text = (DEPLOY / "gate" / "proxy-filter.toml").read_text().replace('"transactional"', '"policy.toml"')
    path = tmp_path / "delivcheck.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=re.escape("[gate.hold]")):
        reading.read(config.load(path))
    path.write_text(text + "\n[gate.hold]\n")
    reading.read(config.load(path))
    path.write_text((DEPLOY / "gate" / "milter.toml").read_text().replace('"transactional"', '"policy.toml"'))
    reading.read(config.load(path))


# --- Postfix ------------------------------------------------------------------------------------------------------------


@cache
def defaults():
    """Postfix's parameters and their defaults."""
    done = subprocess.run([program("postconf"), "-d"], capture_output=True, text=True, check=True)
    return dict(re.split(r" = ?", line, maxsplit=1) for line in done.stdout.splitlines())


def complaints(folder, main="", master=""):
    """What Postfix says of a configuration."""
    for name, text in (("main.cf", main), ("master.cf", master)):
        (folder / name).write_text(text)
        os.utime(folder / name, (0, 0))  # Postfix waits for a young file to grow old
    said = ""
    for what in (["-n"], ["-M"], ["-P"]):
        done = subprocess.run([program("postconf"), "-c", str(folder), *what], capture_output=True, text=True, check=False)
        said += done.stderr
    return said


@needs_postfix
def test_postfix_knows_all_that_is_in_the_files(tmp_path):
    for path in MAINS:
        assert complaints(tmp_path, main=path.read_text()) == "", path
    for path in MASTERS:
        assert complaints(tmp_path, master=path.read_text()) == "", path


@needs_postfix
def test_postfix_knows_all_that_is_in_the_guide_and_the_files_have_it(tmp_path):
    lines = {" ".join(line.split()) for path in MAINS for line in logical_lines(path.read_text())}
    for block in blocks("cf"):
        assert complaints(tmp_path, main=block) == ""
        said = {" ".join(line.split()) for line in logical_lines(block)}
        assert said <= lines | {"smtpd_milters = unix:delivcheck/milter.sock"}, "the line that all tests of the milter use"


@needs_postfix
def test_parameters_that_the_guide_names_are_postfixs():
    ours = re.compile(r"delivcheck_.*|queue_id")
    names = {
        name for text in named(PROSE) for name in re.findall(r"^[a-z0-9]+(?:_[a-z0-9]+)+", text) if not ours.fullmatch(name)
    }
    flags = {"no_header_body_checks", "default_action"}  # of receive_override_options, and inside of smtpd_milters
    assert names - set(defaults()) == flags
    assert len(names) > 20


@needs_postfix
def test_the_times_that_the_guide_says_are_postfixs():
    [sentence] = re.findall(r"Postfix waits longer everywhere:(.*?)\n\n", TEXT, re.DOTALL)
    said = re.findall(r"`(\w+)` \((\d+ s)", sentence)
    assert len(said) == 3
    assert {name: value.replace(" ", "") for name, value in said} == {name: defaults()[name] for name, _ in said}


@needs_postfix
def test_debian_12_is_open_as_the_guide_says():
    version = subprocess.run([program("postconf"), "-dh", "mail_version"], capture_output=True, text=True, check=True).stdout
    if not version.startswith("3.7."):
        pytest.skip(f"this is Postfix {version}")
    assert (defaults()["smtpd_forbid_bare_newline"], defaults()["smtpd_forbid_unauth_pipelining"]) == ("no", "no")


def test_the_failure_matrix_is_what_the_tests_of_the_milter_see():
    head = re.search(r"^\| \| (`accept`.*) \|$", TEXT, re.MULTILINE)[1]
    actions = named(head)
    assert set(actions) == set(ACTIONS)
    table = re.search(rf"^\| \| {re.escape(head)} \|\n\|[ |-]+\n((?:\|.*\n)+)", TEXT, re.MULTILINE)[1]
    for row in table.splitlines():
        first, *cells = [cell.strip() for cell in row.strip("| ").split(" | ")]
        codes = {action: int(cell[:3]) for action, cell in zip(actions, cells, strict=True)}
        assert codes == {**ACTIONS, "reject": 554 if "from the start" in first else 550}
        assert ["held" in cell for cell in cells] == [action == "quarantine" for action in actions]


# --- what the gate says -------------------------------------------------------------------------------------------------


def test_replies_of_the_guide_are_the_gates_and_the_other_way_round():
    source = "".join(path.read_text() for path in (ROOT / "src/delivcheck/gate").rglob("*.py"))
    made = {f"{code} {enhanced}" for code, enhanced in re.findall(r'Reply\(\s*(\d{3}), "(\d\.\d+\.\d+)"', source)}
    made |= {f"550 {enhanced}" for enhanced in (*ENHANCED.values(), "5.6.0", "5.7.1")} | {"451 4.7.24", "451 4.4.3"}
    said = {code for row in rows("reply") for code in re.findall(r"`(\d{3} \d\.\d+\.\d+)`", row[0])}
    assert said <= made | {"550 5.7.20", "550 5.7.26"}
    # What is about a message: the others are about commands, and about clients that do not keep to the protocol.
    about_messages = {one for one in made if one[:3] in {"451", "452", "550", "552"} and one not in said}
    assert about_messages <= {f"550 {enhanced}" for enhanced in ENHANCED.values()}


def test_metrics_of_the_guide_are_counted():
    source = (ROOT / "src/delivcheck/gate/serve/metrics.py").read_text()
    kinds = {"counter": "_total", "seconds": "_seconds", "gauge": ""}
    known = {f"delivcheck_{name}{kinds[kind]}" for kind, name in re.findall(r'= (counter|seconds|gauge)\(\s*"(\w+)"', source)}
    known |= {f"delivcheck_{name}" for name in re.findall(r'"(\w+)"', source.partition("_NOW = {")[2].partition("}")[0])}
    said = set(re.findall(r"delivcheck_\w+", TEXT))
    assert said
    assert said <= known
    labels = {
        label for pairs in re.findall(r"`delivcheck_\w+\{(.*?)\}`", TEXT) for label in re.findall(r'(\w+)="(\w+)"', pairs)
    }
    assert all(f'"{label}"' in source and f'"{value}"' in source for label, value in labels)


# --- commands -----------------------------------------------------------------------------------------------------------

COMMANDS = [line[2:] for block in blocks("console") for line in block.splitlines()]
MOVED = {
    "/etc/delivcheck": "etc",
    "/etc/systemd/system": "systemd",
    "/var/spool/postfix/delivcheck": "milter",
    "/var/lib/delivcheck": "state",
}
SETTING_UP = COMMANDS.index(next(line for line in COMMANDS if line.startswith("python3")))


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """A machine as the guide has it after its first commands: /etc/delivcheck, a name server, a next hop, two held messages."""
    folder = tmp_path_factory.mktemp("machine")
    folder.chmod(0o755)
    etc, state, systemd = (folder / name for name in ("etc", "state", "systemd"))
    systemd.mkdir()
    state.mkdir()
    with name_server() as resolver, next_hop() as hop:
        store = HeldStore(state, Hold())
        held = []
        for name in ("1", "2"):
            octets = message(name=name)
            one = Incoming(
                octets,
                "bounces@example.com",
                ("pat@example.net",),
                Client(None, listener="smtp"),
                ulid.new(),
                datetime.now(UTC),
                next_hop="postfix",
            )
            decision = Decision(Action.HOLD, Reply(250, "2.0.0", "held"), ("dkim/no-signature",), "dkim/no-signature")
            held.append(asyncio.run(store.keep(one, Outcome(decision, octets))).trace)
        yield {
            "etc": etc,
            "state": state,
            "systemd": systemd,
            "milter": folder / "milter",
            "resolver": resolver,
            "hop": hop,
            "held": held,
        }


def test_all_commands_of_the_guide_do_what_it_says(host, capsys, monkeypatch):
    """As root would on a new machine, beginning with its setting up; paths are those of a test's folder."""
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    traces_left = {"release": host["held"][0], "discard": host["held"][1]}
    for line in (*COMMANDS[SETTING_UP:], *COMMANDS[:SETTING_UP]):
        words = shlex.split(re.sub("|".join(MOVED), lambda found: str(host[MOVED[found[0]]]), line))
        words = [traces_left.get(words[2], host["held"][1]) if word == "TRACE" else word for word in words]
        if host["etc"].exists():
            monkeypatch.chdir(host["etc"])
        match words:
            case ["delivcheck", "user", "add", *arguments]:
                _with_users_and_holding(host)
                assert len(_ran(["user", "add", *arguments], capsys).strip()) >= 20, "the password, once"
            case ["delivcheck", "held", "list"]:
                assert _ran(words[1:], capsys).count("dkim/no-signature") == 2
            case ["delivcheck", *arguments, "--raw", ">", name]:
                done = subprocess.run(
                    [sys.executable, "-m", "delivcheck", *arguments, "--raw"], check=True, cwd=host["etc"], capture_output=True
                )
                (host["etc"] / name).write_bytes(done.stdout)
                assert b"\r\nSubject: Your order 2\r\n" in done.stdout
            case ["delivcheck", "held", "release", _]:
                assert _ran(words[1:], capsys)
                assert len(host["hop"].messages) == 1
            case ["delivcheck", *arguments]:
                _ran(arguments, capsys)
            case ["python3", "-m", "venv", where] | [_, "install", where] if where in {"/opt/delivcheck", ".[gate]"}:
                assert words[0] == "python3" or (words[0], where) == ("/opt/delivcheck/bin/pip", ".[gate]")
                assert "gate" in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
            case ["ln", "-s", "/opt/delivcheck/bin/delivcheck", link]:
                unit = (DEPLOY / "systemd" / "delivcheck-gate.service").read_text()
                assert f"ExecStart={link} " in unit
            case ["useradd", *options, name]:
                unit = (DEPLOY / "systemd" / "delivcheck-gate.service").read_text()
                assert f"User={name}\n" in unit
                assert ("--home-dir", str(host["state"])) in itertools.pairwise(options)
            case ["install", *options]:
                # There are no such users here, and the sources are named from the checkout.
                options = ["root" if word in {"delivcheck", "postfix"} else word for word in options]
                subprocess.run(["install", *options], check=True, cwd=ROOT)
                if options[-1].endswith("delivcheck.toml"):
                    _changed(host, "127.0.0.1:9125", "127.0.0.1:0")
                    _changed(host, "/var/spool/postfix/delivcheck", str(host["milter"]))
                    _changed(host, 'group   = "postfix"', "")
                    _changed(host, "policy ", f'nameservers = ["{host["resolver"]}"]\npolicy ')
            case ["systemctl", *_, "delivcheck-gate"] | ["journalctl", "-u", "delivcheck-gate", *_]:
                assert (host["systemd"] / "delivcheck-gate.service").exists()
            case ["curl", url]:
                address, _, path = url.removeprefix("http://").partition("/")
                assert f'admin  = "{address}"' in (DEPLOY / "gate" / "milter.toml").read_text()
                assert (
                    Admin(None, list)
                    ._page(f"/{path}".encode())
                    .startswith(b"HTTP/1.1 200" if path == "ready" else b"HTTP/1.1 404")
                )
            case ["postqueue", "-p"] | ["postsuper", "-H", "ALL"]:
                pass  # below
            case _:
                pytest.fail(f"no test knows the command {line}")


def _ran(arguments, capsys):
    capsys.readouterr()
    code = main(arguments)
    said = capsys.readouterr()
    assert code == 0, (arguments, said)
    return said.out


def _changed(host, old, new):
    path = host["etc"] / "delivcheck.toml"
    text = path.read_text()
    assert old in text, old
    path.write_text(text.replace(old, new, 1))


def _with_users_and_holding(host):
    """From now on the gate of the shape that holds: between two smtpd, and signing."""
    hop = host["hop"]
    etc = host["etc"]
    text = (DEPLOY / "gate" / "proxy-filter.toml").read_text()
    text = text.replace("127.0.0.1:10026", f"{hop.host}:{hop.port}").replace("/etc/delivcheck", str(etc))
    text = text.replace("[gate]", f'[gate]\nstate = "{host["state"]}"\nusers = "users.json"', 1)
    (etc / "delivcheck.toml").write_text(f'nameservers = ["{host["resolver"]}"]\n{text}[gate.hold]\n')
    (etc / "s1.pem").write_bytes(keys.pem("rsa2048"))  # the one that DNS has, in the place of the one that was made


@needs_postfix
def test_commands_for_postfix_are_postfixs():
    with postfix() as mta:
        for line in COMMANDS:
            if line.startswith("post"):
                name, *arguments = shlex.split(line)
                subprocess.run([program(name), "-c", str(mta.config), *arguments], check=True, capture_output=True)


def test_a_key_that_root_makes_is_the_gates(tmp_path, capsys):
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    os.chown(tmp_path, 4711, 4712)
    _ran(["key", "new", "example.com", "--selector", "s1", "--out", str(tmp_path / "s1.pem")], capsys)
    made = (tmp_path / "s1.pem").stat()
    assert (made.st_uid, made.st_gid, made.st_mode & 0o777) == (4711, 4712, 0o600)
