"""What is known of a source spares work and changes nothing (features E2, E3)."""

import argparse
import ast
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.mutations import mutated
from tests.unit.humfs.test_outlines import SAMPLES
from tree_sitter import Tree

from humfs.core import lookup, views
from humfs.core.languages import language_of
from humfs.core.languages.language import Revision, TreeLanguage, parse, reparse
from humfs.core.languages.python import LANGUAGE as PYTHON
from humfs.core.symbols import Outline, Symbol
from humfs.core.text import Span, Text, decode

LIBRARY = sorted(Path(ast.__file__).parent.glob("[a-z]*.py"))
SOURCES = [*SAMPLES, *LIBRARY[::45]]


def facts(outline: Outline) -> list[tuple[object, ...]]:
    return [
        (one.kind, one.address, one.declaration, one.full, one.signature, one.is_overload)
        for one in outline
    ]


def nodes(tree: Tree) -> Iterator[tuple[str, int, int]]:
    waiting = [tree.root_node]
    while waiting:
        node = waiting.pop()
        yield node.type, node.start_byte, node.end_byte
        waiting += node.children


def compared(source: bytes, name: str, dice: Random) -> bool:
    """One change of a source, parsed both ways; whether the shorter way was taken."""
    language = language_of(name, source)
    assert language is not None
    known, made = language.outline(source), mutated(source, dice)
    since = Revision(source, known, made.old, made.new)

    alone, again = language.outline(made.source), language.outline(made.source, since=since)

    assert facts(again) == facts(alone)
    assert [list(nodes(tree)) for tree in again.trees] == [list(nodes(one)) for one in alone.trees]
    assert facts(known) == facts(language.outline(source)), "what was known has changed"
    return isinstance(language, TreeLanguage) and (
        not language.prepare
        and reparse(language.grammar, made.source, since, lambda: False) is not None
    )


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
@settings(max_examples=6)
@given(dice=st.randoms(use_true_random=False))
def test_a_changed_source_is_parsed_the_same_from_the_tree_before(path: Path, dice: Random) -> None:
    compared(path.read_bytes(), path.name, dice)


@pytest.mark.soak
@pytest.mark.timeout(1_800)
def test_thousands_of_changed_sources_are_parsed_the_same() -> None:
    dice, short = Random(7), 0

    for number in range(20_000):
        path = SOURCES[number % len(SOURCES)]
        short += compared(path.read_bytes(), path.name, dice)

    assert short > 2_000


def test_the_tree_before_is_taken_when_neither_source_has_an_error() -> None:
    source = b"def f():\n    return 1\n\n\ndef g():\n    return 2\n"
    new = source.replace(b"1", b"100")
    at = source.index(b"1")
    known = PYTHON.outline(source)
    since = Revision(source, known, Span(at, at + 1), Span(at, at + 3))

    tree = reparse(PYTHON.grammar, new, since, lambda: False)

    assert tree is not None
    assert list(nodes(tree)) == list(nodes(parse(PYTHON.grammar, new)))


@pytest.mark.parametrize("path", LIBRARY[::15], ids=lambda path: path.name)
def test_bodies_that_are_passed_over_hold_no_symbol(path: Path) -> None:
    everywhere = replace(PYTHON, table=replace(PYTHON.table, local_words=()))
    source = path.read_bytes()

    assert facts(PYTHON.outline(source)) == facts(everywhere.outline(source))


@pytest.mark.parametrize(
    "body",
    [
        "if x:\n        def inner(): pass",
        "async\tdef inner(): pass",
        "class\\\n  inner: pass",
        "x = 1;class inner: pass",
        "@d\n    def\u00a0inner(): pass",
    ],
)
def test_a_body_is_looked_into_however_its_declaration_is_spaced(body: str) -> None:
    everywhere = replace(PYTHON, table=replace(PYTHON.table, local_words=()))
    source = f"def f():\n    {body}\n".encode()

    assert facts(PYTHON.outline(source)) == facts(everywhere.outline(source))
    assert "\u00a0" in body or "f.inner" in [one.path for one in PYTHON.outline(source)]


def places(outline: Outline, asked: str, text: Text) -> list[tuple[object, ...]]:
    """Where a path leads, and what is shown of a place that is long."""
    return [
        (one.path, one.kind, one.span, views.symbol_rows(list(below(one.symbol)), text))
        for one in lookup.find(outline, asked)
    ]


def below(symbol: Symbol | None) -> Iterator[Symbol]:
    for inner in symbol.children if symbol is not None else ():
        yield inner
        yield from below(inner)


def ways(outline: Outline, words: Sequence[str]) -> Iterator[str]:
    """Paths that lead to each symbol and into it, and some that may lead nowhere."""
    for symbol in outline:
        yield from (symbol.address, symbol.name, f"{symbol.kind} {symbol.name}")
        yield from (f"{symbol.path}.{word}" for word in words)
        yield from (f"{symbol.name}.{inner.name}" for inner in symbol.children)
        yield ".".join(part.partition("#")[0] for part in symbol.path.split(".")[-2:])


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_the_words_of_a_path_lead_to_the_same_places(path: Path) -> None:
    source = path.read_bytes()
    language = language_of(path.name, source)
    assert language is not None
    whole = language.outline(source)
    text = decode(source)
    asked = sorted(set(ways(whole, ("body", "call", "imports", "nothing"))))

    for one in asked if path in SAMPLES else Random(1).sample(asked, min(12, len(asked))):
        few = language.outline(source, words=lookup.words_of(one))
        assert places(few, one, text) == places(whole, one, text), one


def test_what_the_words_of_a_path_do_not_lead_to_is_spared() -> None:
    source = Path(argparse.__file__).read_bytes()

    few = PYTHON.outline(source, words=lookup.words_of("ArgumentParser.parse_args"))

    paths = {one.path for one in few}
    assert {"HelpFormatter", "ArgumentParser.parse_args", "ArgumentParser.error"} <= paths
    assert "HelpFormatter.start_section" not in paths
