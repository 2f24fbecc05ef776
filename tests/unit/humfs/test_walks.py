"""Walks into symbols with the alias words, in every parsed language (humfs 7.5, features E4).

`walks/` holds sources, each with paths and the text that each of them means beside it (`-`: none).
Those of Python are in `test_lookup`.
"""

from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from humfs.core import aliases, lookup
from humfs.core.languages import TABLE, extension_of, language_of
from humfs.core.symbols import Outline
from humfs.core.text import decode

SAMPLES = sorted(
    one for one in (Path(__file__).parent / "walks").iterdir() if one.suffix != ".walks"
)
WITHOUT = {"python", "typescript", "tsx", "vue"}
"""Languages whose walks are tested elsewhere, or are those of another."""
ids = [one.name for one in SAMPLES]


def outlined(sample: Path) -> Outline:
    source = sample.read_bytes()
    language = language_of(sample.name, source)
    assert language is not None
    return language.outline(source)


@pytest.mark.parametrize("sample", SAMPLES, ids=ids)
def test_a_path_means_exactly_this_text(sample: Path) -> None:
    """humfs E17, E19."""
    text, outline = decode(sample.read_bytes()), outlined(sample)

    for line in sample.with_name(f"{sample.name}.walks").read_text().splitlines():
        asked, expected = line.split("\t")
        found = [text.text(match.span) for match in lookup.find(outline, asked)]
        assert found == ([] if expected == "-" else [orjson.loads(expected)]), asked


def test_every_parsed_language_has_a_sample() -> None:
    sampled = {TABLE[extension_of(one.name)] for one in SAMPLES}

    assert sampled | WITHOUT == set(TABLE.values())


@pytest.mark.parametrize("sample", SAMPLES, ids=ids)
@given(words=st.lists(st.sampled_from(sorted(aliases.WORDS)), min_size=1, max_size=6))
def test_any_walk_stays_inside_where_it_started(sample: Path, words: list[str]) -> None:
    """Features E4."""
    outline = outlined(sample)

    for symbol in outline:
        inside = symbol.declaration
        for length in range(1, len(words) + 1):
            asked = f"{symbol.address}.{'.'.join(words[:length])}"
            found = [one for one in lookup.find(outline, asked) if one.symbol is None]
            for match in found:
                assert inside.start <= match.span.start < match.span.end <= inside.end, asked
                again = lookup.find(outline, match.path)
                assert [one.span for one in again if one.symbol is None] == [match.span]
            if len(found) != 1:
                break
            inside = found[0].span
