"""Python outlines (humfs 6.1 to 6.3, 7.4, 7.6)."""

import ast
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.humfs.examples import A_PY, A_PY_OUTLINE

from humfs.core import lookup, views
from humfs.core.languages import language_of
from humfs.core.languages.language import Language, ParseStopped
from humfs.core.symbols import Outline
from humfs.core.text import decode


def python() -> Language:
    language = language_of("x.py")
    assert language is not None
    return language


def outline_of(source: str) -> Outline:
    return python().outline(source.encode())


def rows(source: str) -> list[str]:
    block, _ = views.outline_block(outline_of(source), decode(source.encode()))
    return block.split("\n")


def test_a_module_with_all_kinds_has_exactly_these_rows() -> None:
    """humfs E01."""
    assert "\n".join(rows(A_PY)) == A_PY_OUTLINE


def test_an_empty_module_has_no_symbols() -> None:
    """humfs E09."""
    assert rows("") == ["(no symbols detected)"]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a = b = 1\n", ["var a L1-L1", "var b L1-L1"]),
        ("a, (B, *c) = 1\n", ["var a L1-L1", "const B L1-L1", "var c L1-L1"]),
        ("x: int\ny: str = ''\n", ["var x L1-L1", "var y L2-L2"]),
        ("type P = int\n", ["type P L1-L1"]),
        ("x.y = 1\nx[0] = 2\nx += 1\n", ["(no symbols detected)"]),
        ("def f():\n    x = 1\n    def g(): ...\n", ["fn f() L1-L3", "  fn g() L3-L3"]),
        ("if a:\n    def f(): ...\nelse:\n    f = 1\n", ["fn f#1() L2-L2", "var f#2 L4-L4"]),
        ("try:\n    import a\nexcept E:\n    a = None\n", ["var a L4-L4"]),
        ("with a:\n    for b in c:\n        class D: ...\n", ["class D L3-L3"]),
        ("match a:\n    case 1:\n        def f(): ...\n", ["fn f() L3-L3"]),
        ("def f(\n    a: int,  # why\n    *b,\n) -> str: ...\n", ["fn f(a: int, *b) -> str L1-L4"]),
        ("class A:\n    def m(self):\n        def n(): ...\n",
         ["class A L1-L3", "  method m(self) L2-L3", "    fn n() L3-L3"]),
    ],
)  # fmt: skip
def test_what_is_a_symbol(source: str, expected: list[str]) -> None:
    assert rows(source) == expected


@pytest.mark.parametrize(
    ("source", "span"),
    [
        ("# one\n# two\ndef f(): ...\n", "L1-L3"),
        ("# apart\n\n# near\n@dec\ndef f(): ...\n", "L3-L5"),
        ("#!/usr/bin/python\n# -*- coding: utf-8 -*-\n# mine\ndef f(): ...\n", "L3-L4"),
        ("#!/usr/bin/python\ndef f(): ...\n", "L2-L2"),
        ("x = 1  # of x\ndef f(): ...\n", "L2-L2"),
        ('"""\n# text"""\ndef f(): ...\n', "L3-L3"),
        ("class A:\n    # mine\n    def f(self): ...\n", "L2-L3"),
        ("def e():\n    pass\n    # of e\ndef f(): ...\n", "L4-L4"),
        ("# crlf\r\ndef f(): ...\r\n", "L1-L2"),
    ],
)
def test_a_full_span_takes_in_the_comments_directly_above(source: str, span: str) -> None:
    """humfs 7.4."""
    text = decode(source.encode())

    found = [one for one in outline_of(source) if one.name == "f"]

    assert [views.place(text, one.full) for one in found] == [span]


@pytest.mark.parametrize(
    ("source", "block"),
    [
        ('"""d"""\nimport a\n\n# c\nfrom b import c\nx = 1\nimport d\n', "L2-L5"),
        ("from __future__ import annotations\nimport a\n", "L1-L2"),
        ("x = 1\nimport a\n", "L2-L2"),
        ("if a:\n    import b\n", None),
    ],
)
def test_the_import_block_is_the_first_unbroken_run(source: str, block: str | None) -> None:
    """humfs 7.6."""
    imports = outline_of(source).imports

    shown = views.place(decode(source.encode()), imports) if imports else None

    assert shown == block


def test_a_long_signature_is_cut() -> None:
    row = rows(f"def f({', '.join(f'argument_{at}' for at in range(40))}): ...\n")[0]

    assert len(row) < 140
    assert "…" in row


def test_broken_source_still_gives_what_can_be_made_out() -> None:
    assert "fn g() L4-L5" in rows("def f(:\n    pass\n\ndef g():\n    pass\n")


def test_deep_nesting_is_no_trouble() -> None:
    source = (
        "".join(f"{' ' * depth}class C{depth}:\n" for depth in range(500)) + " " * 500 + "pass\n"
    )

    assert len(list(outline_of(source))) > 400


def test_a_parse_can_be_stopped() -> None:
    with pytest.raises(ParseStopped):
        python().outline(b"x = 1\n" * 200_000, lambda: True)


STANDARD_LIBRARY = sorted(Path(ast.__file__).parent.glob("[a-z]*.py"))[::8]


@pytest.mark.parametrize("path", STANDARD_LIBRARY, ids=lambda path: path.name)
def test_every_row_resolves_to_exactly_its_symbol_and_none_is_missing(path: Path) -> None:
    """humfs 11: rows resolve; recall against the interpreter's own parser is at least 99.5 %."""
    content = path.read_bytes()
    outline = python().outline(content)

    for symbol in outline:
        found = lookup.find(outline, symbol.path)
        assert [match.symbol for match in found] == [symbol], symbol.path
    known = {(one.name, one.declaration.start) for one in outline}
    wanted = defined_names(content)
    assert len(wanted & {name for name, _ in known}) >= 0.995 * len(wanted)


def defined_names(content: bytes) -> set[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in ast.walk(ast.parse(content)) if isinstance(node, kinds)}


@given(st.text(max_size=200))
def test_no_text_breaks_the_outline(source: str) -> None:
    text = decode(source.encode("utf-8", "replace"))

    for symbol in python().outline(text.source):
        assert 0 <= symbol.full.start <= symbol.declaration.start
        assert symbol.declaration.end <= symbol.full.end <= len(text.source)


def test_tests_of_new_syntax_need_no_new_interpreter() -> None:
    assert sys.version_info >= (3, 11)
    assert rows("def f[T](x: T) -> T: ...\n") == ["fn f(x: T) -> T L1-L1"]
