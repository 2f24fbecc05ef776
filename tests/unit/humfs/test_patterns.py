"""Patterns, line by line (humfs 5.9)."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from humfs.core import patterns
from humfs.errors import Code, Refusal


def hits_of(pattern: str, *texts: bytes) -> list[tuple[int, patterns.Hit]]:
    batch = patterns.Batch()
    for file, text in enumerate(texts):
        batch.add(file, 1, text)
    return list(batch.hits(patterns.compiled(pattern)))


def lines_of(pattern: str, *texts: bytes) -> list[tuple[int, int]]:
    """File and line of each hit."""
    return [(file, hit.line) for file, hit in hits_of(pattern, *texts)]


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
    assert bool(lines_of(pattern, line.encode() + b"\n")) is found


@pytest.mark.parametrize(
    "pattern",
    [
        "(?=a)", "(?!a)", "(?<=a)", "(?<!a)", r"(a)\1", "(?P=n)", "a*+", "a**", "(?>a)", "(?x)a",
        "[b-a]", "(", ")", "[", "*a", "a{1001}", "\\", "x" * 1_001, r"\k",
        r"\Z",
        "[[:nope:]]", r"\x{110000}", r"\pL{999}",
    ],
)  # fmt: skip
def test_what_re2_has_not_is_refused_with_a_reason(pattern: str) -> None:
    with pytest.raises(Refusal) as refused:
        patterns.compiled(pattern)

    assert refused.value.code is Code.BAD_PATTERN
    assert refused.value.hint


@pytest.mark.parametrize(
    ("pattern", "text", "lines"),
    [
        ("a", b"a\nb\na", [1, 3]),
        ("a", b"aaa\na a\n", [1, 2]),
        ("^b", b"ab\nb\n", [2]),
        ("b$", b"ab\nba\r\nab\r\n", [1, 3]),
        ("^$", b"a\n\n\nb\n", [2, 3]),
        ("x*", b"a\nb", [1, 2]),
        (r"a\s+b", b"a\nb\na b\n", [3]),
        (r"[^x]b", b"a\nb\nab\n", [3]),
        ("(?s)a.b", b"a\nb\n", []),
        (r"\Ab", b"ab\nb\n", [2]),
        (r"a\z", b"ab\na\nba", [2, 3]),
        ("(?-m)^b$", b"ab\nb\n", [2]),
        ("\xe9", b"caf\xc3\xa9\n", [1]),
        ("b", b"\xff\xfeb\n", [1]),
        ("a", b"", []),
        ("", b"", []),
        ("", b"\n", [1]),
    ],
)
def test_lines_match_one_by_one(pattern: str, text: bytes, lines: list[int]) -> None:
    assert lines_of(pattern, text) == [(0, line) for line in lines]


def test_files_of_a_batch_keep_their_lines_apart() -> None:
    texts = [b"a\nx", b"", b"x\n\nxa\n", b"b\n", b"a"]

    assert lines_of("a", *texts) == [(0, 1), (2, 3), (4, 1)]
    assert lines_of("^$", *texts) == [(2, 2)]
    assert lines_of(r"x\z", *texts) == [(0, 2), (2, 1)]


def test_a_hit_knows_where_it_is_in_its_line() -> None:
    ((_, hit),) = hits_of("needle", ("\xe9" * 2_000 + "needle" + "\xe9" * 2_000).encode())

    assert (hit.byte, hit.text[hit.char :][:6]) == (4_000, "needle")
    assert len(hit.text) == patterns.LINE_CHARS_MAX
    assert hit.before + len(hit.text) + hit.after == 4_006


@given(st.text(max_size=60))
def test_any_text_is_an_expression_or_a_refusal(pattern: str) -> None:
    with contextlib.suppress(Refusal):
        hits_of(pattern, b"some text\nand more\n")


@given(st.text(alphabet="ab()[]{}|*+?^$.\\-,0123:<>P=!isUmQEdwpL", max_size=40))
def test_any_syntax_is_an_expression_or_a_refusal(pattern: str) -> None:
    with contextlib.suppress(Refusal):
        hits_of(pattern, b"aab\n\nb01\n")


@given(
    st.lists(st.binary(max_size=60), max_size=5), st.sampled_from(["a", "^", "$", r"\W", "\xe9"])
)
def test_a_batch_finds_what_each_file_by_itself_has(texts: list[bytes], pattern: str) -> None:
    alone = [(file, line) for file, text in enumerate(texts) for _, line in lines_of(pattern, text)]

    assert lines_of(pattern, *texts) == alone


@given(
    st.text(
        alphabet=st.characters(exclude_characters="\n\r", codec="utf-8"), min_size=1, max_size=90
    )
)
def test_quoted_text_finds_itself(text: str) -> None:
    quoted = "".join(f"\\x{{{ord(char):x}}}" for char in text)

    assert lines_of(quoted, text.encode()) == [(0, 1)]
