"""A client of the door that sends lines none of which is a tone, as fast as they are taken.

    python -m tests.support.garbage SOCKET LINES

Ends with 0 once the last is sent and the door, asked by a tone behind it, still answers.
"""

import sys

from tests.faults.test_door_garbage import hostile_lines
from tests.support.ndjson import Client

from thrum.tones import Tone
from thrumd.core.inbound import decide

KINDS = 20_000
"""Lines that are made; they are sent again and again."""
RUN = 1_000
REPLY_SECONDS = 120.0


def garbage_lines() -> list[bytes]:
    """Hostile lines that the door gives to nobody, in runs to send at once."""
    lines = [line for line in hostile_lines(KINDS) if not isinstance(decide(line, 1), Tone)]
    return [
        b"".join(line + b"\n" for line in lines[start : start + RUN])
        for start in range(0, len(lines) - RUN, RUN)
    ]


def main(place: str, count: int) -> None:
    runs = garbage_lines()
    with Client(place, reply_seconds=REPLY_SECONDS) as client:
        for number in range(count // RUN):
            client.send_raw(runs[number % len(runs)])
        client.send(chi="unknown", rid="still there")
        client.read_until("echo", rid="still there")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
