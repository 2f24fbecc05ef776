"""The head of the log, remembered outside its folder.

Whoever puts an older copy of the folder back puts back what it remembers, too. So the head stands
in a file beside the folder as well, and a start compares: a log that ends before that, or has
another event there, is not the one that was written.
"""

from dataclasses import dataclass
from pathlib import Path

import orjson

from nest.private import read_private, replace_private
from thehum.core.events import Head
from thehum.edge.disk import told_apart
from thrum.canonical import dumps


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What was durable when it was last written down."""

    author: str
    epoch: int
    seq: int
    hash: str


class HeadFile:
    """See the module."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Remembered | None:
        """What is remembered; None when nothing is, or when it cannot be read."""
        try:
            fields = orjson.loads(read_private(self.path))
            return Remembered(
                author=str(fields["author"]),
                epoch=int(fields["epoch"]),
                seq=int(fields["seq"]),
                hash=str(fields["hash"]),
            )
        except (FileNotFoundError, orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            return None

    def write(self, author: str, epoch: int, head: Head) -> None:
        """Remember a head. Raises `DiskFull`, `WriteFailed`."""
        fields = {"author": author, "epoch": epoch, "seq": head.seq, "hash": head.hash}
        with told_apart(f"writing {self.path}"):
            replace_private(self.path, dumps(fields) + b"\n")
