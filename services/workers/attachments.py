"""Attachments that lie beside a prompt, on this machine (`thrum.attachments`)."""

import os
from pathlib import Path

from workers.turns import TurnFailed

BYTES_MAX = 64 * 1024 * 1024
"""Of one attachment."""


class Attachments:
    """Read where the front puts them while a turn runs."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read(self, digest: str) -> bytes:
        """The base64 text with this digest. Raises `TurnFailed`."""
        try:
            handle = os.open(self._directory / digest, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            with os.fdopen(handle, "rb", buffering=0) as file:
                size = os.fstat(handle).st_size
                text = file.read(size) if size <= BYTES_MAX else b""
        except OSError as problem:
            raise TurnFailed(
                f"an attachment of the prompt is not on this machine ({problem.strerror}); send it "
                "again", code=400,
            ) from problem  # fmt: skip
        if size > BYTES_MAX:
            raise TurnFailed(f"an attachment is longer than {BYTES_MAX} bytes", code=400)
        return text
