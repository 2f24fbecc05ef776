"""A module's changed statements compile alone only when the whole module does (humfs 8.5)."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.mutations import Mutation, mutated

from humfs.core.edits import gate, statements
from humfs.core.edits.draft import CodeFile, Draft
from humfs.core.languages.language import Revision
from humfs.core.languages.python import LANGUAGE as PYTHON
from humfs.core.text import Encoding, Span, Text

LINES = [
    *(b"import os", b"x = 1", b"y = 3", b"y: int = 3", b"global x", b"nonlocal x", b"return 1"),
    *(b"yield 1", b"await f()", b"break", b"# a comment", b"", b'"""doc"""', b"print 'a'"),
    *(b"from __future__ import annotations", b"from __future__ import division"),
    *(b"import __future__", b"# -*- coding: ascii -*-", b"# coding: latin-1", b"from os import *"),
    *(b"x = 1; y = 2", b"x = 1;", b"x = (1,\n  2)", b"s = '''a\nb'''", b"x = 1 \\", b"\\"),
    *(b"\x0c", b"    \x0cx = 1", b"\r", b"    q = 1", b"\tq = 1", b"x = '\xc3\xa9'", b"x = '\xe9'"),
    *(b"(x := 1)", b"[y := 1 for i in x]", b"f(a=1, a=2)", b"__debug__ = 1", b"x: (yield) = 1"),
    *(b"@property", b"if x:\n    pass", b"else:\n    pass", b"try:\n    pass", b"lambda: (yield)"),
    *(b"except ValueError:\n    x = 2", b"with x:\n    global y\n    y = 1"),
    *(b"def f(a):\n    return a", b"def g():\n    global x\n    x = 2", b"def d(a, a):\n    pass"),
    *(b"def k(a: (yield)):\n    pass", b"def l(a: (await z)) -> (yield):\n    pass"),
    *(b"class C:\n    y: int = 1\n\n    def m(self):\n        return self.y",),
    *(b"class D:\n    global x\n    x = 1", b"async def h():\n    await f()"),
    *(b"def o():\n    z = 1\n    def i():\n        nonlocal z\n        z = 2\n    return i",),
]
"""Statements that are right or wrong by themselves, or because of others."""
PADDING = b"def padding():\n    return 'it is longer than what changes'\n" * 30
"""Makes what changes the smaller part of a module."""


def drafted(source: bytes, made: Mutation) -> tuple[CodeFile, Draft]:
    outline = PYTHON.outline(source)
    new = PYTHON.outline(made.source, since=Revision(source, outline, made.old, made.new))
    file = CodeFile("x.py", Text(source, Encoding.UTF8), PYTHON, outline, lambda *_: outline)
    return file, Draft(made.source, new, gate.Change(made.old, made.new), made.new)


def replaced(source: bytes, old: bytes, new: bytes) -> Mutation:
    at = source.index(old)
    span, came = Span(at, at + len(old)), Span(at, at + len(new))
    return Mutation(source[:at] + new + source[at + len(old) :], span, came)


def module(dice: Random) -> bytes:
    return b"".join(dice.choice(LINES) + b"\n" for _ in range(dice.randrange(1, 9)))


def padded(dice: Random, source: bytes, made: Mutation) -> tuple[bytes, Mutation]:
    """The same change with more around it."""
    head = dice.choice([b"", b"from __future__ import annotations\n", PADDING, PADDING])
    tail = b"" if head.endswith(PADDING) else PADDING
    by = len(head)
    old, new = (Span(one.start + by, one.end + by) for one in (made.old, made.new))
    return head + source + tail, Mutation(head + made.source + tail, old, new)


def lines_changed(source: bytes, dice: Random) -> Mutation:
    """Whole lines of a module replaced by others."""
    starts = [at for at in range(len(source) + 1) if at == 0 or source[at - 1 : at] == b"\n"]
    start, end = sorted(dice.choices(starts, k=2))
    text = b"".join(dice.choice(LINES) + b"\n" for _ in range(dice.randrange(3)))
    new = Span(start, start + len(text))
    return Mutation(source[:start] + text + source[end:], Span(start, end), new)


def wrongly_passed(dice: Random) -> tuple[bool, bool]:
    """One change: whether its statements compile alone, and whether that was wrong."""
    source = module(dice)
    made = dice.choice([mutated, lines_changed, lines_changed])(source, dice)
    source, made = padded(dice, source, made)
    if not statements.compiles(*drafted(source, made)):
        return False, False
    is_broken = gate.compiled(made.source) is not None and gate.compiled(source) is None
    return True, is_broken


@settings(max_examples=300)
@given(dice=st.randoms(use_true_random=False))
def test_no_change_passes_that_breaks_a_module(dice: Random) -> None:
    assert not wrongly_passed(dice)[1]


@pytest.mark.soak
@pytest.mark.timeout(1_800)
def test_no_change_of_many_thousands_passes_that_breaks_a_module() -> None:
    dice = Random(11)

    outcomes = [wrongly_passed(dice) for _ in range(60_000)]

    assert sum(passed for passed, _ in outcomes) > 5_000
    assert not any(wrong for _, wrong in outcomes)


def test_control_statements_that_depend_on_others_would_be_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(statements, "_stands_alone", lambda *_: True)
    dice = Random(3)

    assert any(wrongly_passed(dice)[1] for _ in range(1_500))


@pytest.mark.parametrize(
    ("source", "old", "new"),
    [
        (b"x = 1\n", b"x = 1", b"x = 2"),
        (b"class C:\n    def m(self):\n        return 1\n", b"1", b"2"),
        (b"from __future__ import annotations\nx = 1\n", b"x = 1", b"def f(a: A) -> B: pass"),
        (b"def g():\n    global x\n    x = 1\ny = 2\n", b"y = 2", b"y = 3"),
        (b"# -*- coding: utf-8 -*-\nx = 1\n", b"x = 1", b"x = 2"),
        (b"x = 1\r\ny = 2\r\n", b"y = 2", b"y = 3"),
        (b"import os\nx = 1\n", b"x = 1\n", b""),
    ],
)
def test_statements_that_stand_alone_are_compiled_alone(
    source: bytes, old: bytes, new: bytes
) -> None:
    source += PADDING

    assert statements.compiles(*drafted(source, replaced(source, old, new)))


@pytest.mark.parametrize(
    ("source", "old", "new"),
    [
        (b"x = 1\n", b"x = 1", b"return 1"),
        (b"x = 1\n", b"x = 1", b"await f()"),
        (b"x = 1\n", b"x = 1", b"nonlocal x"),
        (b"import os\nx = 1\n", b"x = 1", b"from __future__ import division"),
        (b"import os\nfrom __future__ import division\n", b"import os", b"import sys"),
        (b"def f():\n    return 1\n", b"return 1", b"nonlocal z"),
        (b"def f():\n    x = 1\n", b"x = 1", b"x = 1; global x"),
        (b"z = 1\nif z:\n    y = 1\n", b"y = 1", b"global z"),
        (b"x = 1\nif z:\n    global y\ny = 2\n", b"x = 1", b"y = 1"),
        (b"y = 1\nx = 1\nif x:\n    global q\n", b"y = 1", b"q = 1"),
        (b"# coding: ascii\nx = 1\n", b"x = 1", "x = '\u00e9'".encode()),
        (b"x = 1\n", b"x = 1", b"print 'x'"),
        (b"x = 1\n", b"x = 1", b"x = 1 +"),
    ],
)
def test_a_module_that_the_compiler_refuses_never_passes(
    source: bytes, old: bytes, new: bytes
) -> None:
    source += PADDING
    made = replaced(source, old, new)
    assert gate.compiled(made.source) is not None

    assert not statements.compiles(*drafted(source, made))
