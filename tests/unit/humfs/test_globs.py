"""Globs (humfs 5.3)."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from humfs.core import globs
from humfs.errors import Code, Refusal


def taken(pattern: str, path: str) -> bool:
    """Whether a glob takes a path below its base."""
    glob = globs.parse(pattern)
    state = glob.start()
    *directories, name = path.split("/")
    for directory in directories:
        state = glob.enter(state, directory)
    return glob.takes(state, name)


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*.ts", "a.ts", True),
        ("*.ts", ".dot.ts", True),
        ("*.ts", "b/c.ts", False),
        ("**/*.ts", "a.ts", True),
        ("**/*.ts", "b/c/d.ts", True),
        ("**/{c,d}.*", "b/d.py", True),
        ("**/{c,d}.*", "b/e.py", False),
        ("?.ts", "a.ts", True),
        ("?.ts", "ab.ts", False),
        ("**/[id]/*.tsx", "x/[id]/page.tsx", True),
        ("**/[id]/*.tsx", "x/i/page.tsx", False),
        ("*.TS", "a.ts", False),
        ("**", "a/b/c", True),
        ("a*/**/b", "ax/b", True),
        ("{a,b/c}/*.py", "b/c/x.py", True),
        ("{a,{b,c}}.py", "c.py", True),
        ("*a}b{c,d}", "xa}bd", True),
    ],
)
def test_what_a_glob_takes(pattern: str, path: str, expected: bool) -> None:
    """humfs E25, E26."""
    assert taken(pattern, path) is expected


def test_the_base_is_the_longest_part_without_a_wildcard() -> None:
    assert globs.parse("/w/src/[id]/**/*.py").base == "/w/src/[id]/"
    assert globs.parse("*.py").base == ""


@pytest.mark.parametrize("pattern", ["*/../x", "{a,..}/x", "a/{../..}/*"])
def test_a_glob_does_not_climb_after_its_wildcard(pattern: str) -> None:
    with pytest.raises(Refusal) as refused:
        globs.parse(pattern)

    assert refused.value.code is Code.BAD_ARGS


def test_alternatives_are_bounded() -> None:
    with pytest.raises(Refusal):
        globs.parse("{a,b}" * 12)


def test_many_stars_take_no_long_time() -> None:
    assert not globs.matches("a" * 255, "*a" * 100 + "b")


@given(st.text("ab.", max_size=12), st.text("ab.*?", max_size=8))
def test_matching_agrees_with_the_obvious_expression(name: str, pattern: str) -> None:
    wanted = "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern)

    assert globs.matches(name, pattern) == bool(re.fullmatch(wanted, name))
