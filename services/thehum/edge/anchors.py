"""Anchors roots one at a time and keeps the receipts; nothing here makes the log wait.

`evm` runs as a process of its own (`thehum.anchor_evm`), which is looked after from turn to turn
and ended when it takes too long. A receipt is on disk before its root counts as anchored; a crash
between the two anchors the root once more.
"""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Protocol

import orjson

from nest.settings import AnchorSettings
from thehum.core import names
from thehum.core.anchors import (
    AnchorQueue,
    Backend,
    BadReceipt,
    Receipt,
    call_data,
    dump_receipt,
    read_receipt,
)
from thehum.core.keys import KeyChain
from thehum.core.notes import Checkpoint
from thehum.edge.disk import open_private, sync_data, sync_folder, told_apart, write_all
from thrum.canonical import dumps
from thrum.errors import LocalError

CHILD_SECONDS = 120.0
"""How long a try may take."""
ANSWER_BYTES_MAX = 64 * 1024
TAIL_BYTES = 256 * 1024
"""Of the receipts that are read at the start."""

log = logging.getLogger(__name__)


class NotAnchored(LocalError):
    """A backend did not take a root this time."""


class Anchor(Protocol):
    """One way of making a root known. Called between commits; must not wait."""

    def commit(self, checkpoint: Checkpoint, note: str) -> str | None:
        """Go on with `checkpoint`: the receipt's `ref`, or None while it is under way.

        Raises `NotAnchored`, after which it is tried again later.
        """

    def close(self) -> None:
        """Leave what is under way."""


