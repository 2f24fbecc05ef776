"""What tests of foragers share."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from tests.support.house import House


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with anyio.create_task_group() as tasks:
        yield House(tasks, tmp_path / "spool")
        tasks.cancel_scope.cancel()
