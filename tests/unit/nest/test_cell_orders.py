"""What a guard is told, and what is kept of an output."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nest.cells.capture import Capture
from nest.cells.orders import ORDER_BYTES_MAX, Order, Pinned, Walls

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
names = st.text("ABC_", min_size=1)


@given(
    st.lists(texts, min_size=1),
    st.dictionaries(names, texts),
    texts,
    st.dictionaries(st.integers(0, 15), st.integers(0)),
    st.booleans(),
)
def test_an_order_arrives_as_it_was_given(
    argv: list[str], env: dict[str, str], cwd: str, limits: dict[int, int], namespace: bool
) -> None:
    order = Order(argv=tuple(argv), env=env, cwd=cwd, limits=limits, makes_namespace=namespace)

    assert Order.read(io.BytesIO(order.to_bytes()).read) == order


@given(
    st.builds(
        Walls,
        has_landlock=st.booleans(),
        reads=st.lists(texts).map(tuple),
        writes=st.lists(texts).map(tuple),
        has_filter=st.booleans(),
        groups=st.lists(st.integers(0, 9)).map(tuple),
        pinned=st.lists(
            st.builds(
                Pinned,
                path=texts,
                device=st.integers(0),
                inode=st.integers(0),
                is_read_only=st.booleans(),
            )
        ).map(tuple),
    )
)
def test_walls_arrive_as_they_were_asked_for(walls: Walls) -> None:
    order = Order(argv=("/bin/true",), walls=walls)

    assert Order.read(io.BytesIO(order.to_bytes()).read) == order


def test_an_order_in_small_pieces_is_read_whole() -> None:
    order = Order(argv=("/bin/echo", "é\udcff"), env={"A": "1=2"})
    content = io.BytesIO(order.to_bytes())

    assert Order.read(lambda _: content.read(1)) == order


@given(st.integers(0, 60))
def test_half_an_order_is_refused(length: int) -> None:
    whole = Order(argv=("/bin/echo", "a"), env={"A": "1"}, cwd="/").to_bytes()

    with pytest.raises(ValueError, match="ends early"):
        Order.read(io.BytesIO(whole[: min(length, len(whole) - 1)]).read)


def test_an_order_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="an order of"):
        Order.read(io.BytesIO((ORDER_BYTES_MAX + 1).to_bytes(4, "little")).read)


@given(st.lists(st.binary(max_size=40)), st.integers(1, 30), st.integers(1, 30))
def test_a_capture_keeps_both_ends_and_counts_the_rest(
    pieces: list[bytes], head_max: int, tail_max: int
) -> None:
    capture = Capture(head_max, tail_max)
    for piece in pieces:
        capture.add(piece)

    whole = b"".join(pieces)
    assert capture.head == whole[:head_max]
    assert capture.tail == whole[head_max:][-tail_max:]
    assert capture.total == len(whole)
    assert capture.left_out == max(0, len(whole) - head_max - tail_max)
