"""What is being written right now, so that a process killed in between leaves nothing behind.

Before a temporary file is made, its path is noted in a file of our own; afterwards the note goes.
`sweep` is called once, at start: whatever is still noted was left by a process that was killed.
"""

import logging
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

from humfs.edge.roots import Place, Roots, refused_by_system
from humfs.errors import Refusal
from nest.paths import ensure_private

NOTES_MAX = 10_000
"""Notes looked at by one start."""
NOTE_BYTES_MAX = 16 * 1024
TEMPORARY = ".hum-{}.tmp"
_TEMPORARY = re.compile(r"\.hum-[0-9a-f]{16}\.tmp")

log = logging.getLogger(__name__)


class Journal:
    """The notes of one process. Its directory is private and this process alone uses it."""

    def __init__(self, directory: Path) -> None:
        ensure_private(directory)
        self._directory = directory

    @contextmanager
    def temporary(self, directory: str) -> Iterator[str]:
        """A name for a temporary file in a directory, noted while the block runs.

        Raises `Refusal` when it cannot be noted.
        """
        token = secrets.token_hex(8)
        name = TEMPORARY.format(token)
        note = self._directory / token
        try:
            _write(note, os.fsencode(os.path.join(directory, name)))
            yield name
        finally:
            note.unlink(missing_ok=True)

    def sweep(self, roots: Roots) -> int:
        """Remove what a killed process left in the roots; how many files that were."""
        removed = 0
        with os.scandir(self._directory) as listed:
            notes = [Path(entry.path) for entry in islice(listed, NOTES_MAX)]
        for note in notes:
            with note.open("rb") as file:
                path = os.fsdecode(file.read(NOTE_BYTES_MAX))
            try:
                removed += _remove(roots, path)
            except (OSError, Refusal) as trouble:
                log.warning("write.left_behind", extra={"path": path, "why": str(trouble)})
            note.unlink()
        return removed


def _write(note: Path, content: bytes) -> None:
    """Make a note; raises `Refusal`."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(note, flags, 0o600), "wb") as file:
            file.write(content)
    except OSError as trouble:
        asked = f"{note.parent}, where edits are noted before they are made,"
        raise refused_by_system(asked, trouble, writing=True) from trouble


def _remove(roots: Roots, path: str) -> bool:
    directory, name = os.path.split(path)
    if not _TEMPORARY.fullmatch(name):
        return False

    def act(place: Place) -> bool:
        handle = roots.open_directory(place.root, place.relative)
        try:
            with suppress(FileNotFoundError):
                if stat.S_ISREG(os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode):
                    os.unlink(name, dir_fd=handle)
                    return True
            return False
        finally:
            os.close(handle)

    return roots.at_place(directory, None, act)
