"""Arguments of `humfs_read` (humfs 5.1)."""

import pytest

from humfs.core.args import read_args
from humfs.errors import Code, Refusal


def test_empty_and_null_count_as_absent_and_unknown_ones_are_named() -> None:
    args = read_args({"file_path": "a", "symbol": "", "query": None, "limit": 5, "offset": 1})

    assert (args.symbol, args.query, args.pattern) == ("", "", "")
    assert args.ignored == ("limit", "offset")


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (None, "file_path"),
        ("text", "file_path"),
        ([], "file_path"),
        ({}, "file_path"),
        ({"file_path": ""}, "file_path"),
        ({"file_path": 1}, "file_path"),
        ({"file_path": "a", "symbol": 1}, "symbol"),
        ({"file_path": "a", "symbol": "alpha", "pattern": "x"}, "symbol and pattern"),
    ],
)
def test_wrong_arguments_are_named(args: object, named: str) -> None:
    """humfs E24."""
    with pytest.raises(Refusal) as refused:
        read_args(args)

    assert refused.value.code is Code.BAD_ARGS
    assert named in refused.value.message


@pytest.mark.parametrize(
    ("args", "title"),
    [
        ({"file_path": "a"}, "a"),
        ({"file_path": "a", "symbol": "b"}, "symbol:b"),
        ({"file_path": "a", "query": "b"}, "query:b"),
        ({"file_path": "a", "pattern": "b"}, "pattern:b"),
    ],
)
def test_the_title_names_what_was_asked(args: dict[str, str], title: str) -> None:
    assert read_args(args).title == title
