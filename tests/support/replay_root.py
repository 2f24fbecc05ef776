"""The root of the router's state after a replay, for a process of its own.

    python -m tests.support.replay_root FOLDER

Replays the segments of a log in FOLDER and prints the root, how many events it took, and what this
process thinks of itself: its clock, its zone, its home, the hash of a word.
"""

import locale
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import orjson

from humd.core import router
from humd.core.leaves import freeze, leaves
from humd.core.replay import arrival_of
from humd.core.state import State
from thrum.snapshots import root_of


def lines_in(folder: Path) -> Iterator[bytes]:
    """The events of a log, oldest first."""
    for segment in sorted(folder.glob("0*.ndjson")):
        lines = segment.read_bytes().rstrip(b"\0").split(b"\n")
        yield from (line for line in lines if line.endswith(b"}"))


def main(folder: str) -> None:
    locale.setlocale(locale.LC_ALL, "")
    state, count = State(), 0
    for line in lines_in(Path(folder)):
        router.apply(state, arrival_of(line))
        count += 1
    found = list(leaves(freeze(state)))
    told = {
        "root": root_of(found).hex(),
        "events": count,
        "leaves": len(found),
        "year": time.gmtime().tm_year,
        "zone": time.strftime("%z"),
        "home": os.path.expanduser("~"),
        "hash": hash("word"),
        "locale": locale.setlocale(locale.LC_ALL),
    }
    sys.stdout.write(orjson.dumps(told).decode())


if __name__ == "__main__":
    main(sys.argv[1])