class FileAnchor:
    """Appends a line for each root to a file of the user's."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def commit(self, checkpoint: Checkpoint, note: str) -> str:
        fields = {"author": checkpoint.author, "size": checkpoint.size, "note": note}
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            handle = os.open(self._path, flags, 0o600)
            try:
                offset = os.fstat(handle).st_size
                if offset and os.pread(handle, 1, offset - 1) != b"\n":
                    offset += os.write(handle, b"\n")  # behind what a crash left of a line
                line = dumps(fields) + b"\n"
                if os.write(handle, line) != len(line):
                    raise NotAnchored(f"{self._path}: no room for a line")
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as problem:
            raise NotAnchored(f"{self._path}: {problem.strerror}") from problem
        return str(offset)

    def close(self) -> None:
        """Nothing is under way between two calls."""


class WitnessAnchor:
    """Waits until some witness has signed below a root that is long enough."""

    def __init__(self, cosigned: Callable[[int], str | None]) -> None:
        """`cosigned` says which witness signed for at least so many events."""
        self._cosigned = cosigned

    def commit(self, checkpoint: Checkpoint, note: str) -> str | None:
        return self._cosigned(checkpoint.size)

    def close(self) -> None:
        """Nothing of ours is under way."""


class EvmAnchor:
    """Hands the call data to a process that has it sent, and waits for that from turn to turn."""

    def __init__(self, settings: AnchorSettings) -> None:
        self._settings = settings
        self._child: subprocess.Popen[bytes] | None = None
        self._ends = 0.0

    def commit(self, checkpoint: Checkpoint, note: str) -> str | None:
        if self._child is None:
            self._start(checkpoint)
            return None
        if self._child.poll() is None:
            if time.monotonic() > self._ends:
                self.close()
                raise NotAnchored(f"it took longer than {CHILD_SECONDS:.0f} s")
            return None
        child, self._child = self._child, None
        assert child.stdout is not None
        assert child.stderr is not None
        answer, said = _read(child.stdout), _read(child.stderr)
        if child.returncode != 0:
            raise NotAnchored(said.decode(errors="replace").strip()[-500:] or "no reason given")
        return str(orjson.loads(answer)["ref"])

    def _start(self, checkpoint: Checkpoint) -> None:
        settings = self._settings
        job = {
            "rpc_url": settings.rpc_url,
            "contract": settings.contract,
            "chain_id": settings.chain_id,
            "command": settings.command,
            "data": "0x" + call_data(checkpoint).hex(),
        }
        self._ends = time.monotonic() + CHILD_SECONDS
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", "thehum.anchor_evm"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self._child.stdin is not None
        self._child.stdin.write(orjson.dumps(job))
        self._child.stdin.close()

    def close(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None


class Anchors:
    """The queue, its backend and `anchors.ndjson`."""

    def __init__(
        self,
        root: Path,
        settings: AnchorSettings,
        *,
        keys: KeyChain,
        cosigned: Callable[[int], str | None],
        now: float,
    ) -> None:
        self._path = root / names.ANCHORS
        self._backend = Backend(settings.backend)
        self._anchor = _anchor_of(self._backend, settings, cosigned)
        every = settings.every_minutes * 60.0
        anchored = _newest_size(self._path, keys)
        self._queue = AnchorQueue(every_seconds=every, anchored_size=anchored, now=now)

    @property
    def floor_seq(self) -> int | None:
        """Events behind it must stay, because their root is not anchored yet; None: none must."""
        return self._queue.floor_seq if self._queue.is_pending else None

    @property
    def failures(self) -> int:
        """Tries in a row that failed."""
        return self._queue.failures

    def tick(self, newest: Checkpoint | None, note: str, *, now: float) -> None:
        """Go on with what is due. Raises `DiskFull` when there is no room for a receipt."""
        if self._anchor is None or newest is None:
            return
        self._queue.offer(newest, note)
        due = self._queue.due(now)
        if due is None:
            return
        try:
            ref = self._anchor.commit(*due)
        except (NotAnchored, OSError, orjson.JSONDecodeError, KeyError) as problem:
            log.warning("log.not_anchored", extra={"reason": str(problem)})
            self._queue.failed(now)
            return
        if ref is not None:
            self._keep(ref, *due)
            self._queue.done(due[0], now)
            log.info("log.anchored", extra={"size": due[0].size, "ref": ref})

    def close(self) -> None:
        """Leave what is under way; the next start tries again."""
        if self._anchor is not None:
            self._anchor.close()

    def _keep(self, ref: str, checkpoint: Checkpoint, note: str) -> None:
        receipt = Receipt(
            backend=self._backend,
            ref=ref,
            at_ms=time.time_ns() // 1_000_000,
            note=note,
            checkpoint=checkpoint,
            data=call_data(checkpoint) if self._backend is Backend.EVM else b"",
        )
        with told_apart(f"writing {self._path}"):
            handle = open_private(self._path, create=True, write=True)
            try:
                end = _whole_end(handle)
                write_all(handle, dumps(dump_receipt(receipt)) + b"\n", end)
                sync_data(handle)
            finally:
                os.close(handle)
        sync_folder(self._path.parent)


def _anchor_of(
    backend: Backend, settings: AnchorSettings, cosigned: Callable[[int], str | None]
) -> Anchor | None:
    if backend is Backend.FILE:
        return FileAnchor(Path(settings.path or ""))
    if backend is Backend.WITNESS:
        return WitnessAnchor(cosigned)
    return EvmAnchor(settings) if backend is Backend.EVM else None


def _whole_end(handle: int) -> int:
    """Behind the last whole line; what a crash left of one is overwritten."""
    size = os.fstat(handle).st_size
    begin = max(size - TAIL_BYTES, 0)
    end = begin + os.pread(handle, TAIL_BYTES, begin).rfind(b"\n") + 1
    if end < size:
        os.ftruncate(handle, end)
    return end


def _newest_size(path: Path, keys: KeyChain) -> int:
    """Up to which event the newest good receipt goes."""
    try:
        handle = open_private(path)
    except FileNotFoundError:
        return 0
    try:
        size = os.fstat(handle).st_size
        lines = os.pread(handle, TAIL_BYTES, max(size - TAIL_BYTES, 0)).split(b"\n")
    finally:
        os.close(handle)
    newest = 0
    for line in lines:
        try:
            receipt = read_receipt(orjson.loads(line), public=keys.first, later=keys.events)
            newest = max(newest, receipt.checkpoint.size)
        except (orjson.JSONDecodeError, BadReceipt, TypeError):
            continue
    return newest


def _read(pipe: IO[bytes]) -> bytes:
    with pipe:
        return pipe.read(ANSWER_BYTES_MAX)
