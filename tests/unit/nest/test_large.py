"""Memory for what is large and soon gone."""

import re

from nest.large import bound_free_memory, large_buffer


def test_a_large_buffer_is_zeros_that_can_be_written_searched_and_shared() -> None:
    buffer = large_buffer(3 * 1024 * 1024 + 1)
    assert not any(buffer[-4096:])

    buffer[5:8] = b'a"b'

    assert len(buffer) == 3 * 1024 * 1024 + 1
    found = re.search(b'"', buffer)
    assert found is not None
    assert found.start() == 6
    assert bytes(memoryview(buffer)[5:8]) == b'a"b'


def test_bounding_free_memory_can_be_done_again() -> None:
    bound_free_memory()
    bound_free_memory()
