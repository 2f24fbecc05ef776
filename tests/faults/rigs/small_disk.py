"""A file system of a few MiB, mounted for one test, and what fills it up.

Mounting takes root; where that is not allowed, the test skips and says so.
"""

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

import pytest

from nest.paths import ensure_private

MIB = 1024 * 1024
BLOCK_BYTES = 4096
FOLDER_MODE = 0o700


class Kind(StrEnum):
    """Of file system."""

    TMPFS = "tmpfs"
    EXT4 = "ext4"


class SmallDisk:
    """A mounted file system. `fill` takes all room that is left, `relieve` gives it back."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._ballast = root / "ballast"

    def fill(self) -> None:
        """Leave no byte free, whatever else is being written meanwhile."""
        handle = os.open(self._ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            for step in (64 * BLOCK_BYTES, BLOCK_BYTES):
                _write_until_full(handle, bytes(step))
            os.fsync(handle)
        finally:
            os.close(handle)

    def relieve(self) -> None:
        """Give back what `fill` took."""
        self._ballast.unlink()


def _write_until_full(handle: int, data: bytes) -> None:
    try:
        while True:
            os.write(handle, data)
    except OSError as problem:
        if problem.errno != errno.ENOSPC:
            raise


@contextmanager
def small_disk(
    root: Path, size: int, *, kind: Kind = Kind.TMPFS, image: Path | None = None
) -> Iterator[SmallDisk]:
    """Mount an empty file system of `size` bytes at `root`; ext4 lives in the file `image`."""
    ensure_private(root)
    if kind is Kind.TMPFS:
        _mount("-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(root))
    else:
        assert image is not None
        if shutil.which("mkfs.ext4") is None:
            pytest.skip("a full ext4: there is no mkfs.ext4")
        with image.open("wb") as file:
            file.truncate(size)
        made = ["mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", str(image)]
        subprocess.run(made, check=True, capture_output=True)
        _mount("-o", "loop", str(image), str(root))
        root.chmod(FOLDER_MODE)
        (root / "lost+found").rmdir()
    try:
        yield SmallDisk(root)
    finally:
        subprocess.run(["umount", "--lazy", str(root)], check=True, capture_output=True)


def _mount(*arguments: str) -> None:
    try:
        done = subprocess.run(["mount", *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("a full disk: there is no mount")
    if done.returncode != 0:
        pytest.skip(f"a full disk: nothing can be mounted here: {done.stderr.decode().strip()}")
