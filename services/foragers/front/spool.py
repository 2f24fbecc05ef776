"""Large images of turns that run: one file each, for the worker on this machine to read.

A file lives as long as a turn needs it and no longer: clients send their images again with every
request, and the log keeps digests only. Files that a killed front left behind go when it starts.
"""

import os
import threading
from collections import Counter
from pathlib import Path

from foragers.core.attachments import Cut
from foragers.core.errors import ApiError
from nest.metrics import Registry
from nest.paths import ensure_private
from nest.private import PRIVATE_FILE_MODE

SPOOL_BYTES_MAX = 512 * 1024 * 1024
"""Bytes of all files."""


class Spool:
    """The files, with how many turns need each. Threads may use it side by side."""

    def __init__(self, directory: Path, metrics: Registry) -> None:
        """Nobody else uses the directory. Raises `SettingsRefused`."""
        ensure_private(directory)
        self._directory = directory
        self._needed: Counter[str] = Counter()
        self._sizes: dict[str, int] = {}
        self._bytes = 0
        self._lock = threading.Lock()
        self._gauge = metrics.gauge("hum_front_spool_bytes", "Bytes of images of turns that run.")
        self._full = metrics.counter(
            "hum_front_spool_full_total", "Requests refused because there was no room for images."
        )
        for left in directory.iterdir():
            left.unlink()

    def put(self, cut: Cut) -> None:
        """Write an attachment, unless it is there. Raises `ApiError` when full."""
        with self._lock:
            if cut.digest not in self._sizes:
                self._write(cut)
            self._needed[cut.digest] += 1

    def read(self, digest: str) -> bytes:
        """An attachment that a turn needs."""
        return (self._directory / digest).read_bytes()

    def release(self, digest: str) -> None:
        """One turn less needs it."""
        with self._lock:
            self._needed[digest] -= 1
            if self._needed[digest] > 0:
                return
            del self._needed[digest]
            self._bytes -= self._sizes.pop(digest)
            self._gauge.set(self._bytes)
            (self._directory / digest).unlink(missing_ok=True)

    def _write(self, cut: Cut) -> None:
        text, digest = cut.text, cut.digest
        path = self._directory / digest
        try:
            if self._bytes + len(text) > SPOOL_BYTES_MAX:
                raise OSError(f"{SPOOL_BYTES_MAX} bytes wait already")
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(path, flags, PRIVATE_FILE_MODE), "wb", buffering=0) as file:
                written = file.write(text)
            if written != len(text):
                raise OSError("the disk is full")
        except OSError as problem:
            path.unlink(missing_ok=True)
            self._full.inc()
            raise ApiError(
                503, f"there is no room for images now: {problem}", code="overloaded"
            ) from problem
        self._sizes[digest] = len(text)
        self._bytes += len(text)
        self._gauge.set(self._bytes)


class Held:
    """The attachments of one request, until `release`."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._digests: list[str] = []

    def put(self, cut: Cut) -> None:
        """Write an attachment. Raises `ApiError`."""
        self._spool.put(cut)
        self._digests.append(cut.digest)

    def release(self) -> None:
        """Nobody needs them any more. Doing it again changes nothing."""
        while self._digests:
            self._spool.release(self._digests.pop())
