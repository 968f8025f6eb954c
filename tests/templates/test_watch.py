"""What a change on disk concerns, and `--watch` as a process."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from delivcheck.templates.watch import Watch, concerned, stamp
from tests.cli.conftest import environment

PATIENCE = 30.0  # seconds for one answer of a process on a machine that has much else to do


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_change_a_new_file_and_a_lost_one_are_seen(tmp_path):
    a, b, c = (tmp_path / name for name in "abc")
    a.write_text("x")
    b.write_text("x")
    watch = Watch()
    assert watch.look([a, b, c]) == frozenset()
    assert watch.look([a, b, c]) == frozenset()
    a.write_text("longer")
    b.unlink()
    c.write_text("x")
    assert watch.look([a, b, c]) == {a, b, c}
    assert watch.look([a, b, c]) == frozenset()


def test_a_file_that_is_replaced_by_one_of_the_same_size_and_time_is_seen(tmp_path):
    file, new = tmp_path / "a", tmp_path / "new"
    file.write_text("x")
    watch = Watch()
    watch.look([file])
    new.write_text("y")
    os.utime(new, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    new.replace(file)
    assert watch.look([file]) == {file}


def test_files_that_are_looked_at_for_the_first_time_have_come(tmp_path):
    for name in "ab":
        (tmp_path / name).write_text("x")
    watch = Watch()
    watch.look([tmp_path / "a"])
    assert watch.look([tmp_path / "a", tmp_path / "b"]) == {tmp_path / "b"}
    assert watch.look([tmp_path / "a"]) == frozenset()  # b is still there, it is only not looked at


def test_a_link_is_what_it_leads_to(tmp_path):
    (tmp_path / "a").write_text("x")
    (tmp_path / "l").symlink_to(tmp_path / "a")
    watch = Watch()
    watch.look([tmp_path / "l"])
    (tmp_path / "a").write_text("xx")
    assert watch.look([tmp_path / "l"]) == {tmp_path / "a"}
    assert stamp(tmp_path / "gone") is None


def test_a_change_concerns_the_templates_that_need_the_file():
    part, other = Path("/part"), Path("/other")
    needs = {"b.html": frozenset({part}), "a.html": frozenset({part, other}), "c.html": frozenset({other})}
    assert concerned([part], needs) == ["b.html", "a.html"]
    assert concerned([Path("/new")], needs) == []


# --- the process -------------------------------------------------------------------------------------------------


class Process:
    """`delivcheck template --watch` and what it writes, line by line."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", "delivcheck", "template", "--watch", "-f", "concise", "--no-fuzz", "--class", "transactional",
             "--rule", "*=off", "--rule", "html/missing-alt=warning", "--rule", "template/does-not-render=error", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(), start_new_session=True,
        )  # fmt: skip
        self.lines = {"out": queue.Queue(), "err": queue.Queue()}
        self.err = []
        for stream, name in ((self.process.stdout, "out"), (self.process.stderr, "err")):
            threading.Thread(target=self._read, args=(stream, name), daemon=True).start()

    def _read(self, stream, name):
        for line in stream:
            self.lines[name].put(line.rstrip("\n"))

    def until(self, name, text):
        """The lines of a stream up to one that has the text."""
        seen, end = [], time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                line = self.lines[name].get(timeout=1)
            except queue.Empty:
                assert self.process.poll() is None, seen
                continue
            seen.append(line)
            if name == "err":
                self.err.append(line)
            if text in line:
                return seen
        raise AssertionError((text, seen, self.err))

    def end(self):
        """The code after Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE)


IMG = '<p>Hello</p><img src="https://img.example.net/{}.png">\n'


@pytest.fixture
def watching():
    started = []

    def start(*arguments):
        started.append(Process(*arguments))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait()
        one.process.stdout.close()
        one.process.stderr.close()


def put(files):
    for name, text in files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_only_what_a_change_concerns_is_checked_again_until_ctrl_c(watching):
    put(
        {
            "m/partials/p.html": IMG.format("one"),
            "m/a.html": "{% include 'partials/p.html' %}",
            "m/b.html": IMG.format("bee"),
            "m/c.html": "{% if x %}{% include 'partials/p.html' %}{% endif %}",
        }
    )
    process = watching("m")
    assert "one.png" in process.until("out", "bee.png")[0]  # of a.html, and not once more of c.html
    process.until("err", "watching; Ctrl-C ends it")

    put({"m/partials/p.html": "\n" + IMG.format("two")})
    process.until("err", "changed: p.html")
    seen = process.until("out", "two.png")
    assert [line.partition(" ")[0] for line in seen] == ["m/partials/p.html:2:13:"]

    put({"m/new.html": IMG.format("new")})
    process.until("err", "changed: new.html")
    assert not any("bee" in line or "two" in line for line in process.until("out", "new.png"))

    put({"m/b.json": '{"x": 1}'})
    process.until("err", "changed: b.json")
    process.until("out", "bee.png")

    Path("m/partials/p.html").unlink()
    process.until("err", "changed: p.html")
    process.until("out", "m/a.html:1:")

    put({"m/partials/p.html": IMG.format("back")})
    process.until("err", "changed: p.html")
    process.until("out", "back.png")

    Path("m/b.html").write_bytes(b"\0\0")
    process.until("err", "delivcheck: m/b.html: binary data, no template")
    put({"m/b.html": "{% if %}{% set x = 1 %}"})
    process.until("out", "template/does-not-render")

    Path("m/b.html").unlink()
    put({"m/a.html": IMG.format("last")})
    process.until("out", "last.png")
    assert process.end() == 0
    ours = ("delivcheck: watching", "delivcheck: changed: ", "delivcheck: m/b.html: binary data")
    assert [line for line in process.err if not line.startswith(ours)] == []
