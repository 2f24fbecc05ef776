"""How the command line speaks: data on stdout, talk on stderr, colour only where it is wanted.

`NO_COLOR` beats everything, `FORCE_COLOR` beats detection, `TERM=dumb` means none; otherwise each
stream is coloured when it is a terminal. Meaning never rests on colour.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

import click

from thrum.errors import HumError

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def colour_wanted(environ: Mapping[str, str]) -> bool | None:
    """Whether the environment decides about colour; None leaves it to each stream."""
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return False if environ.get("TERM") == "dumb" else None


def talk(text: str, *, dim: bool = False) -> None:
    """Say `text` to the person, on stderr."""
    click.echo(click.style(text, dim=True) if dim else text, err=True)


def data(text: str) -> None:
    """Print `text` as the answer, on stdout."""
    click.echo(text)


def data_json(value: object) -> None:
    """Print one JSON value on one line, on stdout."""
    import json  # here, because help needs none

    click.echo(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def table(rows: Iterable[Sequence[str]]) -> str:
    """Lay `rows` out in columns; the last one is not padded."""
    lines = [tuple(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def printable(text: str) -> str:
    """Foreign text without what a terminal would obey; newlines and tabs stay."""
    return _CONTROL.sub("�", text)


def complain(error: HumError) -> None:
    """Say what went wrong and, last, what mends it."""
    click.echo(f"{click.style('hum:', fg='red')} {printable(error.message)}", err=True)
    if error.hint:
        click.echo(f"  {printable(error.hint)}", err=True)


def duration(seconds: float) -> str:
    """A length of time for a person: `42s`, `7m`, `3h`, `5d`."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"


def megabytes(size: int) -> str:
    """A size in memory for a person."""
    return f"{size / 1_000_000:.0f} MB"
