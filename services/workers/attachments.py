"""Attachments that lie beside a prompt, on this machine (`thrum.attachments`)."""

import os
from mmap import ACCESS_READ, mmap
from pathlib import Path

from workers.turns import TurnFailed

BYTES_MAX = 64 * 1024 * 1024
"""Of one attachment."""


class Attachments:
    """Read where the front puts them while a turn runs."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read(self, digest: str) -> memoryview:
        """The base64 text with this digest. Raises `TurnFailed`.

        It is the file itself, in memory; nobody shortens one, and one that is removed stays as long
        as it is read.
        """
        try:
            handle = os.open(self._directory / digest, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            with os.fdopen(handle, "rb"):
                size = os.fstat(handle).st_size
                text = memoryview(mmap(handle, min(size, BYTES_MAX), access=ACCESS_READ))
        except (OSError, ValueError) as problem:  # an empty file has no map
            raise TurnFailed(
                f"an attachment of the prompt is not on this machine ({problem}); send it "
                "again", code=400,
            ) from problem  # fmt: skip
        if size > BYTES_MAX:
            raise TurnFailed(f"an attachment is longer than {BYTES_MAX} bytes", code=400)
        return text
