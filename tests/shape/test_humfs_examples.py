"""The table of acceptance examples of the file tools leaves none out and tells the truth."""

import ast
import re
from functools import cache
from typing import NamedTuple

import pytest
from tests.shape.tree import ROOT
from tests.unit.humfs import code_examples, noncode_examples

TABLE = ROOT / "tests" / "unit" / "humfs" / "ACCEPTANCE.md"
EXAMPLES = 150
_ROW = re.compile(r"^\| E(\d+) \| (.+?) \| (.*) \|$")
_TEST = re.compile(r"`([\w/]+\.py)::(\w+)`")
_NAMED = re.compile(r"\bE(\d+)(?: to E(\d+))?")


class Row(NamedTuple):
    """One example."""

    number: int
    tests: list[tuple[str, str]]


def rows() -> list[Row]:
    found = (_ROW.match(line) for line in TABLE.read_text().splitlines())
    return [Row(int(row[1]), _TEST.findall(row[3])) for row in found if row]


@cache
def named_by(file: str) -> dict[str, set[int]]:
    """The examples that each test of a file names in its docstring."""
    tree = ast.parse((ROOT / "tests" / file).read_text())
    tests = (
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    return {test.name: numbers(ast.get_docstring(test) or "") for test in tests}


def numbers(text: str) -> set[int]:
    """The examples a text names: E14, or all from E35 to E81."""
    text = re.sub(r"[Ff]eatures E\d+", "", text)
    spans = ((int(first), int(last or first)) for first, last in _NAMED.findall(text))
    return {number for first, last in spans for number in range(first, last + 1)}


def test_every_example_is_in_the_table_once() -> None:
    assert [row.number for row in rows()] == list(range(1, EXAMPLES + 1))


def test_every_example_is_run_by_a_test_that_names_it() -> None:
    wrong = [
        (row.number, file, test)
        for row in rows()
        for file, test in row.tests
        if row.number not in named_by(file).get(test, set())
    ]

    assert wrong == []
    assert [row.number for row in rows() if not row.tests] == []


def test_the_examples_that_are_data_are_all_there() -> None:
    given = [one.row for one in (*code_examples.EXAMPLES, *noncode_examples.EXAMPLES)]

    assert set(given) == {f"E{at}" for at in (*range(35, 82), *range(85, 131))}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("humfs E14.", {14}),
        ("humfs E35 to E37, E40.", {35, 36, 37, 40}),
        ("Features E2; humfs E04.", {4}),
        ("nothing", set()),
    ],
)
def test_a_docstring_is_read_like_this(text: str, expected: set[int]) -> None:
    assert numbers(text) == expected
