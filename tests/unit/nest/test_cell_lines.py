"""Lines of a stream that comes in any pieces."""

import anyio
import pytest
from anyio.abc import ByteReceiveStream
from hypothesis import given
from hypothesis import strategies as st

from nest.cells.lines import Lines, LineTooLong


class Pieces(ByteReceiveStream):
    """A stream that gives these pieces and ends."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        if not self._pieces:
            raise anyio.EndOfStream
        return self._pieces.pop(0)

    async def aclose(self) -> None:
        """Nothing to close."""


class Waiting(Pieces):
    """A stream that gives these pieces and then waits, as a pipe does."""

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        if not self._pieces:
            await anyio.sleep_forever()
        return await super().receive(max_bytes)


async def all_of(lines: Lines) -> list[bytes]:
    found = []
    while (line := await lines.next()) is not None:
        found.append(line)
    return found


@given(st.lists(st.binary().map(lambda line: line.replace(b"\n", b""))), st.data())
def test_lines_are_the_same_however_they_come(whole: list[bytes], data: st.DataObject) -> None:
    content = b"".join(line + b"\n" for line in whole)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(content)))))
    pieces = [content[a:b] for a, b in zip([0, *cuts], [*cuts, len(content)], strict=True)]

    assert anyio.run(all_of, Lines(Pieces(*pieces))) == whole


async def test_what_has_no_end_is_no_line() -> None:
    assert await all_of(Lines(Pieces(b"one\ntw", b"o"))) == [b"one"]


async def test_a_line_has_a_bound() -> None:
    lines = Lines(Pieces(b"12345\n1234567\n", b"12", b"34567", b"8"), line_bytes_max=6)

    assert await lines.next() == b"12345"
    assert await lines.next() == b"1234567"  # it was there already
    with pytest.raises(LineTooLong):
        await lines.next()


async def test_what_nobody_read_is_dropped() -> None:
    lines = Lines(Waiting(b"stale\nold", b"er\n", b"oldest\n"))
    assert await lines.next() == b"stale"

    await lines.drop()

    with anyio.move_on_after(0):
        assert await lines.next() is None, "nothing is left"
