"""Paths as text (humfs 2.2)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from humfs.core import paths
from humfs.errors import Code, Refusal


def absolute(asked: str, cwd: str | None = None) -> str:
    return paths.absolute(asked, cwd=cwd, home="/home/u", first_root="/r")


@pytest.mark.parametrize(
    ("asked", "cwd", "expected"),
    [
        ("/a/b", None, "/a/b"),
        ("~", None, "/home/u"),
        ("~/x", "/w", "/home/u/x"),
        ("~other/x", None, "/r/~other/x"),
        ("x", None, "/r/x"),
        ("x", "/w", "/w/x"),
        ("x", "not absolute", "/r/x"),
        ("x", "hum://laptop/w", "/w/x"),
        ("x", "~/w", "/home/u/w/x"),
    ],
)
def test_what_a_path_means(asked: str, cwd: str | None, expected: str) -> None:
    assert absolute(asked, cwd) == expected


@pytest.mark.parametrize("asked", ["", "a\0b", "\ud800", "x" * 5_000])
def test_text_that_is_no_path_is_refused(asked: str) -> None:
    with pytest.raises(Refusal) as refused:
        absolute(asked)

    assert refused.value.code is Code.BAD_ARGS


def test_containment_is_by_whole_components() -> None:
    """humfs E143."""
    assert paths.contains("/r/app", "/r/app/f")
    assert not paths.contains("/r/app", "/r/app2/f")
    assert paths.contains("/", "/r")


@given(st.lists(st.sampled_from(["a", "b", ".", "..", ""]), max_size=8))
def test_the_normal_form_has_no_dots(parts: list[str]) -> None:
    normal = paths.normal("/" + "/".join(parts))

    assert normal.startswith("/")
    assert not {".", "..", ""} & set(normal[1:].split("/")) or normal == "/"
