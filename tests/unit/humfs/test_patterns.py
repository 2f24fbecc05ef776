"""RE2 syntax for Python's engine (humfs 5.9)."""

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from humfs.core import patterns
from humfs.errors import Code, Refusal


@pytest.mark.parametrize(
    ("pattern", "line", "found"),
    [
        ("os", "import os", True),
        ("(?i)OS", "import os", True),
        ("a(?i)b|c", "C", True),
        ("a(?i)b|c", "A", False),
        ("(?i:x)y", "Xy", True),
        ("(?i:x)y", "XY", False),
        (r"\bfoo\b", "a foo b", True),
        (r"\w", "é", False),
        (r"[\W]", "é", True),
        (r"[^\W]", "é", False),
        (r"[]a]", "]", True),
        ("[[:alpha:]_]+$", "ab_", True),
        (r"\Qa.b\E", "a.b", True),
        (r"\Qa.b\E", "axb", False),
        ("a{,3}", "a{,3}", True),
        ("^x{2,3}$", "xxx", True),
        ("(?P<n>a)(?<m>b)", "ab", True),
        (r"\x{1F600}\z", "😀", True),
        (r"\x41\t", "A\t", True),
        (r"[\d\-z]", "-", True),
        ("^$", "", True),
        ("{}", "{}", True),
        ("[a&&b]", "&", True),
    ],
)
def test_an_expression_means_what_it_means_in_re2(pattern: str, line: str, found: bool) -> None:
    assert bool(re.search(patterns.translate(pattern), line)) is found


@pytest.mark.parametrize(
    "pattern",
    [
        "(?=a)", "(?!a)", "(?<=a)", "(?<!a)", r"(a)\1", "(?P=n)", "a*+", "a**", "(?>a)", "(?x)a",
        "[b-a]", "(", ")", "[", "*a", "a{1001}", "\\", "x" * 1_001, "(" * 60 + ")" * 60, r"\k",
        r"\Z",
        "[[:nope:]]", r"\x{110000}", "(?P<a>x)(?P<a>y)",
    ],
)  # fmt: skip
def test_what_re2_has_not_is_refused_with_a_reason(pattern: str) -> None:
    with pytest.raises(Refusal) as refused:
        patterns.translate(pattern)

    assert refused.value.code is Code.BAD_PATTERN
    assert refused.value.hint


@given(st.text(max_size=40))
def test_any_text_is_an_expression_or_a_refusal(pattern: str) -> None:
    with contextlib.suppress(Refusal):
        re.compile(patterns.translate(pattern))


@given(st.text(alphabet="ab()|*+?[]^$.{}\\,1dwQE-:", max_size=25))
def test_any_syntax_is_an_expression_or_a_refusal(pattern: str) -> None:
    with contextlib.suppress(Refusal):
        re.compile(patterns.translate(pattern))


@given(st.text(max_size=20))
def test_quoted_text_finds_itself(text: str) -> None:
    quoted = patterns.translate("".join(f"\\x{{{ord(char):x}}}" for char in text))

    assert re.search(quoted, f"<{text}>")


def test_only_plain_text_is_a_literal() -> None:
    assert patterns.literal("def f") == "def f"
    assert patterns.literal("a.b") == ""
