"""What the file tool prints, read back as values."""

from hypothesis import given
from hypothesis import strategies as st

from workers.core.scout.views import (
    FileView,
    Hits,
    Listing,
    Place,
    Places,
    Problem,
    Row,
    Trouble,
    read_view,
)

CODE = '''=== ./src/oven.py ===
[120 bytes, 10 lines]
[python — 2 symbol(s)]
outline:
imports L3-L3
class Oven L6-L10
  method bake(self, loaves: int) -> int L9-L10
content:
     1\t"""Heat, kept in."""
     2\t'''
PROSE = """=== README.md ===
[900 bytes, 70 lines]
[markdown — 2 anchor(s)]
anchors:
§ # Bakery L1-L70
  § ## Setup L5-L70
preamble:
     1\t# Bakery
[69 more line(s); ask with "symbol", "query" or "pattern" for the rest]"""
LISTED = """=== 3 files ===
       120b     10L ./src/oven.py
        20b      ?L src/big.bin
[1 more files; narrow file_path to a directory or a glob]
[read one by its path; search them all with "symbol", "query" or "pattern"]"""
TOTALS = """=== 900 files ===
     500 files       123456b src/a
     400 files         1234b src
[too many to list: give one of these directories or a glob]"""
FOUND = """=== src/oven.py — 'Oven' (L6-L10) ===
     6\tclass Oven:
     7\t    pass
=== src/huge.py — 'Oven' (L1-L900) ===
outline:
method bake(self) L2-L3 (+2 inside)
[900 lines, too long to show; ask for one member: symbol "Oven.bake"]
src/x.py — class Oven.Inner L4"""
HITS = """[3 match(es) across 2 file(s)]
./src/oven.py:9 [method Oven.bake]\t    def bake(self):
src/x.py:4
[1 more match(es), not shown; narrow file_path or pattern]"""


def test_a_code_file_has_its_outline_and_content() -> None:
    assert read_view(CODE, is_error=False) == FileView(
        path="src/oven.py",
        lines=10,
        language="python",
        outline=(
            Row(0, "class", "Oven", "", 6, 10),
            Row(1, "method", "bake", "(self, loaves: int) -> int", 9, 10),
        ),
        content=('"""Heat, kept in."""', ""),
        is_whole=True,
    )


def test_a_text_file_has_its_headings_and_first_lines() -> None:
    view = read_view(PROSE, is_error=False)

    assert isinstance(view, FileView)
    assert view.headings == ("# Bakery", "  ## Setup")
    assert (view.lines, view.content, view.is_whole) == (70, ("# Bakery",), False)


def test_a_file_that_is_no_text_has_a_note() -> None:
    view = read_view("=== x.png ===\n[binary:image/png, 9 bytes]", is_error=False)

    assert isinstance(view, FileView)
    assert view.note == "[binary:image/png, 9 bytes]"


def test_a_listing_says_when_it_is_cut() -> None:
    assert read_view(LISTED, is_error=False) == Listing(
        count=3, files=(("src/oven.py", 10), ("src/big.bin", 0)), is_cut=True
    )
    assert read_view(TOTALS, is_error=False) == Listing(
        count=900, folders=(("src/a", 500), ("src", 400))
    )


def test_places_have_source_or_members_or_neither() -> None:
    assert read_view(FOUND, is_error=False) == Places(
        (
            Place("src/oven.py", "Oven", 6, 10, lines=("class Oven:", "    pass")),
            Place(
                *("src/huge.py", "Oven", 1, 900),
                members=(Row(0, "method", "bake", "(self)", 2, 3),),
            ),
            Place("src/x.py", "class Oven.Inner", 4, 4),
        )
    )


def test_hits_have_their_places() -> None:
    assert read_view(HITS, is_error=False) == Hits(
        3,
        2,
        (("src/oven.py:9 [method Oven.bake]", "    def bake(self):"), ("src/x.py:4", "")),
    )


def test_refusals_are_told_apart() -> None:
    outside = (
        "/x is outside the directories that may be touched (fs.roots: /a b (rw), /c (ro)).\nAsk."
    )
    no_path = (
        "redme.md does not exist (not found).\n"
        "The nearest directory that exists is /w; similar names in it: README.md, x"
    )
    no_symbol = "symbol 'Ofen' was not found in 3 file(s).\nNearest: class Oven (L6-L10 of ./o.py)"

    assert read_view(outside, is_error=True) == Problem(
        Trouble.OUTSIDE_ROOTS, outside, roots=("/a b", "/c")
    )
    assert read_view(no_path, is_error=True) == Problem(
        Trouble.NO_PATH, no_path, similar=("/w/README.md", "/w/x")
    )
    assert read_view(no_symbol, is_error=True) == Problem(
        Trouble.NO_SYMBOL, no_symbol, nearest=(Place("o.py", "class Oven", 6, 10),)
    )
    assert read_view("odd", is_error=True) == Problem(Trouble.OTHER, "odd")


@given(st.text(max_size=200), st.booleans())
def test_any_text_is_some_view(text: str, is_error: bool) -> None:
    assert read_view(text, is_error=is_error) is not None


@given(st.integers(0, 100), st.sampled_from([CODE, PROSE, LISTED, TOTALS, FOUND, HITS]))
def test_a_view_that_was_cut_anywhere_is_still_read(cut: int, text: str) -> None:
    assert read_view(text[: len(text) * cut // 100], is_error=False) is not None
