"""scout's words for what it saw."""

from workers.core.scout import answers
from workers.core.scout.requests import Aim
from workers.core.scout.views import (
    FileView,
    Hits,
    Listing,
    Place,
    Places,
    Problem,
    Row,
    Trouble,
)

OVEN = FileView(path="oven.py", lines=9, language="python", content=("# Heat, kept", "# in."))


def about(aim: Aim, view: FileView | Listing | Places, path: str = "x") -> str:
    return answers.about(aim, path, view, asked=path)


def test_a_listing_is_gathered_by_its_direct_folders() -> None:
    files = (("src/a/x.py", 1), ("src/a/b/y.py", 2), ("src/c/z.py", 3), ("src/top.py", 4))

    text = about(Aim.LIST, Listing(count=4, files=files), "src")

    assert text == ("`src` has 4 files:\n\n- `a/` (2 files)\n- `c/` (1 file)\n- `top.py` (4 lines)")


def test_totals_are_gathered_alike_and_a_cut_is_told() -> None:
    folders = (("src/a", 500), ("src/a/b", 20), ("src", 3))

    text = about(Aim.LIST, Listing(count=523, folders=folders, is_cut=True), "src")

    assert "- `a/` (520 files)" in text
    assert "not complete" in text


def test_a_long_list_says_how_much_is_left_out() -> None:
    files = tuple((f"f{number:03}.py", 1) for number in range(2 * answers.ROWS_MAX + 7))

    assert "and 7 more" in about(Aim.LIST, Listing(count=len(files), files=files), ".")


def test_empty_things_are_said_to_be_empty() -> None:
    assert about(Aim.LIST, Listing(count=0)) == "`x` has no files."
    assert about(Aim.READ, FileView(path="x", lines=0)) == "`x` is empty."


def test_what_is_no_text_is_said_to_be_none() -> None:
    assert "is no text" in about(Aim.READ, FileView(path="x", lines=0, note="[image:png]"))


def test_a_comment_at_the_top_tells_what_a_file_is() -> None:
    assert about(Aim.EXPLAIN, OVEN) == "`oven.py` has 9 lines of python. Heat, kept in."


def test_quoted_text_keeps_its_own_fences() -> None:
    view = FileView(path="x.md", lines=3, content=("```", "a", "```"), is_whole=True)

    assert "````\n```\na\n```\n````" in about(Aim.READ, view)


def test_many_headings_are_cut() -> None:
    headings = tuple(f"# {number}" for number in range(answers.ROWS_MAX + 2))

    text = about(Aim.EXPLAIN, FileView(path="x.md", lines=99, headings=headings))

    assert text.endswith("- and 2 more")


def test_an_outline_shows_two_levels() -> None:
    rows = (
        Row(0, "class", "A", "", 1, 9),
        Row(1, "method", "b", "()", 2, 8),
        Row(2, "fn", "c", "()", 3, 4),
    )

    text = about(Aim.OUTLINE, FileView(path="x.py", lines=9, language="python", outline=rows))

    assert "- class `A` lines 1-9\n  - method `b()` lines 2-8\n- and 1 more inside" in text


def test_a_symbol_too_long_to_quote_is_told_by_its_members() -> None:
    place = Place("x.py", "A", 1, 900, members=(Row(0, "method", "b", "()", 2, 8),))

    text = answers.symbol(Aim.EXPLAIN, "A", Places((place,)))

    assert text == "`A` is in `x.py`, lines 1-900. It has:\n\n- method `b()` lines 2-8"


def test_a_symbol_that_is_only_resembled_is_not_claimed() -> None:
    text = answers.symbol(Aim.FIND, "A", Places((Place("x.py", "class Ab", 3, 3),)))

    assert text == ("I found no `A`. The nearest names:\n\n- class `Ab` is in `x.py`, line 3")


def test_further_places_of_a_symbol_are_listed() -> None:
    places = tuple(Place(f"{n}.py", "fn main", n, n) for n in range(1, 4))

    text = answers.symbol(Aim.FIND, "main", Places(places))

    assert (
        "function `main` is in `1.py`, line 1.\n\nAlso:\n\n- function `main` is in `2.py`" in text
    )


def test_a_long_symbol_says_how_much_follows() -> None:
    lines = tuple(str(n) for n in range(answers.SHOWN_LINES_MAX + 3))

    text = answers.symbol(Aim.SHOW, "a", Places((Place("x.py", "a", 1, 99, lines),)))

    assert text.endswith("(3 more lines follow.)")


def test_a_name_without_a_definition_is_told_by_its_uses() -> None:
    text = answers.symbol(Aim.FIND, "a", Hits(30, 2, tuple((f"x.py:{n}", "a") for n in range(30))))

    assert text.startswith("I found no definition of `a`. `a` occurs 30 times in 2 files")
    assert text.endswith("- and 6 more")


def test_a_text_that_occurs_nowhere_and_a_name_that_is_nowhere_are_told() -> None:
    assert "occurs nowhere" in answers.hits("a", Hits(0, 0, ()))
    assert "no file or folder named `a`" in answers.found("a", [])
    assert "and 1 more" in answers.found("a", [str(n) for n in range(answers.ROWS_MAX + 1)])


def test_refusals_are_told_wherever_they_come() -> None:
    problem = Problem(Trouble.OTHER, "on fire")

    assert "on fire" in answers.hits("a", problem)
    assert "on fire" in answers.symbol(Aim.FIND, "a", problem)
    assert "`/a`" in answers.problem("x", Problem(Trouble.OUTSIDE_ROOTS, "", roots=("/a",)))


def test_a_folder_without_symbols_says_so_for_an_outline() -> None:
    readme = FileView(path="d/README.md", lines=3, content=("# T", "Bakes. And more.", "x"))
    files = (("d/README.md", 3), ("d/data.csv", 2))

    text = answers.folder(Aim.OUTLINE, "d", Listing(count=2, files=files), [readme])

    assert text.startswith("`d` has 2 files. Bakes.")
    assert "Not opened: 1 more: `d/data.csv`." in text
    assert text.endswith("None of the files that I opened defines symbols that I can read.")


def test_names_past_the_bound_are_counted() -> None:
    rows = tuple(Row(0, "fn", f"f{n}", "()", n, n) for n in range(answers.NAMES_MAX + 2))
    view = FileView(path="d/x.py", lines=3, language="python", outline=rows)

    text = answers.folder(Aim.EXPLAIN, "d", Listing(count=1, files=(("d/x.py", 3),)), [view])

    assert "and 2 more" in text
