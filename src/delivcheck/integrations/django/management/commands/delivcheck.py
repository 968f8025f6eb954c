"""`manage.py delivcheck`: `delivcheck template` over the templates of the project, with its own tags, filters and settings."""

import io
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from typing import Any

import click
from django.core.management.base import BaseCommand

from .....cli import faults, template
from ...conf import project
from ...templates import adapt, folders

_DJANGOS = frozenset({"verbose", "color"})  # which Django has options of its own for
NOTHING = "no e-mail templates were found in the project's template folders: name them, or set paths in [templates]"


class Command(BaseCommand):  # type: ignore[misc] # Django ships no types
    """The command."""

    help = (
        "Renders the project's e-mail templates and checks the mail they become. A path is a file, a folder, or a template's "
        "name; without one, what [templates] of the configuration names, or what is called mail or email. "
        "Exit codes are those of `delivcheck template`."
    )
    requires_system_checks: Sequence[str] = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The options of `delivcheck template`, those that Django has already left out."""
        parser.add_argument("paths", nargs="*", metavar="PATH")
        for option in _options():
            if option.secondary_opts:
                parser.add_argument(*option.opts, dest=option.name, action="store_true", default=None, help=_help(option))
                parser.add_argument(*option.secondary_opts, dest=option.name, action="store_false", default=None)
            elif option.is_flag:
                parser.add_argument(*option.opts, dest=option.name, action="store_true", default=None, help=_help(option))
            else:
                many: dict[str, Any] = {"action": "append"} if option.multiple else {}
                parser.add_argument(*option.opts, dest=option.name, metavar=option.metavar, help=_help(option), **many)

    def handle(self, *_: Any, paths: Sequence[str] = (), **given: Any) -> None:
        """Run it, and end with its exit code. Raises SystemExit where that is not 0."""
        words = list(_words({**given, **_project(given)}))
        if given.get("stdout") is None:
            code = _run(words, paths)
        else:
            with redirect_stdout(io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)) as taken:
                code = _run(words, paths)
            octets: bytes = taken.buffer.getvalue()
            self.stdout.write(octets.decode("utf-8"), ending="")
        if code:
            sys.exit(code)


def _run(words: list[str], paths: Sequence[str]) -> int:
    known = folders()  # what a library of the project's raises is no fault of ours, and Django shows it as ever

    def adapted(templates: Any, given: tuple[str, ...]) -> tuple[str, ...]:
        found = adapt(known, templates, given)
        if not found:
            raise click.UsageError(NOTHING, click.get_current_context())
        return found

    with faults.gathered(words) as ending:
        typed = ["template", *words, *paths]
        with template.command.make_context("manage.py delivcheck", [*words, "--", *paths], obj=typed) as context:
            given = dict(context.params)
            ending.code = template.over(given.pop("paths"), given, adapted)
    return ending.code


def _project(given: Mapping[str, Any]) -> dict[str, Any]:
    """What `DELIVCHECK` says, where the command line does not; levels of rules lie beneath those that it gives."""
    said = project().hooks
    found = {name: said[name] for name in ("policy", "message_class", "stream") if given.get(name) is None and name in said}
    if given.get("config") is None and said.get("config"):
        found["config"] = said["config"]
    levels = [f"{pattern}={level}" for pattern, level in said.get("rules", {}).items()]
    return {**found, "rules": [*levels, *(given.get("rules") or ())]}


def _options() -> Iterator[click.Option]:
    return (one for one in template.command.params if isinstance(one, click.Option) and one.name not in _DJANGOS)


def _help(option: click.Option) -> str:
    return (option.help or "").replace("%", "%%")


def _words(given: Mapping[str, Any]) -> Iterator[str]:
    """The command line of `delivcheck template`; Django's --verbosity, --no-color and --force-color are told in its words."""
    for option in _options():
        value = given.get(str(option.name))
        if value is None or value == []:
            continue
        if option.secondary_opts or option.is_flag:
            names = option.opts if value else option.secondary_opts
            yield from names[-1:]
        else:
            for one in value if isinstance(value, (list, tuple)) else [value]:
                yield f"{option.opts[0] if option.opts[0].startswith('--') else option.opts[-1]}={one}"
    verbosity = int(given.get("verbosity", 1))
    if verbosity > 1:
        yield "--verbose"
    elif verbosity < 1 and not given.get("quiet"):
        yield "--quiet"
    if given.get("no_color") or given.get("force_color"):
        yield f"--color={'never' if given.get('no_color') else 'always'}"
