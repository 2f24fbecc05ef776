"""`humctl health`: whether a hello is answered and on disk, through every process that it needs."""

import os
import secrets
import time

import click

from hum.door import Door, open_door
from hum.output import data, data_json
from hum.rendezvous import door_path
from nest.paths import Paths
from thrum.errors import LocalError
from thrum.tones import Tone

HEALTH_SECONDS = 1.0
"""How long all of it may take."""


class Unwell(LocalError):
    """The hello was refused."""


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def health(*, as_json: bool) -> None:
    """Say a hello without a name; expect it in the log, and an answer, within a second.

    Exit status 0 when door, router and log work, 1 when one of them does not answer, 69 when
    nobody is there.
    """
    paths = Paths.from_environment(os.environ)
    path = door_path(paths, os.environ)
    begun = time.monotonic()
    with open_door(path) as door:
        breath = _answer(door, until=begun + HEALTH_SECONDS)
    took = round((time.monotonic() - begun) * 1000, 1)
    if as_json:
        protocol = breath.text("protoVersion")
        data_json({"live": True, "door": str(path), "thrum": protocol, "ms": took})
    else:
        data(f"humd is live at {path} ({took} ms)")


def _answer(door: Door, *, until: float) -> Tone:
    """The breath that answers a hello, once the log has the hello.

    The door's first breath says only that the door is there. Raises `DoorSilent` at `until`.
    """
    rid = f"health-{secrets.token_hex(8)}"
    door.send(Tone(chi="hello", rid=rid, sid="humctl-health", body={"bee": ["worker"]}))
    echo = door.echo(rid, within_seconds=until - time.monotonic())
    if echo.body.get("ok") is not True:
        raise Unwell(f"refused: {echo.text('error')}", hint="hum status; hum logs")
    while True:
        tone = door.receive(within_seconds=max(until - time.monotonic(), 0.001))
        if tone.chi == "breath":
            return tone
