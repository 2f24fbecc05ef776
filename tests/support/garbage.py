"""A client of the door that sends lines none of which is a tone, as fast as they are taken.

None is answered either: one who never reads answers is cut off, and that is another test.

    python -m tests.support.garbage SOCKET LINES

Prints a line when it begins. Ends with 0 once the last is sent and the door, asked by a tone behind
it, still answers.
"""

import sys

from tests.faults.test_door_garbage import hostile_lines
from tests.support.ndjson import Client

from thrumd.core.inbound import Kept, decide

KINDS = 20_000
"""Lines that are made; they are sent again and again."""
RUN = 1_000
REPLY_SECONDS = 120.0


def garbage_lines() -> list[bytes]:
    """Hostile lines that the door gives to nobody, in runs to send at once."""
    lines = [line for line in hostile_lines(KINDS) if is_passed_over(line)]
    return [
        b"".join(line + b"\n" for line in lines[start : start + RUN])
        for start in range(0, len(lines) - RUN, RUN)
    ]


def is_passed_over(line: bytes) -> bool:
    """Whether the door gives this line to nobody and says nothing."""
    decision = decide(line, 1)
    return decision is None or (isinstance(decision, Kept) and not decision.reply)


def main(place: str, count: int) -> None:
    runs = garbage_lines()
    with Client(place, reply_seconds=REPLY_SECONDS) as client:
        sys.stdout.write("sending\n")
        sys.stdout.flush()
        for number in range(count // RUN):
            client.send_raw(runs[number % len(runs)])
        client.send(chi="unknown", rid="still there")
        client.read_until("echo", rid="still there")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
