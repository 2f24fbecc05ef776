"""Outlines of every parsed language (humfs 6.1 to 6.3, 7.2, 7.4; features E2, E4).

`outlines/` holds sources, each with the outline it must have beside it.
"""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from humfs.core import lookup, views
from humfs.core.languages import TABLE, extension_of, language_of
from humfs.core.symbols import Outline
from humfs.core.text import Text, decode

SAMPLES = sorted(
    one for one in (Path(__file__).parent / "outlines").iterdir() if one.suffix != ".outline"
)
ids = [one.name for one in SAMPLES]


def outlined(path: str, source: bytes) -> tuple[Outline, Text]:
    text = decode(source)
    language = language_of(path, text.source)
    assert language is not None
    return language.outline(text.source), text


def rows(path: str, source: str) -> str:
    outline, text = outlined(path, source.encode())
    return views.outline_block(outline, text)[0]


@pytest.mark.parametrize("sample", SAMPLES, ids=ids)
def test_a_sample_has_exactly_the_outline_beside_it(sample: Path) -> None:
    """Features E2; humfs E02 to E08, E10 (the shorter samples)."""
    expected = sample.with_name(f"{sample.name}.outline").read_text()

    assert rows(sample.name, sample.read_text()) + "\n" == expected


def test_every_parsed_language_has_a_sample() -> None:
    sampled = {extension_of(one.name) for one in SAMPLES}

    assert {module for extension, module in TABLE.items() if extension in sampled} | {
        "python"
    } == set(TABLE.values())


@pytest.mark.parametrize("sample", SAMPLES, ids=ids)
def test_every_row_resolves_to_exactly_its_symbol(sample: Path) -> None:
    """humfs 11, features E4."""
    outline, _ = outlined(sample.name, sample.read_bytes())

    for symbol in outline:
        found = lookup.find(outline, symbol.address)
        assert [match.symbol for match in found] == [symbol], symbol.address


@pytest.mark.parametrize("sample", SAMPLES, ids=ids)
def test_symbols_lie_inside_their_parents_and_beside_their_siblings(sample: Path) -> None:
    outline, text = outlined(sample.name, sample.read_bytes())

    for siblings in (outline.symbols, *(one.children for one in outline)):
        for one, other in pairwise(siblings):
            assert one.full.end <= other.full.start, (one.path, other.path)
    for symbol in outline:
        assert 0 <= symbol.full.start <= symbol.declaration.start
        assert symbol.declaration.end <= symbol.full.end <= len(text.source)
        for inner in symbol.children:
            assert symbol.full.start <= inner.full.start <= inner.full.end <= symbol.full.end


@pytest.mark.parametrize("sample", SAMPLES, ids=ids)
@settings(max_examples=15)
@given(data=st.data())
def test_broken_source_gives_what_can_be_made_out(sample: Path, data: st.DataObject) -> None:
    source = sample.read_bytes()
    start = data.draw(st.integers(0, len(source)))
    end = data.draw(st.integers(start, min(len(source), start + 200)))
    junk = data.draw(st.binary(max_size=10))

    outline, text = outlined(sample.name, source[:start] + junk + source[end:])

    for symbol in outline:
        assert 0 <= symbol.full.start <= symbol.full.end <= len(text.source)
        lookup.find(outline, symbol.address)
