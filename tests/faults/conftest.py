"""What the rigs share."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")


@pytest.fixture
def shelf(home: Path) -> Iterator[Path]:
    """A folder in memory where that can be, for rigs in which no sync has to reach a disk."""
    if not MEMORY.is_dir():
        yield home
        return
    folder = Path(tempfile.mkdtemp(prefix="h-", dir=MEMORY))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
