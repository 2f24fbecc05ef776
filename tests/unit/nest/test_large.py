"""Memory for what is large and soon gone."""

import random
import re

import psutil

from nest.large import KEPT_BYTES_MAX, bound_free_memory, large_buffer


def resident_bytes() -> int:
    return int(psutil.Process().memory_info().rss)


def test_a_large_buffer_is_zeros_that_can_be_written_searched_and_shared() -> None:
    buffer = large_buffer(3 * 1024 * 1024 + 1)
    assert not any(buffer[-4096:])

    buffer[5:8] = b'a"b'

    assert len(buffer) == 3 * 1024 * 1024 + 1
    found = re.search(b'"', buffer)
    assert found is not None
    assert found.start() == 6
    assert bytes(memoryview(buffer)[5:8]) == b'a"b'


def test_free_memory_is_given_back_when_it_is_bounded() -> None:
    bound_free_memory()
    held = [random.randbytes(KEPT_BYTES_MAX // 4) for _ in range(16)]
    before = resident_bytes()

    held.clear()

    assert before - resident_bytes() >= KEPT_BYTES_MAX
