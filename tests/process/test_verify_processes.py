"""A log verified by several processes: they find what one finds, and may be killed."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import psutil
import pytest
from tests.unit.thehum.chains import AUTHOR, KEY, groups

from hum.vouching import vouchers
from thehum.core.audit import Author, Report, Vouched, audit

pytestmark = pytest.mark.process

OWNER = Author(hid=AUTHOR, public=KEY.public)
SEGMENTS = {made.first_seq: made.data for made in groups([3, 2, 4, 1, 2, 3, 2])[1]}


@pytest.fixture(autouse=True)
def two_cores() -> Iterator[None]:
    with mock.patch.object(os, "cpu_count", return_value=2):
        yield


@contextmanager
def vouching(segments: dict[int, bytes]) -> Iterator[Callable[[int], Vouched | None]]:
    with vouchers(sorted(segments), segments.__getitem__, OWNER) as vouched:
        yield vouched


def report(
    segments: dict[int, bytes], vouched: Callable[[int], Vouched | None] = lambda _: None
) -> Report:
    return audit(sorted(segments), segments.__getitem__, OWNER, vouched=vouched)


def test_each_sealed_segment_is_vouched_for_by_a_child() -> None:
    firsts, before = sorted(SEGMENTS), psutil.Process().children()

    with vouching(SEGMENTS) as vouched:
        assert len(psutil.Process().children()) == len(before) + 2
        said = [vouched(first_seq) for first_seq in firsts[:-1]]

    assert [one and one.head.seq + 1 for one in said] == firsts[1:]
    assert psutil.Process().children() == before


@pytest.mark.parametrize("damaged", sorted(SEGMENTS))
def test_they_find_what_one_finds(damaged: int) -> None:
    changed = SEGMENTS[damaged].replace(b'"chi":"', b'"chi":"x', 1)
    segments = {**SEGMENTS, damaged: changed}

    with vouching(segments) as vouched:
        found = report(segments, vouched)

    assert found == report(segments)
    assert found.damage is not None


def test_a_child_that_is_killed_leaves_its_segments_to_the_reader() -> None:
    with vouching(SEGMENTS) as vouched:
        for child in psutil.Process().children():
            child.send_signal(signal.SIGKILL)
        found = report(SEGMENTS, vouched)

    assert found == report(SEGMENTS)
    assert found.damage is None


def test_a_segment_that_went_meanwhile_is_left_to_the_reader(home: Path) -> None:
    def read(first_seq: int) -> bytes:
        return (home / str(first_seq)).read_bytes()

    for first_seq, data in SEGMENTS.items():
        if first_seq != 4:
            (home / str(first_seq)).write_bytes(data)
    firsts = sorted(SEGMENTS)

    with vouchers(firsts, read, OWNER) as vouched:
        said = [vouched(first_seq) is None for first_seq in firsts[:-1]]

    assert said == [first_seq == 4 for first_seq in firsts[:-1]]
