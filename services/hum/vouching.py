"""Sealed segments of a log, verified by several processes at once.

Each is a fork of this one and takes every so-manieth segment; for each it writes a line to a pipe:
what `thehum.core.audit.vouch` says. One that dies, or whose reader dies, says nothing more, and the
segments it leaves are verified by whoever reads. No more than one segment is in memory for each.
"""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import pairwise

import orjson

from thehum.core.audit import Author, Vouched, vouch
from thehum.core.events import Head
from thrum.errors import LocalError

PROCESSES_MAX = 4
"""So many segments are in memory at a time."""
SEGMENTS_MIN = 4
"""Of fewer, the forks would not be worth it."""


@contextmanager
def vouchers(
    firsts: Sequence[int], read: Callable[[int], bytes], author: Author, *, every: bool = False
) -> Iterator[Callable[[int], Vouched | None]]:
    """What to give to `audit` as `vouched`, for the segments that start with `firsts`.

    The last of them is not sealed. When the block ends, so do the processes.
    """
    sealed = list(pairwise(firsts))
    processes = min(os.cpu_count() or 1, PROCESSES_MAX)
    if len(sealed) < SEGMENTS_MIN or processes < 2:
        yield lambda _: None
        return

    def say(first_seq: int, next_first: int) -> bytes:
        try:
            data = read(first_seq)
        except (OSError, LocalError):
            return b"null\n"  # it went meanwhile
        said = vouch(data, author, first_seq, next_first - 1, every=every)
        return orjson.dumps(asdict(said) if said else None) + b"\n"

    voucher_of = {first_seq: at % processes for at, (first_seq, _) in enumerate(sealed)}
    running: list[_Voucher] = []
    try:
        running.extend(_Voucher(say, sealed[at::processes]) for at in range(processes))
        yield lambda first_seq: running[voucher_of[first_seq]].next()
    finally:
        for voucher in running:
            voucher.close()


class _Voucher:
    """A process that says something about each of its segments, in order."""

    def __init__(
        self, say: Callable[[int, int], bytes], segments: Sequence[tuple[int, int]]
    ) -> None:
        reader, writer = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(reader)
            _work(writer, say, segments)
        os.close(writer)
        self._said = os.fdopen(reader, "rb")

    def next(self) -> Vouched | None:
        """What it says about the next of its segments; None when it says nothing more."""
        try:
            fields = orjson.loads(self._said.readline())
        except orjson.JSONDecodeError:
            return None
        return fields and Vouched(**{**fields, "head": Head(**fields["head"])})

    def close(self) -> None:
        """End it, wherever it is."""
        self._said.close()
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


def _work(
    writer: int, say: Callable[[int, int], bytes], segments: Sequence[tuple[int, int]]
) -> None:
    """Be the child, to the end of the process: nothing of the parent's may run here."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        for first_seq, next_first in segments:
            os.write(writer, say(first_seq, next_first))
    finally:
        os._exit(0)  # what it did not get to, whoever reads does, and says what is wrong
