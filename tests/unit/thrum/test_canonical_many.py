"""Canonical JSON over 20,000 values, against another implementation (`reliability I9`)."""

import random
import struct
from collections.abc import Iterator
from json import dumps as plain_dumps
from math import isfinite
from typing import Any

import orjson
import pytest
import rfc8785

from thrum.canonical import dumps

CASES = 20_000
SEED = 8785
INTEGER_MAX = 2**53 - 1
CHARACTERS = ['"', "\\", "/", "\0", "\x1f", "\b\t\n\f\r", "a", "Z", "é", "\x7f", "\u2028", "\ufffd"]
ASTRAL = "\U0001f600"
"""RFC 8785 sorts keys by UTF-16, hum by UTF-8: only characters beyond the BMP tell them apart."""


class Maker:
    """Makes values out of one seed."""

    def __init__(self, seed: int, *, floats: bool) -> None:
        self._random = random.Random(seed)
        self._floats = floats

    def values(self, count: int) -> Iterator[Any]:
        for _ in range(count):
            yield self._value(4)

    def _value(self, depth: int) -> Any:
        kinds = 7 if depth else 5
        kind = self._random.randrange(kinds)
        if kind == 5:
            return [self._value(depth - 1) for _ in range(self._random.randrange(4))]
        if kind == 6:
            return {self._text(): self._value(depth - 1) for _ in range(self._random.randrange(5))}
        if kind == 0:
            return self._random.choice([None, True, False])
        if kind == 1 and self._floats:
            return self._float()
        if kind in (1, 2):
            return self._random.randint(-INTEGER_MAX, INTEGER_MAX) >> self._random.randrange(54)
        return self._text() + (ASTRAL if self._random.random() < 0.1 else "")

    def _text(self) -> str:
        """Never with a character beyond the BMP, for it may become a key."""
        return "".join(self._random.choices(CHARACTERS, k=self._random.randrange(6)))

    def _float(self) -> float:
        while True:
            bits = self._random.getrandbits(64).to_bytes(8, "little")
            found: float = struct.unpack("<d", bits)[0]
            if isfinite(found):
                return self._random.choice([found, round(found % 1e6, 3), float(int(found % 1e17))])


def test_what_is_read_is_written_as_it_was() -> None:
    for value in Maker(SEED, floats=True).values(CASES):
        text = dumps(value)
        assert dumps(orjson.loads(text)) == text, f"seed {SEED}: {value!r}"


def test_another_implementation_writes_the_same_bytes() -> None:
    """Of everything that hum authors itself: no floats, integers within 2^53."""
    for value in Maker(SEED, floats=False).values(CASES):
        assert dumps(value) == rfc8785.dumps(value), f"seed {SEED}: {value!r}"


def test_another_implementation_reads_the_same_values_where_floats_are_laid_out_differently() -> (
    None
):
    """RFC 8785 writes numbers as ECMAScript does: `1.0` as `1`, `1e16` in digits."""
    for value in Maker(SEED, floats=True).values(CASES):
        assert rfc8785.dumps(orjson.loads(dumps(value))) == rfc8785.dumps(value), f"{value!r}"


def test_control_the_encoder_of_the_standard_library_writes_others() -> None:
    def differs(value: Any) -> bool:
        return plain_dumps(value, sort_keys=True).encode() != dumps(value)

    assert sum(map(differs, Maker(SEED, floats=False).values(1_000))) > 300


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_million_values() -> None:
    for value in Maker(SEED + 1, floats=False).values(1_000_000):
        text = dumps(value)
        assert dumps(orjson.loads(text)) == text == rfc8785.dumps(value), f"{value!r}"
