"""Fuzzy queries (humfs 5.8)."""

import pytest

from humfs.core import ranking
from humfs.core.languages import language_of


def ranked(query: str, *names: str) -> list[str]:
    """The names that fit, best first."""
    language = language_of("x.py")
    assert language is not None
    outline = language.outline("".join(f"def {name}(): ...\n" for name in names).encode())
    scored = [(ranking.score(query, symbol), symbol.name) for symbol in outline]
    return [name for score, name in sorted((score, name) for score, name in scored if score)]


def test_ranks_go_from_equal_to_subsequence() -> None:
    """humfs E20."""
    names = ("handleRequest", "handle", "rehandle", "hxaxnxdxlxe", "other")

    assert ranked("handle", *names) == ["handle", "handleRequest", "rehandle", "hxaxnxdxlxe"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("run", ["run", "RUN"]),
        ("load", ["load_all", "pre_load", "upload"]),
        ("Req", ["handleReq", "handle_req"]),
        ("2b", ["a2b", "xxx2b_"]),
        ("abc", ["a_bc", "a_b_c"]),
        ("name", ["name", "the_name", "rename"]),
    ],
)
def test_the_better_name_comes_first(query: str, names: list[str]) -> None:
    assert ranked(query, *reversed(names)) == names


def test_two_letters_are_no_subsequence() -> None:
    assert ranked("ab", "a_b") == []


def test_a_class_comes_before_its_members() -> None:
    language = language_of("x.py")
    assert language is not None
    outline = language.outline(b"class TaskGroup:\n    def go(self): ...\n")

    scored = sorted((ranking.score("taskgrp", one), one.name) for one in outline)

    assert [name for _, name in scored] == ["TaskGroup", "go"]


def test_the_full_path_counts_too() -> None:
    language = language_of("x.py")
    assert language is not None
    outline = language.outline(b"class Outer:\n    def go(self): ...\n")

    assert all(ranking.score("outer.go", one) for one in outline if one.name == "go")
