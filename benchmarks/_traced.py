"""Run one service with a note of when it does what, for `benchmarks._timeline`.

    python -m benchmarks._traced MODULE

What touches a socket or the disk notes the monotonic clock, which all processes share. The notes
go to `$HUM_TRACE` when the process ends. Only this program changes a service so; none knows of it.
"""

import atexit
import os
import runpy
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable

WHERE = "HUM_TRACE"
"""Variable with the file that the notes go to."""
NOTES_MAX = 2_000_000
"""Notes kept; later ones are dropped."""

_notes: list[tuple[int, str]] = []
_clock = time.perf_counter_ns


def note(what: str) -> None:
    """Note that something happens now."""
    if len(_notes) < NOTES_MAX:
        _notes.append((_clock(), what))


def _before(holder: object, name: str, what: str) -> None:
    """Note each call of a function."""
    call: Callable[..., Any] = getattr(holder, name)

    def noted(*args: Any, **kwargs: Any) -> Any:
        note(what)
        return call(*args, **kwargs)

    setattr(holder, name, noted)


def _around(holder: object, name: str, what: str) -> None:
    """Note when a call begins and when it ends."""
    call: Callable[..., Any] = getattr(holder, name)

    def noted(*args: Any, **kwargs: Any) -> Any:
        note(f"{what} begins")
        try:
            return call(*args, **kwargs)
        finally:
            note(f"{what} ends")

    setattr(holder, name, noted)


def _after_some(holder: object, name: str, what: str) -> None:
    """Note each call that returns something."""
    call: Callable[..., Any] = getattr(holder, name)

    def noted(*args: Any, **kwargs: Any) -> Any:
        found = call(*args, **kwargs)
        if found is not None:
            note(what)
        return found

    setattr(holder, name, noted)


def _watch(module: str) -> None:
    from nest import sockets

    for kind in (sockets.DealerSocket, sockets.RouterSocket):
        _after_some(kind, "receive", "bus in")
        _around(kind, "send", "bus out")
    _around(os, "fdatasync", "sync")
    if module == "foragers.front":
        from nest import listeners

        _before(listeners._BoundedProtocol, "data_received", "http in")
        _before(listeners._BoundedProtocol, "on_message_complete", "http whole")
        _sent(listeners._BoundedProtocol, "http out")
    elif module.startswith("workers."):
        from workers.answers import Connection

        _before(Connection, "data_received", "http in")
        _sent(Connection, "http out")


class _Transport:
    """A transport that notes what is written."""

    def __init__(self, transport: Any, what: str) -> None:
        self._transport, self._what = transport, what

    def write(self, data: Any) -> None:
        note(self._what)
        self._transport.write(data)

    def writelines(self, data: Any) -> None:
        note(self._what)
        self._transport.writelines(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def _sent(protocol: Any, what: str) -> None:
    made: Callable[..., None] = protocol.connection_made

    def noted(self: Any, transport: Any) -> None:
        made(self, _Transport(transport, what))

    protocol.connection_made = noted


def _keep() -> None:
    Path(os.environ[WHERE]).write_bytes(orjson.dumps(_notes))


if __name__ == "__main__":
    module = sys.argv.pop(1)
    atexit.register(_keep)
    _watch(module)
    runpy.run_module(module, run_name="__main__", alter_sys=True)
