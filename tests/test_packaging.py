"""What is built is what is in the checkout: the wheel carries rules/ and its index, and nothing that git ignores."""

import json
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

import delivcheck
from delivcheck import rulefiles

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel and the sdist, built without fetching a build backend: [tool.poe] installs it with the dev extra."""
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT],
        check=True,
        capture_output=True,
    )
    (wheel,) = out.glob("*.whl")
    (sdist,) = out.glob("*.tar.gz")
    return wheel, sdist


def test_the_wheel_holds_exactly_the_rules_of_the_checkout(built):
    names = set(zipfile.ZipFile(built[0]).namelist())
    shipped = {name.removeprefix("delivcheck/rules/") for name in names if name.startswith("delivcheck/rules/")}
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "rules"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    expected = {name.removeprefix("rules/") for name in listed if (ROOT / name).is_file()}

    assert shipped == expected | {rulefiles.INDEX_IN_WHEEL}


def test_the_index_in_the_wheel_is_the_rules(built):
    index = json.loads(zipfile.ZipFile(built[0]).read(f"delivcheck/rules/{rulefiles.INDEX_IN_WHEEL}"))

    assert index == rulefiles.compiled(ROOT / "rules")


def test_the_wheel_has_the_package_and_no_tests(built):
    names = zipfile.ZipFile(built[0]).namelist()

    assert {"delivcheck/engine.py", "delivcheck/trace/migrations/versions/0001_first.py"} <= set(names)
    assert {name.partition("/")[0] for name in names} == {"delivcheck", f"delivcheck-{delivcheck.__version__}.dist-info"}


def test_the_wheel_has_every_file_of_the_package(built):
    """Pages are made of templates and served with a style sheet: what is no module is forgotten without anybody noticing."""
    names = set(zipfile.ZipFile(built[0]).namelist())
    package = ROOT / "src" / "delivcheck"
    files = {path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {f"delivcheck/{path.relative_to(package).as_posix()}" for path in files} <= names
    assert {
        "delivcheck/web/templates/frame.html",
        "delivcheck/web/static/style.css",
        "delivcheck/rules/data/bounces.toml",
    } <= names


def test_the_sdist_can_build_the_same_wheel(built):
    with tarfile.open(built[1]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert {"pyproject.toml", "README.md", "LICENSE", "hatch_build.py", "rules/README.md"} <= names
    assert not {name for name in names if name.startswith((".venv", ".git/"))}


def test_metadata_and_package_have_one_version():
    assert metadata.version("delivcheck") == delivcheck.__version__


def test_every_public_name_can_be_had():
    for name in delivcheck.__all__:
        assert getattr(delivcheck, name) is not None
    with pytest.raises(AttributeError):
        _ = delivcheck.nothing_of_the_kind
