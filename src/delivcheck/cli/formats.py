"""The formats a report can be had in, and `--output FORMAT=FILE`; imports nothing that `--help` does not need."""

from pathlib import Path

import click

FOR_CI = ("sarif", "junit", "github", "gitlab", "tap", "markdown")  # each is a module of `report`, and a class in it
FORMATS = ("text", "concise", "json", "jsonl", *FOR_CI)


def output_target(text: str) -> tuple[str, Path]:
    """Read `--output FORMAT=FILE`. Raises UsageError."""
    name, equals, path = text.partition("=")
    context = click.get_current_context()
    if not equals or not path:
        raise click.UsageError(f"--output: {text!r} is not FORMAT=FILE", context)
    if name not in FORMATS:
        raise click.UsageError(f"--output: {name!r} is none of {', '.join(FORMATS)}", context)
    if path == "-":
        raise click.UsageError(f"--output: for stdout say --format {name}", context)
    file = Path(path)
    if file.is_dir() or not file.parent.is_dir():
        raise click.UsageError(f"--output: {path}: {'is a directory' if file.is_dir() else 'no such directory'}", context)
    return name, file
