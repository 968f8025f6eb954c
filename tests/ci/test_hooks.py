"""The files that other people's CI reads are used as their hosts use them: pre-commit, a GitHub action, a GitLab job."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
GOOD = "<html lang=en><head><meta charset=utf-8><title>Hello</title></head><body><p>Hello {{ name or 'there' }}</p></body></html>\n"
BAD = '<p>Hello {{ name or "there" }}</p>\n{% if late %}\n<script>alert(1)</script>\n{% endif %}\n'


def _run(*command, cwd, **more):
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", **more.pop("env", {})}
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment, check=False, **more)


@pytest.fixture
def repository(tmp_path):
    """A repository of somebody's with templates in it."""
    folder = tmp_path / "shop"
    (folder / "emails").mkdir(parents=True)
    (folder / "emails" / "good.html.j2").write_text(
        "{% extends 'emails/_base.html' %}{% block text %}<p>Hello</p>{% endblock %}"
    )
    (folder / "emails" / "_base.html").write_text(GOOD.replace("<p>", "{% block text %}{% endblock %}<p>"))
    (folder / "delivcheck.toml").write_text('class = "transactional"\n[templates]\npaths = ["emails"]\n')
    _start(folder)
    return folder


def _start(folder):
    for command in (["init", "-q"], ["config", "user.email", "a@example.org"], ["config", "user.name", "A"]):
        assert _run("git", *command, cwd=folder).returncode == 0


def _commit(folder):
    assert _run("git", "add", "-A", cwd=folder).returncode == 0
    assert _run("git", "commit", "-qm", "x", cwd=folder).returncode == 0


SHIPPED = ("src", "rules", "pyproject.toml", "hatch_build.py", "README.md", "LICENSE", ".pre-commit-hooks.yaml")


@pytest.fixture
def released(tmp_path):
    """This project as a repository that hooks are taken from, and its revision."""
    folder = tmp_path / "delivcheck"
    folder.mkdir()
    for name in SHIPPED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    _start(folder)
    _commit(folder)
    return folder, _run("git", "rev-parse", "HEAD", cwd=folder).stdout.strip()


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_pre_commit_checks_the_templates_that_a_changed_file_belongs_to(repository, released, tmp_path):
    source, revision = released
    config = {"repos": [{"repo": str(source), "rev": revision, "hooks": [{"id": "delivcheck-template"}]}]}
    (repository / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    _commit(repository)
    base = GOOD.replace("<p>", "{% block text %}{% endblock %}<script>x()</script><p>")
    (repository / "emails" / "_base.html").write_text(base)
    _run("git", "add", "-A", cwd=repository)
    home = {"PRE_COMMIT_HOME": str(tmp_path / "pre-commit")}  # pip fills the hook's environment, as for anybody

    done = _run("pre-commit", "run", "--verbose", cwd=repository, env=home, timeout=400)

    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAIL" in done.stdout, done.stdout + done.stderr
    assert "emails/_base.html:1:" in done.stdout
    assert "html/active-content" in done.stdout
    assert "emails/good.html.j2" in done.stdout


def test_the_action_annotates_and_writes_sarif(repository):
    (repository / "emails" / "bad.html.j2").write_text(BAD)
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    step = action["runs"]["steps"][-1]
    given = {name: str(one["default"]) for name, one in action["inputs"].items()}
    given |= {"paths": "emails", "options": "--class transactional"}
    env = {name: given[value.removeprefix("${{ inputs.").removesuffix(" }}")] for name, value in step["env"].items()}

    done = _run("bash", "-eo", "pipefail", "-c", step["run"], cwd=repository, env=env)

    assert done.returncode == 1, done.stderr
    assert "::error file=emails/bad.html.j2,line=3," in done.stdout
    (run,) = json.loads((repository / "delivcheck.sarif").read_text())["runs"]
    assert "html/active-content" in {result["ruleId"] for result in run["results"]}


def test_the_gitlab_job_writes_the_reports_that_it_names(repository):
    (repository / "emails" / "bad.html.j2").write_text(BAD)
    job = yaml.safe_load((ROOT / "docs" / "ci" / "gitlab.yml").read_text())["mail-templates"]
    reports = job["artifacts"]["reports"]

    done = _run("bash", "-eo", "pipefail", "-c", job["script"][-1], cwd=repository)

    assert done.returncode == 1, done.stderr
    findings = json.loads((repository / reports["codequality"]).read_text())
    assert {"emails/bad.html.j2"} <= {one["location"]["path"] for one in findings}
    assert (repository / reports["junit"]).read_text().startswith("<?xml")


def test_the_hook_is_called_for_templates_and_their_data():
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    import re

    wanted = re.compile(hook["files"])
    for name in (
        "emails/welcome.html",
        "src/shop/mail/receipt.mjml",
        "app/templates/email/x.txt",
        "newsletter/may.hbs",
        "mails/a.json",
    ):
        assert wanted.search(name), name
    for name in ("src/main.py", "web/index.html", "package.json"):
        assert not wanted.search(name), name
