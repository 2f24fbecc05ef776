"""Memory for what is large and soon gone."""

import re
import subprocess
import sys

from nest.large import MAPPED_BYTES_MIN, large_buffer

TWICE = """
import psutil
from nest.large import MAPPED_BYTES_MIN, bound_free_memory
bound_free_memory()
resident = lambda: psutil.Process().memory_info().rss
before = resident()
for _ in range(2):
    held = b"x" * (5 * MAPPED_BYTES_MIN)
    most = resident()
    del held
print(before, most, resident())
"""


def test_a_large_buffer_is_zeros_that_can_be_written_searched_and_shared() -> None:
    buffer = large_buffer(3 * 1024 * 1024 + 1)
    assert not any(buffer[-4096:])

    buffer[5:8] = b'a"b'

    assert len(buffer) == 3 * 1024 * 1024 + 1
    found = re.search(b'"', buffer)
    assert found is not None
    assert found.start() == 6
    assert bytes(memoryview(buffer)[5:8]) == b'a"b'


def test_what_is_large_is_given_back_as_soon_as_it_is_freed() -> None:
    """The allocator by itself keeps the second one, because the first was as large."""
    command = [sys.executable, "-c", TWICE]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    before, most, after = map(int, told.split())
    assert most - before > 4 * MAPPED_BYTES_MIN
    assert after - before < MAPPED_BYTES_MIN
