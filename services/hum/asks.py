"""`hum asks`, `hum allow` and `hum deny`: what agents want consent for, and the answer to it.

Whoever has the operator's key of this humd may answer every ask. What is decided is in the log,
with who decided; an ask that nobody answered in time is expired, and never said to be denied.
"""

import getpass
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

from hum.output import data, data_json, duration, printable, table, talk
from nest.paths import Paths
from thrum.errors import LocalError

if TYPE_CHECKING:
    from nest.operator import Ask

SUBJECT_CHARS_MAX = 120
"""Of what an ask is about, for one line of a table."""
SID_CHARS_MAX = 24
SUBJECTS = ("path", "question", "input", "context")
"""What an ask says of itself."""
JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object for each ask.")
NUMBERS = click.argument("numbers", metavar="ID...", nargs=-1, required=True, type=int)


@click.command
@click.option("--all", "show_all", is_flag=True, help="Also the latest that are over.")
@JSON
def asks(*, show_all: bool, as_json: bool) -> None:
    """Show what agents wait for consent to: tool, subject, conversation, time left.

    Answer with hum allow ID or hum deny ID. Nobody's answer in time is a no to the agent, and the
    ask is expired.
    """
    paths = Paths.from_environment(os.environ)
    found = [ask for ask in _run(paths) if show_all or ask["state"] == "asked"]
    for ask in found:
        said = _said(ask["id"])
        ask["about"], ask["forgotten"] = said or {}, said is None
    if as_json:
        for ask in found:
            data_json(ask)
    elif found:
        data(table([("ID", "STATE", "LEFT", "TOOL", "SID", "ABOUT"), *map(_row, found)]))
    else:
        talk("no agent waits for consent")


@click.command
@NUMBERS
@JSON
def allow(*, numbers: tuple[int, ...], as_json: bool) -> None:
    """Allow what these asks are about. ID as hum asks shows it."""
    _decide(numbers, allowed=True, as_json=as_json)


@click.command
@NUMBERS
@JSON
def deny(*, numbers: tuple[int, ...], as_json: bool) -> None:
    """Deny what these asks are about. ID as hum asks shows it."""
    _decide(numbers, allowed=False, as_json=as_json)


def _decide(numbers: Iterable[int], *, allowed: bool, as_json: bool) -> None:
    """Decide one after the other; the first that cannot be decided ends it with its reason."""
    import anyio

    from nest.operator import operator

    async def decide() -> None:
        async with operator(Paths.from_environment(os.environ)) as session:
            for number in numbers:
                ask = await session.ask(number)
                over = await session.decide(ask, allow=allowed, by=getpass.getuser())
                if as_json:
                    data_json(over)
                else:
                    data(f"{over['state']} {over['id']}: {printable(over['tool'])}")

    anyio.run(decide)


def find(paths: Paths, number: int) -> "Ask":
    """The ask of this number, whatever became of it; raises `LocalError` when there is none."""
    found = next((ask for ask in _run(paths) if ask["id"] == number), None)
    if found is None:
        raise LocalError(f"there is no ask {number}", hint="hum asks --all")
    return found


def _run(paths: Paths) -> "list[Ask]":
    import anyio

    from nest.operator import operator

    async def listed() -> "list[Ask]":
        async with operator(paths, visits=True) as session:
            return await session.asks()

    return anyio.run(listed)


def about(seq: int) -> dict[str, Any]:
    """What the log has of an ask beside its envelope; nothing when that is forgotten."""
    return _said(seq) or {}


def _said(seq: int) -> dict[str, Any] | None:
    """What the log has of an ask beside its envelope; None when that is forgotten."""
    from hum.bodies import BodyGone, event_at
    from hum.log_files import Files

    try:
        _, said = event_at(Files(), seq)
    except BodyGone:
        return None
    except LocalError:
        return {}
    return {key: said[key] for key in SUBJECTS if key in said}


def _row(ask: Mapping[str, Any]) -> tuple[str, ...]:
    import time

    left = max(0, ask["due_ms"] - time.time_ns() // 1_000_000) / 1_000
    about = "; ".join(map(_text, ask["about"].values()))
    by = f" by {ask['decided_by'][:17]}" if ask["decided_by"] else ""
    return (
        str(ask["id"]),
        f"{ask['state']}{by}",
        duration(left) if ask["state"] == "asked" else "-",
        _line(ask["tool"], SUBJECT_CHARS_MAX) or "-",
        _line(ask["sid"], SID_CHARS_MAX),
        "forgotten" if ask["forgotten"] else _line(about, SUBJECT_CHARS_MAX),
    )


def _text(value: object) -> str:
    import orjson

    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _line(text: str, chars_max: int) -> str:
    """Foreign text on one line, as much as fits."""
    flat = " ".join(printable(text).split())
    return flat if len(flat) <= chars_max else f"{flat[: chars_max - 1]}…"
