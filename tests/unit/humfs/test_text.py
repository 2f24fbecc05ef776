"""Encodings and lines (humfs 3.1 to 3.3)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from humfs.core.text import Encoding, Span, decode, is_binary


@pytest.mark.parametrize(
    ("content", "encoding", "first"),
    [
        ("é\n".encode(), Encoding.UTF8, "é"),
        (b"\xef\xbb\xbfa\n", Encoding.UTF8_MARK, "a"),
        (b"\xff\xfea\0\n\0", Encoding.UTF16_LE, "a"),
        (b"\xfe\xff\0a\0\n", Encoding.UTF16_BE, "a"),
        (b"a\xff\n", Encoding.BYTES, "a\ufffd"),
        (b"\xff\xfea", Encoding.BYTES, "\ufffd\ufffda"),
    ],
)
def test_bytes_become_text(content: bytes, encoding: Encoding, first: str) -> None:
    text = decode(content)

    assert text.encoding is encoding
    assert text.line(1) == first


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"a", ["a"]),
        (b"a\n", ["a"]),
        (b"a\r\nb\n\nc", ["a", "b", "", "c"]),
        (b"\n", [""]),
        (b"a\r", ["a\r"]),
        (b"\r\n\r\n", ["", ""]),
    ],
)
def test_lines_end_with_lf_or_crlf(content: bytes, lines: list[str]) -> None:
    text = decode(content)

    assert [text.line(at) for at in range(1, text.lines + 1)] == lines


def test_a_nul_makes_a_file_binary_unless_it_is_utf16() -> None:
    assert is_binary(b"a\0b")
    assert not is_binary(b"\xff\xfea\0")
    assert not is_binary(b"a" * 8_192 + b"\0")


@given(
    st.binary(max_size=100).filter(lambda content: content[:2] not in (b"\xff\xfe", b"\xfe\xff"))
)
def test_lines_and_offsets_agree(content: bytes) -> None:
    text = decode(content)

    for line in range(1, text.lines + 1):
        span = text.line_span(line)
        assert text.line_of(span.start) == line
        assert b"\n" not in text.source[span.start : span.end]
    whole = Span(0, len(text.source))
    assert text.last_line(whole) == max(1, text.lines)
