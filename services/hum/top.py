"""`hum top`: what runs now, again and again, in the terminal.

On a terminal it takes another screen and gives the old one back, however it ends; anywhere else it
prints one look. Looks are taken of the same numbers as `hum cost`.
"""

import os
import select
import shutil
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from hum.output import data, data_json
from hum.top_view import Look, render, view

SIZE_OTHERWISE = (100, 40)
"""Columns and lines where there is no terminal."""
_OPEN, _CLOSE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _REST = "\x1b[H", "\x1b[J"
_END_OF_LINE = "\x1b[K\r\n"
_BY = {"m": "model", "k": "key", "a": "agent", "s": "schedule"}


@click.command
@click.option("--by", type=click.Choice(["model", "key", "agent", "schedule"]), default="model")
@click.option("--every", "seconds", type=click.FloatRange(0.2, 3_600), default=1.0)
@click.option("--once", is_flag=True, help="Print one look and leave.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each look.")
def top(*, by: str, seconds: float, once: bool, as_json: bool) -> None:
    """Show what runs now: turns, requests and tokens a second, costs and budgets of today."""
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if once or not (is_terminal or as_json):
        _print(view(None, _look(), by=by), as_json=as_json)
        return
    if as_json:
        _follow(by, seconds)
        return
    with _screen():
        _watch(by, seconds)


def _look() -> Look:
    from hum.admin import ask_admin

    return Look(ask_admin("/api/costs"), ask_admin("/api/bees")["bees"])


def _print(shown: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        data_json(shown)
        return
    width, height = SIZE_OTHERWISE
    for line in render(shown, width=width, height=height):
        data(line)


def _follow(by: str, seconds: float) -> None:
    """One object after the other, until the reader or the person has enough."""
    before: Look | None = None
    while True:
        now = _look()
        _print(view(before, now, by=by), as_json=True)
        sys.stdout.flush()
        before = now
        select.select([], [], [], seconds)


def _watch(by: str, seconds: float) -> None:
    """Draw until `q` is pressed."""
    before: Look | None = None
    while True:
        now = _look()
        _draw(view(before, now, by=by))
        before = now
        ready, _, _ = select.select([sys.stdin], [], [], seconds)
        pressed = os.read(sys.stdin.fileno(), 1).decode("ascii", "replace") if ready else ""
        if pressed == "q" or (ready and not pressed):
            return
        by = _BY.get(pressed, by)


def _draw(shown: dict[str, Any]) -> None:
    size = shutil.get_terminal_size(SIZE_OTHERWISE)
    lines = render(shown, width=size.columns, height=size.lines - 1)
    sys.stdout.write(_HOME + _END_OF_LINE.join(lines) + _END_OF_LINE + _REST)
    sys.stdout.flush()


@contextmanager
def _screen() -> Iterator[None]:
    """The terminal's other screen, keys unbuffered; given back at the end."""
    before = termios.tcgetattr(sys.stdin)
    sys.stdout.write(_OPEN)
    sys.stdout.flush()
    try:
        tty.setcbreak(sys.stdin)
        yield
    except KeyboardInterrupt:
        pass
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
        sys.stdout.write(_CLOSE)
        sys.stdout.flush()
