"""`hum thehum forget` and `body`: bodies beside the log, erased or shown.

While hum runs, the order to forget goes through the door, like any other tone; when it does not,
the log's own program carries it out. Showing a body needs the files alone.
"""

import getpass
import os
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hum.log_files import Files
    from nest.paths import Paths

EXIT_GONE = 1
DOOR_SECONDS = 10.0
"""How long the door may take to say that the order is in the log."""
ERASE_SECONDS = 120.0
"""How long to wait for the erasure itself; it goes on by itself when that is over."""
LOOK_SECONDS = 0.1
REPORT_EVENTS_MAX = 10_000
"""Of the newest events that are searched for the report."""
SID_CHARS_MAX = 4_096
JSON = click.option("--json", "as_json", is_flag=True, help="For programs; the fields stay.")


@click.command()
@click.option("--sid", required=True, help="The conversation.")
@click.option("--by", help="Who wants it, for the record. [your user name]")
@click.option("--reason", help="Why, for the record.")
@JSON
def forget(*, sid: str, by: str | None, reason: str | None, as_json: bool) -> int:
    """Erase the bodies of a conversation that are beside the log, for good.

    The log says that it was done, when and by whom; its chain, tree and proofs stay as they are.
    Bodies that are in their lines stay there: the setting humd.thehum.sensitive decides which
    kinds are stored beside from then on.
    """
    from hum.log_files import Files
    from hum.output import data, data_json, talk
    from thrum.errors import DaemonAbsent

    if not 0 < len(sid) <= SID_CHARS_MAX:
        raise click.UsageError(f"--sid has {len(sid)} characters; 1 to {SID_CHARS_MAX} are one")
    log = Files()
    order = {"sid": sid, "by": by or getpass.getuser(), **({"reason": reason} if reason else {})}
    try:
        report = _online(log.paths, order)
    except DaemonAbsent:
        report = offline(log.paths, "forget", order)
    kept = _inline_events(Files(), sid)
    if as_json:
        data_json({"sid": sid, "by": order["by"], **report, "inline_events": kept})
        return 0 if report["whole"] else EXIT_GONE
    data(f"{report['bodies']} bodies, {report['bytes']:,} bytes, erased (event {report['order']})")
    if kept:
        talk(
            f"{kept} events of it hold their bodies in their lines and keep them; see the setting "
            "humd.thehum.sensitive",
            dim=True,
        )
    if not report["whole"]:
        talk("a file of bodies could not be read to its end: hum thehum verify --full")
    return 0 if report["whole"] else EXIT_GONE


@click.command()
@click.argument("seq", type=click.IntRange(1))
@JSON
def body(*, seq: int, as_json: bool) -> int:
    """Print the body of event SEQ as JSON, also when it is beside the log; 1 when it is gone."""
    import orjson

    from hum.bodies import BodyGone, event_at
    from hum.log_files import Files
    from hum.output import data, talk

    try:
        event, whole = event_at(Files(), seq)
    except BodyGone as gone:
        talk(gone.message)
        return EXIT_GONE
    if as_json:
        whole = {"seq": seq, "chi": event.chi, "sid": event.sid, "body": whole}
    data(orjson.dumps(whole, default=_shown, option=orjson.OPT_NON_STR_KEYS).decode())
    return 0


def _shown(value: object) -> object:
    """What JSON cannot express, as text."""
    return value.hex() if isinstance(value, bytes) else repr(value)


def _online(paths: "Paths", order: dict[str, str]) -> dict[str, Any]:
    """Give the order through the door and wait until the log reports."""
    import secrets

    from hum.door import open_door
    from hum.errors import TryAgain
    from thrum.errors import LocalError
    from thrum.tones import Tone

    rid = f"forget-{secrets.token_hex(8)}"
    fields = {key: value for key, value in order.items() if key != "sid"}
    with open_door(paths.thrum_socket) as door:
        door.send(Tone(chi="forget", rid=rid, sid=order["sid"], body=fields))
        echo = door.echo(rid, within_seconds=DOOR_SECONDS)
        if echo.body.get("ok") is not True:
            raise LocalError(f"not forgotten: {echo.text('error')}", hint="hum status")
    report = _waited(lambda: _report(rid))
    if report is None:
        raise TryAgain(
            "the order is in the log and is being carried out",
            hint="hum thehum tail --chi forgotten",
        )
    return report


def _waited(look: Callable[[], dict[str, Any] | None]) -> dict[str, Any] | None:
    ends = time.monotonic() + ERASE_SECONDS
    while (found := look()) is None and time.monotonic() < ends:
        time.sleep(LOOK_SECONDS)
    return found


def _report(rid: str) -> dict[str, Any] | None:
    """What the log says came of the order with this rid; None when it says nothing yet."""
    from itertools import islice

    import orjson

    from hum.log_files import Files

    reports: dict[int, dict[str, Any]] = {}
    for line in islice(Files().lines_backwards(), REPORT_EVENTS_MAX):
        event = orjson.loads(line)
        if event["chi"] == "forgotten":
            reports[event["body"].get("order", 0)] = event["body"]
        if event["chi"] == "forget" and event["rid"] == rid:
            found = reports.get(event["seq"])
            return found and {key: found[key] for key in ("order", "bodies", "bytes", "whole")}
    return None


def offline(paths: "Paths", verb: str, order: dict[str, Any]) -> dict[str, Any]:
    """Have the log's own program carry out an order; it takes the writer's lock for that long."""
    import subprocess

    import orjson

    from thrum.errors import LocalError, SettingsRefused

    done = subprocess.run(
        [sys.executable, "-P", "-m", "thehum.offline", verb],
        input=orjson.dumps(order),
        capture_output=True,
        check=False,
        env={**os.environ, **paths.environment()},
    )
    if done.returncode == 0:
        answer: dict[str, Any] = orjson.loads(done.stdout)
        return answer
    said = done.stderr.decode(errors="replace").strip() or f"thehum ended with {done.returncode}"
    message, _, hint = said.rpartition("\n") if "\n" in said else (said, "", "")
    kind = SettingsRefused if done.returncode == 78 else LocalError
    raise kind(message, hint=hint)


def _inline_events(log: "Files", sid: str) -> int:
    """How many events of `sid` hold what was said in their lines."""
    from thehum.core.keeping import place_of
    from thehum.core.pages import has_sid, needle_of

    needle = needle_of(sid)
    words = (b',"chi":"forget","prev_hash":', b',"chi":"forgotten","prev_hash":')
    return sum(
        has_sid(line, needle) and place_of(line) is None and not any(map(line.__contains__, words))
        for _, line in log.lines_from(1)
    )
