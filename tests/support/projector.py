"""A program that follows the log through the door: every event, once, into a file of its own.

    python -m tests.support.projector SOCKET FILE

Each stored line goes into FILE and is on disk before it is acknowledged; where to go on is read
from there. So it may be killed at any time, and so may everything it talks to.
"""

import os
import sys
import time
from pathlib import Path

import orjson
from tests.support.ndjson import Client

RETRY_SECONDS = 0.05
WAIT_MS = 1_000
ANSWER_SECONDS = 3.0
"""No answer for so long means that the router was restarted: connect and ask again."""
CURSOR = "projector"


def stored(path: Path) -> tuple[int, int]:
    """The last event in the file, and where it ends; what a kill tore is cut off by the caller."""
    data = path.read_bytes() if path.exists() else b""
    end = data.rfind(b"\n") + 1
    lines = data[:end].splitlines()
    return (orjson.loads(lines[-1])["seq"] if lines else 0), end


def follow(client: Client, handle: int, acked: int) -> None:
    """Ask, store, acknowledge, for ever. Raises `OSError` or `EOFError` when the door goes."""
    client.read_until("breath")
    number = 0
    while True:
        number += 1
        rid = f"page-{number}"
        client.send(chi="backfill", rid=rid, cursor=CURSOR, acked=acked, wait=WAIT_MS)
        answer = client.read()
        while answer.get("rid") != rid or answer["chi"] == "echo":
            answer = client.read()
        if answer["chi"] == "error" or "qualifier" in answer:
            time.sleep(RETRY_SECONDS)  # the log is away; its retry is a new request
            continue
        lines = answer["events"]
        if lines:
            os.write(handle, "".join(f"{line}\n" for line in lines).encode())
            os.fdatasync(handle)
            acked = orjson.loads(lines[-1])["seq"]


def main() -> None:
    """Follow, and connect again whenever the door is away."""
    socket, path = sys.argv[1], Path(sys.argv[2])
    acked, end = stored(path)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.ftruncate(handle, end)
    os.lseek(handle, end, os.SEEK_SET)
    while True:
        try:
            with Client(socket, reply_seconds=ANSWER_SECONDS) as client:
                acked, _ = stored(path)
                follow(client, handle, acked)
        except (OSError, EOFError):
            time.sleep(RETRY_SECONDS)


if __name__ == "__main__":
    main()
