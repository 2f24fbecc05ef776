"""`humctl health`: a sign of life from the door."""

import os
import time

import click

from hum.door import open_door
from hum.output import data, data_json
from hum.rendezvous import door_path
from nest.paths import Paths
from thrum.tones import Tone

HEALTH_SECONDS = 1.0
"""How long the door may take to say anything."""


@click.command
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def health(*, as_json: bool) -> None:
    """Connect to the door, say a hello without a name and expect an answer within a second."""
    paths = Paths.from_environment(os.environ)
    path = door_path(paths, os.environ)
    begun = time.monotonic()
    with open_door(path) as door:
        door.send(Tone(chi="hello", sid="humctl-health", body={"bee": ["worker"]}))
        tone = door.receive(within_seconds=HEALTH_SECONDS)
    took = round((time.monotonic() - begun) * 1000, 1)
    if as_json:
        protocol = tone.text("protoVersion")
        data_json({"live": True, "door": str(path), "thrum": protocol, "ms": took})
    else:
        data(f"humd is live at {path} ({took} ms)")
