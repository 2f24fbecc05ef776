"""What is shown, and its bounds (humfs 5.5 to 5.7)."""

from hypothesis import given
from hypothesis import strategies as st

from humfs.core import views
from humfs.core.languages import language_of
from humfs.core.symbols import Outline
from humfs.core.text import Span, decode


def outline_of(source: str) -> Outline:
    language = language_of("x.py")
    assert language is not None
    return language.outline(source.encode())


def facts(source: str) -> views.FileFacts:
    lines = decode(source.encode()).lines
    return views.FileFacts(path="x.py", size=len(source.encode()), lines=lines)


def test_a_file_that_fits_is_shown_whole() -> None:
    source = "x = 1\ny = 2\n"

    page = views.file_view(facts(source), decode(source.encode()), outline=outline_of(source))

    assert page.text() == (
        "=== x.py ===\n[12 bytes, 2 lines]\n[python — 2 symbol(s)]\noutline:\n"
        "var x L1-L1\nvar y L2-L2\ncontent:\n     1\tx = 1\n     2\ty = 2"
    )
    assert not page.truncated


def test_a_file_that_does_not_fit_shows_its_first_lines_and_says_how_to_go_on() -> None:
    source = "# line of some length, to fill the page\n" * 400

    page = views.file_view(facts(source), decode(source.encode()), outline=outline_of(source))

    assert page.truncated
    assert "preamble:\n     1\t" in page.text()
    assert "[380 more line(s);" in page.text()
    assert '"pattern"' in page.text()


def test_a_long_outline_is_folded_innermost_first() -> None:
    source = "".join(
        f"class Class{at}:\n" + "".join(f"    def method_{at}_{m}(self): ...\n" for m in range(20))
        for at in range(30)
    )

    block, folded = views.outline_block(outline_of(source), decode(source.encode()))

    assert folded
    assert len(block) <= views.OUTLINE_CHARS_MAX
    assert block.split("\n")[0] == "class Class0 L1-L21 (+20 inside)"
    assert len(block.split("\n")) == 30


def test_an_outline_of_a_thousand_functions_says_how_many_rows_it_left_out() -> None:
    source = "".join(f"def function_{at}(): ...\n" for at in range(1_000))

    block, folded = views.outline_block(outline_of(source), decode(source.encode()))

    assert folded
    assert len(block) <= views.OUTLINE_CHARS_MAX
    assert "more rows" in block.split("\n")[-1]


def test_a_symbol_too_long_to_show_gives_its_members_and_how_to_ask_for_one() -> None:
    """humfs E34."""
    members = "".join(
        f"    def method_{at}(self):\n" + "        x = 'some text to make it long'\n" * 16
        for at in range(30)
    )
    source = f"class Big:\n{members}"
    text, outline = decode(source.encode()), outline_of(source)
    page = views.Page()

    big = outline.symbols[0]
    shown = views.add_section(page, views.Section("x.py — 'Big'", text, big.full, big))

    assert shown
    assert page.truncated
    assert "  method" not in page.text().split("\n")[2]
    assert "method method_29(self)" in page.text()
    assert 'symbol "Big.method_0"' in page.text()


def test_control_characters_are_escaped() -> None:
    assert views.clean("a\x1b[31m\tb\n\u202e\ud800") == "a\\x1b[31m\tb\n\\u202e\ufffd"
    assert views.clean_name("a\nb") == "a\\x0ab"


def test_a_listing_never_shows_a_part_as_the_whole() -> None:
    files = [views.Listed(f"src/{'x' * 60}_{at}.py", 10, 1) for at in range(200)]

    page = views.listing(files)

    assert page.truncated
    assert "more files;" in page.text()
    assert page.text().startswith("=== 200 files ===\n        10b      1L src/")


@given(
    st.text(max_size=3_000).map(lambda text: text * 10),
    st.integers(min_value=1_000, max_value=9_000),
)
def test_no_view_exceeds_its_cap(source: str, cap: int) -> None:
    text = decode(source.encode("utf-8", "replace"))
    size = views.FileFacts(path="p", size=len(text.source), lines=text.lines)

    page = views.file_view(size, text, cap=cap)
    section = views.Section("p", text, Span(0, len(text.source)))
    other = views.Page(cap)
    views.add_section(other, section)

    assert len("\n".join(page.parts)) <= cap
    assert len("\n".join(other.parts)) <= cap
