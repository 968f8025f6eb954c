"""`delivcheck template`: render mail templates with their data, check what comes out, and point at the template's own line."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from . import options
from .memory import seldom_collected

if TYPE_CHECKING:
    from ..templates.run import Run as Templates

_NO_DNS: dict[str, Any] = {  # a template is judged without DNS, so none of its options are there
    "nameservers": (), "zones": (), "zone_only": False, "snapshot": None, "save_snapshot": None, "timeout": None,
    "blocklists": False, "feed": None, "second_opinion": False,
}  # fmt: skip


@click.command(name="template")
@click.argument("paths", nargs=-1, metavar="PATH...", type=click.Path())
@options.group(
    click.option(
        "--engine", metavar="NAME", help="The template language; jinja2+mjml is MJML written by Jinja2 [default: by name]."
    ),
    click.option(
        "--data", "data", metavar="FILE", type=click.Path(), multiple=True, help="Values to render with (repeatable)."
    ),
    click.option(
        "--root", "roots", metavar="DIR", type=click.Path(), multiple=True, help="Where includes are looked for (repeatable)."
    ),
    click.option(
        "--fuzz/--no-fuzz", default=None, help="Also render with missing, empty, long and hostile values [default: on]."
    ),
    click.option("--baseline", metavar="FILE", type=click.Path(), help="Do not tell the findings that this file has."),
    click.option("--write-baseline", is_flag=True, help="Make that file, or take out of it what is mended; it never grows."),
    click.option("--fix", is_flag=True, help="Mend in the templates what can be mended safely."),
    click.option("--diff", is_flag=True, help="Show what --fix would change, and change nothing."),
    click.option("--changed", is_flag=True, help="The paths are files that changed: check the templates that they belong to."),
    click.option("--watch", is_flag=True, help="Check again whatever changes, until Ctrl-C."),
    click.option(
        "--jurisdiction",
        "jurisdictions",
        metavar="CODE",
        multiple=True,
        help="A country where recipients live, or EU (repeatable).",
    ),
    *options.JUDGING,
    *options.FORMATTING,
    *options.PRINTING,
    click.option("--probe", is_flag=True, help="Also ask DNS and fetch linked pages; without it there is no network at all."),
)
@seldom_collected()
def command(paths: tuple[str, ...], **given: Any) -> int:
    """Render templates (Jinja2, Django, MJML, Liquid, Handlebars, Mustache, HTML, text) and check the mail they become.

    A directory is searched; without a path those of the configuration are. Data are taken from files beside a template
    (welcome.json, welcome.yaml, welcome.toml), and made up where there are none.
    """
    return over(paths, given)


Paths = tuple[str, ...]


def over(paths: Paths, given: dict[str, Any], adapt: Callable[[Templates, Paths], Paths] | None = None) -> int:
    """The command itself. `adapt` is of a host that knows more of the project than its configuration says: Django's manage.py.

    It may change the run's settings, and gives the paths.
    """
    context = click.get_current_context()
    if given["write_baseline"] and given["watch"]:
        raise click.UsageError("--write-baseline and --watch contradict each other", context)
    if given["changed"] and (given["fix"] or given["diff"] or given["watch"]):
        raise click.UsageError("--changed only checks: leave --fix, --diff and --watch out", context)
    if (given["fix"] or given["diff"]) and given["watch"]:
        raise click.UsageError("--watch only checks: leave --fix and --diff out", context)

    def make() -> options.Run:
        return options.read({**_NO_DNS, **given, "offline": not given["probe"]})

    run = make()
    run.sink.keep_off((*paths, *given["data"], given["baseline"]))

    from ..templates.run import Run as Templates
    from ..templates.run import Wishes

    wishes = Wishes(given["engine"], given["data"], given["roots"], given["fuzz"], given["baseline"], given["write_baseline"])
    templates = Templates(run.config, wishes, run.options.now)
    paths = paths if adapt is None else adapt(templates, paths)
    paths = paths or (() if given["changed"] else templates.paths)
    if not paths and not given["changed"]:
        raise click.UsageError("a path is wanted, or paths in [templates] of the configuration", context)
    if given["fix"] or given["diff"]:
        from .fixing import fix

        return fix(paths, templates, run, write=given["fix"] and not given["diff"], write_baseline=given["write_baseline"])
    if given["watch"]:
        from .watching import watch

        return watch(paths, templates, make)
    found = templates.concerned(paths) if given["changed"] else templates.prepare(paths)
    from .rendering import check

    return check(found, templates, run, write_baseline=given["write_baseline"])
