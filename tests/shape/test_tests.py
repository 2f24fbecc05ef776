"""Tests test: each one can fail."""

import ast
import re
from collections.abc import Iterator

import pytest
from tests.shape.tree import Source, sources

CHECKS = re.compile(r"(^|\.)_?(assert|expect|check|require|raises|fails?|warns|suppress)")
"""Calls that fail when something is not as it should be."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(source: Source) -> Iterator[Function]:
    return (node for node in source.nodes if isinstance(node, Function))


def asserts(
    function: Function, among: dict[str, Function], seen: frozenset[str] = frozenset()
) -> bool:
    """Whether it, or a function of the same file that it calls, says what may happen."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert | ast.Raise | ast.Try):
            return True
        if isinstance(node, ast.Call):
            name = str(getattr(node.func, "attr", getattr(node.func, "id", "")))
            if CHECKS.search(name):
                return True
            if name in among and name not in seen and asserts(among[name], among, seen | {name}):
                return True
    return False


def idle_tests(source: Source) -> list[str]:
    among = {function.name: function for function in functions(source)}
    tests = (function for function in among.values() if function.name.startswith("test_"))
    idle = (test for test in tests if not asserts(test, among) and not source.allows(test))
    return [f"{source.path}:{test.lineno}" for test in idle]


def test_every_test_can_fail() -> None:
    assert [place for source in sources("tests") for place in idle_tests(source)] == []


@pytest.mark.parametrize(
    ("body", "idle"),
    [
        ("def test_a():\n    run()", True),
        ("async def test_a():\n    'words'", True),
        ("def test_a():\n    helper()\ndef helper():\n    return 1", True),
        ("def test_a():\n    assert run()", False),
        ("def test_a():\n    with pytest.raises(E):\n        run()", False),
        ("def test_a():\n    helper()\ndef helper():\n    assert run()", False),
    ],
)
def test_a_test_that_cannot_fail_would_be_found(body: str, idle: bool) -> None:
    assert bool(idle_tests(Source.of("tests/test_x.py", body))) is idle


def test_a_test_does_not_sleep_to_wait() -> None:
    places = [
        f"{source.path}:{node.lineno}"
        for source in sources("tests")
        if source.path.name.startswith("test_")
        for node in source.nodes
        if isinstance(node, ast.Call)
        and source.dotted(node.func) in {"time.sleep", "asyncio.sleep", "anyio.sleep"}
        and node.args
        and not (isinstance(node.args[0], ast.Constant) and node.args[0].value == 0)
        and not source.allows(node)
    ]

    assert places == []
