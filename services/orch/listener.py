"""supervisord's event listener: notes every change of state, and keeps supervisord awake.

`python -I -S listener.py`, started by supervisord as `[eventlistener:orch]`. stdout is the protocol
(`READY`, `RESULT`), stderr is the log, one JSON object per line. It ends when supervisord does,
because stdin then does.

- An event is acknowledged before it is looked at: supervisord queues them for a listener that is
  busy.
- supervisord's loop turns once a second by itself, so it would notice an ended process that much
  later. Where the system can tell us of an end (Linux: a descriptor for each process), the line
  that says so wakes supervisord, and its next event does again: a killed service is back at once.

It imports as good as nothing, to stay small: json and typing would be a quarter of it.
"""

from __future__ import annotations

import os
import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

EVENT_BYTES_MAX = 64 * 1024
"""Longest event read. supervisord's state events have about a hundred bytes."""

READY = b"READY\n"
DONE = b"RESULT 2\nOK"
STATE_EVENT = "PROCESS_STATE_"
STDIN, STDOUT, STDERR = 0, 1, 2


def tokens(text: str) -> dict[str, str]:
    """Read `key:value` words; a word without a colon has an empty value."""
    return {key: value for key, _, value in (word.partition(":") for word in text.split())}


def take(unread: bytearray) -> tuple[dict[str, str], str] | None:
    """Take one whole event off the front of `unread`; None while it is not complete.

    Raises `ValueError` for what is no event: nothing sensible can follow.
    """
    end = unread.find(b"\n")
    if end < 0 and len(unread) <= EVENT_BYTES_MAX:
        return None
    header = tokens(unread[: max(end, 0)].decode())
    size = int(header.get("len", -1))
    if not 0 <= size <= EVENT_BYTES_MAX:
        raise ValueError("no event of supervisord")
    payload = unread[end + 1 : end + 1 + size]
    if len(payload) < size:
        return None
    del unread[: end + 1 + size]
    return header, payload.decode()


def record(event: dict[str, str], payload: str, *, at: float) -> dict[str, object] | None:
    """The log record of a state change; None for any other event."""
    name = event.get("eventname", "")
    if not name.startswith(STATE_EVENT):
        return None
    said = tokens(payload)
    state = name.removeprefix(STATE_EVENT)
    surprising = state in ("BACKOFF", "FATAL", "UNKNOWN") or said.get("expected") == "0"
    found: dict[str, object] = {
        "ts": timestamp(at),
        "level": "warning" if surprising else "info",
        "service": "orch",
        "event": "process.state",
        "process": said.get("processname", ""),
        "state": state,
        "was": said.get("from_state", ""),
    }
    if "pid" in said:
        found["pid"] = int(said["pid"])
    if "expected" in said:
        found["expected"] = said["expected"] == "1"
    return found


def timestamp(at: float) -> str:
    """Write Unix seconds as the services do: RFC 3339, UTC, milliseconds."""
    milliseconds = int(at * 1000) % 1000
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(at))}.{milliseconds:03d}Z"


def line(found: dict[str, object]) -> str:
    """Write `found` as one line of JSON; characters outside ASCII become question marks."""
    return "{" + ",".join(f'"{name}":{_json(value)}' for name, value in found.items()) + "}\n"


def _json(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    text = "".join(char if " " <= char <= "~" else "?" for char in str(value))
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Watched:
    """Processes whose end we are told of, as far as the system does that."""

    def __init__(self, poll: select.poll) -> None:
        self._poll = poll
        self._pids: dict[int, int] = {}

    def add(self, pid: int) -> None:
        """Watch `pid`; a process that is gone already is not."""
        if not hasattr(os, "pidfd_open"):
            return
        try:
            handle = os.pidfd_open(pid)
        except OSError:
            return
        self._pids[handle] = pid
        self._poll.register(handle, select.POLLIN)

    def ended(self, handle: int) -> int:
        """The pid behind a `handle` that fired; it is watched no more."""
        self._poll.unregister(handle)
        os.close(handle)
        return self._pids.pop(handle)


def records() -> Iterator[dict[str, object]]:
    """What there is to note, as it happens; ends when supervisord does."""
    poll = select.poll()
    poll.register(STDIN, select.POLLIN)
    watched = Watched(poll)
    unread = bytearray()
    os.write(STDOUT, READY)
    while True:
        for handle, _ in poll.poll():
            if handle != STDIN:
                yield {
                    "ts": timestamp(time.time()),
                    "level": "info",
                    "service": "orch",
                    "event": "process.gone",
                    "pid": watched.ended(handle),
                }
                continue
            read = os.read(STDIN, EVENT_BYTES_MAX)
            if not read:
                return
            unread += read
            while event := take(unread):
                os.write(STDOUT, DONE)
                found = record(*event, at=time.time())
                if found is not None:
                    yield found
                    pid = found.get("pid")
                    if found["state"] == "RUNNING" and isinstance(pid, int):
                        watched.add(pid)
                os.write(STDOUT, READY)


def main() -> None:
    """Note what happens until supervisord ends."""
    for found in records():
        os.write(STDERR, line(found).encode())


if __name__ == "__main__":
    main()
