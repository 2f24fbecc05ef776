"""`hum hum`: one conversation from the log, or the newest ones."""

import os
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from hum.output import data, data_json, printable, table
from nest.paths import Paths
from thrum.errors import LocalError

if TYPE_CHECKING:
    from hum.log_files import Files
    from humd.core.conversation import Said

EVENTS_MAX = 1_000
"""Events listed, the newest ones."""
CONVERSATIONS_MAX = 50
"""Conversations listed, the newest ones."""
NAMES_MAX = 100_000
"""Clients whose names are remembered while a log is read."""
DAYS = 30


class NoConversation(LocalError):
    """The log has no event of that sid."""


def _text(ctx: click.Context, option: click.Parameter, value: str | None) -> str | None:
    try:
        (value or "").encode()
    except UnicodeEncodeError:
        message = "no sid is like that: it is no UTF-8 text; `hum hum` lists the newest sids"
        raise click.BadParameter(message) from None
    return value


@click.command("hum")
@click.argument("sid", required=False, metavar="[SID or REQUEST]", callback=_text)
@click.option("--events", "listed", is_flag=True, help="List its events too, one line each.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; the fields stay.")
def conversation(*, sid: str | None, listed: bool, as_json: bool) -> None:
    """Show one conversation: who, which model and tools, how long, what it spent.

    It is read from the log, with or without a daemon. In place of a SID the id of a request will
    do, as the front tells it with every answer. Without either: the newest conversations.
    """
    if sid is None:
        _print_newest(as_json=as_json)
        return
    found, events = read(sid_of(sid))
    if as_json:
        shown = [
            {"seq": one.seq, "ts_ms": one.at_ms, "chi": one.chi, "client": one.client}
            for one in events
        ]
        data_json({**found, "newest_events": shown})
        return
    for line in _lines(found):
        data(printable(line))
    if listed:
        data("")
        for one in events:
            data(printable(f"{one.seq:>8}  {_clock(one.at_ms)}  {one.chi}  {one.client or 'humd'}"))


def sid_of(name: str) -> str:
    """The sid of a name that is one, or that is the id of a request in the log; else the name."""
    import orjson

    from hum.log_files import Files
    from thehum.core.pages import has_sid
    from thrum.canonical import dumps

    log = Files()
    sid, rid = (f',"{key}":'.encode() + dumps(name) for key in ("sid", "rid"))
    found = name
    for _, line in log.lines_from(log.firsts[0]):
        if has_sid(line, sid + b',"sig":'):
            return name
        if rid + b',"seq":' in line:
            try:
                event = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            if event["rid"] == name and event["sid"]:
                found = event["sid"]
    return found


def read(sid: str) -> "tuple[dict[str, Any], deque[Said]]":
    """The conversation and its newest events; raises `NoConversation`."""
    from hum.log_files import Files
    from humd.core.conversation import Conversation

    log = Files()
    told = Conversation(sid)
    names: dict[str, str] = {}
    events: deque[Said] = deque(maxlen=EVENTS_MAX)
    for said, hive in _events(log, sid):
        if hive is not None:
            if said.client is not None and len(names) < NAMES_MAX:
                names[said.client] = hive
            continue
        told.note(said)
        events.append(said)
    if not told.events:
        raise NoConversation(
            f"no event of {sid!r} in {log.root}", hint="hum hum, or: hum thehum tail"
        )
    return told.view(names), events


def _events(log: "Files", sid: str) -> "Iterator[tuple[Said, str | None]]":
    """The events of a sid, and every hello with the hive that it names."""
    import orjson

    from humd.core.conversation import Said
    from thehum.core.pages import has_sid
    from thrum.canonical import dumps

    needle = b',"sid":' + dumps(sid) + b',"sig":'
    for seq, line in log.lines_from(log.firsts[0]):
        is_hello = b',"chi":"hello",' in line
        if not is_hello and not has_sid(line, needle):
            continue
        try:
            event = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        body = event["body"]
        client = (body.get("@via") or {}).get("client")
        said = Said(seq, event["ts_ms"], client, event["chi"], body)
        if event["sid"] == sid and event["chi"] != "hello":
            yield said, None
        elif event["chi"] == "hello" and isinstance(hive := body.get("hive"), str):
            yield said, hive


def _lines(found: dict[str, Any]) -> Iterator[str]:
    tokens = ", ".join(f"{value:,} {key.removesuffix('_tokens')}"
                       for key, value in found["tokens"].items())  # fmt: skip
    facts = {
        "sid": found["sid"],
        "when": f"{_clock(found['first_ms'])} to {_clock(found['last_ms'])}",
        "asked by": ", ".join(found["askers"]),
        "worker": ", ".join(found["workers"]),
        "model": ", ".join(found["models"]),
        "tokens": tokens,
        "events": f"{found['events']:,}",
    }
    yield from (f"{key:<9} {value}" for key, value in facts.items() if value)
    rows: list[tuple[str, ...]] = [
        ("TURN", "ENDED WITH", "MS", "QUEUE", "WORKER", "STREAM", "TOKENS", "TOOLS")
    ]
    for number, turn in enumerate(found["turns"], start=1):
        phases = turn["phases"] or {}
        spent = turn["tokens"]
        calls = ", ".join(f"{one['name']} {one['outcome']}" for one in turn["calls"])
        rows.append((
            str(number),
            turn["outcome"],
            str(turn["total_ms"] if turn["total_ms"] is not None else "-"),
            *(str(phases.get(name, "-")) for name in ("queue", "worker", "stream")),
            f"{spent.get('input_tokens', 0)}+{spent.get('output_tokens', 0)}",
            calls or "-",
        ))  # fmt: skip
    yield ""
    yield table(rows)


def _print_newest(*, as_json: bool) -> None:
    from hum.drift import newest

    found: dict[str, dict[str, Any]] = {}
    for record in newest(Paths.from_environment(os.environ).drift, days=DAYS):
        sid = str(record.get("sid"))
        known = found.pop(sid, {"sid": sid, "turns": 0, "tokens": 0})
        found[sid] = {
            "sid": sid,
            "turns": known["turns"] + 1,
            "tokens": known["tokens"] + int(record.get("tokens") or 0),
            "model": record.get("model"),
            "worker": record.get("worker"),
            "outcome": record.get("outcome"),
            "ended_ms": record.get("ended_at"),
        }
    rows: list[tuple[str, ...]] = [("ENDED", "TURNS", "TOKENS", "MODEL", "LAST ENDED WITH", "SID")]
    for one in list(found.values())[-CONVERSATIONS_MAX:]:
        if as_json:
            data_json(one)
            continue
        ended = _clock(int(one["ended_ms"] or 0))
        said = [f"{one['turns']}", f"{one['tokens']}", str(one["model"]), str(one["outcome"])]
        rows.append((ended, *map(printable, said), printable(one["sid"])))
    if not as_json:
        data(table(rows) if len(rows) > 1 else "no conversation yet")


def _clock(at_ms: int) -> str:
    import time

    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at_ms // 1000))
