"""Celery: the four outcomes in a real worker; what is refused is not tried again, what is undetermined is."""

import contextlib
import logging
import os
import smtplib
from collections import Counter

import pytest

from delivcheck.integrations.errors import MessageRefused, MessageUndetermined
from tests.integrations import house
from tests.integrations.recipes import page
from tests.integrations.recipes.conftest import TIMEOUT, configuration

pytest.importorskip("celery", reason="Celery is not installed")
from celery import signals  # after the skip
from celery.contrib.testing.worker import start_worker

SECTION = "Celery"
APP = 'Celery("shop", broker="redis://localhost:6379/0", backend="redis://localhost:6379/1")'
HERE = {"redis://localhost:6379/0": "memory://", "redis://localhost:6379/1": "cache+memory://"}
PATIENCE = 30


class Worker:
    """A worker with the page's task in several settings: starting and stopping one takes five seconds."""

    def __init__(self, folder, server):
        self.folder, self.tried, self.modules = folder, Counter(), {}
        self.exchange = {"smtp.example.org": server.host, "587": server.port, "retry_backoff=60": "retry_backoff=1"}
        self.sooner = {"retry_backoff_max=3600": "retry_backoff_max=1", "max_retries=8": "max_retries=60"}

    def add(self, name, more=None, **settings):
        """A module in a folder with its own configuration."""
        folder = self.folder / name
        folder.mkdir()
        (folder / "delivcheck.toml").write_text(configuration(**settings))
        app = {APP: "app"} if self.modules else HERE
        before = os.getcwd()  # noqa: PTH109 -- chdir's other half
        os.chdir(folder)
        try:
            shared = {"app": self.app} if self.modules else {}
            exchange = {**(self.sooner if more is None else more), **app, **self.exchange}
            self.modules[name] = page.module(SECTION, exchange, **shared)
        finally:
            os.chdir(before)

    @property
    def app(self):
        return next(iter(self.modules.values())).app

    def send(self, name, subject=house.SUBJECT):
        """The result, when there is one."""
        result = self.modules[name].send.delay(house.TO, subject, house.TEXT)
        result.get(PATIENCE, propagate=False)
        return result

    def record(self, name):
        return house.recorded(self.folder / name / "delivcheck.jsonl")


@pytest.fixture(scope="module")
def back():
    """A name server that is not there, until it is started."""
    with house.name_server() as server:
        server.stop()
        yield server


@contextlib.contextmanager
def _root_logger_kept():
    """The worker sets the root logger's level, for all tests that come after it in this process."""
    level = logging.getLogger().level
    try:
        yield
    finally:
        logging.getLogger().setLevel(level)


@pytest.fixture(scope="module")
def worker(tmp_path_factory, module_sink, _dns, back):
    made = Worker(tmp_path_factory.mktemp("celery"), module_sink)
    (task,) = [line for line in page.block(SECTION, "python").splitlines() if line.startswith("@app.task")]
    made.add("alive", nameserver=_dns["alive"])
    made.add("retries OSError", {task: page.block(SECTION, "python", number=1).strip()}, nameserver=_dns["alive"])
    made.add("dead", {"max_retries=8": "max_retries=1"}, nameserver=_dns["dead"], timeout=TIMEOUT["dead"])
    made.add("back", nameserver=back.address)
    made.add("observe", nameserver=_dns["alive"], mode="observe")

    def tried(task, **_):
        made.tried[task.name] += 1

    signals.task_prerun.connect(tried)
    with (
        _root_logger_kept(),
        start_worker(made.app, pool="threads", concurrency=2, perform_ping_check=False, shutdown_timeout=PATIENCE),
    ):
        yield made
    signals.task_prerun.disconnect(tried)
    for each in made.modules.values():
        each.guard.close()


def test_a_good_message_arrives(worker, module_sink):
    assert worker.send("alive", "Your order 1").successful()
    (got,) = [one for one in module_sink.messages if b"Subject: Your order 1\r\n" in one.octets]
    assert (got.mail_from, got.rcpt_to) == (house.SENDER, (house.RECIPIENT,))
    assert got.octets.endswith(b"\r\n\r\nYour order has been sent.\r\n")


@pytest.mark.parametrize("name", ["alive", "retries OSError"])
def test_a_bad_one_fails_its_task_at_once_and_its_caller_gets_the_exception(worker, module_sink, name):
    before, there = worker.tried[worker.modules[name].send.name], len(module_sink.messages)
    result = worker.send(name, house.BAD_SUBJECT)
    assert result.state == "FAILURE"
    with pytest.raises(smtplib.SMTPDataError, match=house.BAD_RULE) as refused:
        result.get(PATIENCE)
    assert isinstance(refused.value, MessageRefused)
    assert refused.value.smtp_code == 550
    assert worker.tried[worker.modules[name].send.name] == before + 1
    assert len(module_sink.messages) == there
    assert worker.record(name)[-1]["event"] == "refused"


def test_without_dns_it_is_tried_again_and_arrives_once_when_dns_is_back(worker, module_sink, back):
    def at_last(request, **_):
        signals.task_retry.disconnect(at_last, sender=worker.modules["back"].send)
        back.start()

    signals.task_retry.connect(at_last, sender=worker.modules["back"].send)
    assert worker.send("back", "Your order 2").successful()
    assert worker.tried[worker.modules["back"].send.name] >= 2
    assert len([one for one in module_sink.messages if b"Subject: Your order 2\r\n" in one.octets]) == 1
    assert {one["event"] for one in worker.record("back")} == {"deferred"}


def test_without_dns_to_the_end_its_task_fails_with_a_temporary_failure(worker):
    result = worker.send("dead")
    with pytest.raises(MessageUndetermined) as undetermined:
        result.get(PATIENCE)
    assert undetermined.value.smtp_code == 451
    assert worker.tried[worker.modules["dead"].send.name] == 2


def test_observing_a_bad_one_is_sent_and_recorded(worker, module_sink):
    assert worker.send("observe", house.BAD_SUBJECT).successful()
    assert len([one for one in module_sink.messages if house.BAD_SUBJECT.encode() in one.octets]) == 1
    (told,) = worker.record("observe")
    assert (told["event"], told["rules"]) == ("bypassed", [house.BAD_RULE])
