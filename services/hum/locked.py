"""One start or change of what runs at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from hum.errors import TryAgain
from nest.paths import Paths
from nest.private import PRIVATE_FILE_MODE


@contextmanager
def locked(paths: Paths) -> Iterator[None]:
    """Keep other starts and changes out meanwhile; raises `TryAgain` while one is under way."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(paths.lock("up"), flags, PRIVATE_FILE_MODE)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TryAgain(
                "another start or change of what runs is under way", hint="hum status"
            ) from error
        yield
    finally:
        os.close(handle)
