"""Symbol paths (humfs 7.2, 7.3, 7.5)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.humfs.examples import A_PY, W_PY

from humfs.core import lookup, views
from humfs.core.languages import language_of
from humfs.core.text import decode

C_PY = "class Client:\n    def call(self):\n        return ping()\n"
OVERLOADS = (
    "@overload\ndef f(x: int) -> int: ...\n@overload\ndef f(x: str) -> str: ...\n"
    "def f(x):\n    return x\n\ndef g(): ...\n"
)


def found(source: str, path: str) -> list[tuple[str, str]]:
    """Where a path leads: its full path and its lines."""
    language = language_of("x.py")
    assert language is not None
    text = decode(source.encode())
    matches = lookup.find(language.outline(text.source), path)
    return [(one.path, views.place(text, one.span)) for one in matches]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("Outer.name#2", [("Outer.name#2", "L25-L27")]),
        ("Outer.name", [("Outer.name#1", "L21-L23"), ("Outer.name#2", "L25-L27")]),
        ("go", [("Outer.Inner.go", "L18-L19")]),
        ("Inner.go", [("Outer.Inner.go", "L18-L19")]),
        ("Inner::go", [("Outer.Inner.go", "L18-L19")]),
        ("`Outer`.`name`#1", [("Outer.name#1", "L21-L23")]),
        ("class Outer", [("Outer", "L14-L27")]),
        ("imports", [("imports", "L2-L3")]),
        ("alpha#1", [("alpha", "L8-L11")]),
        ("alpha#2", []),
        ("Outer.go", []),
        ("go.Outer", []),
        ("", []),
        (".", []),
        ("Outer.", []),
        ("Outer..name", []),
        ("name#0", []),
    ],
)
def test_a_path_leads_to_these_symbols(path: str, expected: list[tuple[str, str]]) -> None:
    """humfs E11, E12, E13."""
    assert found(A_PY, path) == expected


@pytest.mark.parametrize(
    ("path", "lines"),
    [
        ("work.body", "L2-L21"),
        ("work.when", "L3-L8"),
        ("work.when.body", "L4-L4"),
        ("work.when.otherwise", "L5-L6"),
        ("work.when.otherwise#2", "L7-L8"),
        ("work.when.otherwise#2.body", "L8-L8"),
        ("work.loop#2.body", "L12-L12"),
        ("work.try.body", "L14-L14"),
        ("work.try.otherwise", "L15-L16"),
        ("work.try.otherwise#2", "L17-L18"),
        ("work.try.otherwise#3", "L19-L20"),
        ("work.return", "L4-L4"),
        ("work.return#3", "L21-L21"),
        ("work.call", "L5-L5"),
        ("work.call#3", "L11-L11"),
        ("work.loop#2.call#2", "L12-L12"),
        ("work.loop#2.call#2.call", "L12-L12"),
    ],
)
def test_alias_words_walk_into_a_symbol(path: str, lines: str) -> None:
    """humfs E17."""
    assert found(W_PY, path) == [(path, lines)]


@pytest.mark.parametrize(
    "path",
    ["work.loop#3", "work.body#2", "work.try#2", "work.body.nothing", "body", "work.call#99"],
)
def test_an_alias_that_selects_nothing_finds_nothing(path: str) -> None:
    """humfs E17."""
    assert found(W_PY, path) == []


@pytest.mark.parametrize(
    ("source", "path", "lines"),
    [
        ("x = lambda: f(1)\n", "x.body", "L1-L1"),
        ("def f():\n try:\n  a\n except E:\n  b\n", "f.try.otherwise.body", "L5-L5"),
        ("def f():\n for a in b:\n  c\n else:\n  d\n", "f.loop.otherwise", "L4-L5"),
        ("@dec(1)\nclass A:\n    x = f()\n", "A.body", "L3-L3"),
        ("@dec(1)\nclass A:\n    x = f()\n", "A.call", "L3-L3"),
    ],
)  # fmt: skip
def test_constructs_have_bodies_and_clauses(source: str, path: str, lines: str) -> None:
    assert found(source, path) == [(path, lines)]


def test_what_holds_no_block_has_no_body() -> None:
    assert found("x = y\n", "x.body") == []


def test_a_member_wins_over_the_alias_word_of_its_name() -> None:
    """humfs E18."""
    assert found(C_PY, "Client.call") == [("Client.call", "L2-L3")]
    assert found(C_PY, "Client.call.call") == [("Client.call.call", "L3-L3")]


def test_an_overload_set_counts_as_one_and_its_members_have_numbers() -> None:
    """humfs 7.3."""
    assert found(OVERLOADS, "f") == [("f", "L1-L6")]
    assert found(OVERLOADS, "f#2") == [("f#2", "L3-L4")]


def test_a_getter_and_its_setter_are_no_set() -> None:
    assert len(found(A_PY, "name")) == 2


def test_a_symbol_called_imports_is_reached_by_number() -> None:
    """humfs 7.6."""
    source = "import os\n\ndef imports(): ...\n"

    assert found(source, "imports") == [("imports", "L1-L1")]
    assert found(source, "imports#1") == [("imports#1", "L3-L3")]


def test_without_imports_the_import_block_is_not_found() -> None:
    assert found("x = 1\n", "imports") == []


def test_members_of_a_reopened_class_are_looked_up_in_all_of_it() -> None:
    source = "class A:\n    def f(self): ...\nclass A:\n    def g(self): ...\n"

    assert found(source, "A.g") == [("A#2.g", "L4-L4")]


def test_nearest_names_resemble_what_was_asked() -> None:
    language = language_of("x.py")
    assert language is not None
    outline = language.outline(A_PY.encode())

    near = lookup.nearest("Outer.nmae", ((one.name, one.path) for one in outline))

    assert near[0] == "Outer.name#1"


@given(st.text(max_size=60))
def test_any_text_is_a_path_or_finds_nothing(path: str) -> None:
    found(A_PY, path)


@given(st.text(alphabet="abc.#1`:", max_size=200))
def test_the_path_grammar_takes_no_long_time(path: str) -> None:
    found(A_PY, path)
