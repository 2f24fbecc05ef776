"""From a question to looks to an answer, over a file tool that is a table."""

from collections.abc import Mapping

from workers.core.scout import answers, plans
from workers.core.scout.plans import Look, Step, next_step
from workers.core.scout.requests import read_request
from workers.core.scout.views import View, read_view

OVEN = '''=== src/oven.py ===
[120 bytes, 10 lines]
[python — 2 symbol(s)]
outline:
class Oven L6-L10
  method bake(self) L9-L10
const _SECRET L12-L12
content:
     1\t"""Heat, kept in. And out."""'''
INIT = '''=== src/__init__.py ===
[20 bytes, 1 lines]
[python — 0 symbol(s)]
outline:
(no symbols detected)
content:
     1\t"""All about baking."""'''
LISTING = """=== 2 files ===
       120b     10L src/oven.py
        20b      1L src/__init__.py
[read one by its path; search them all with "symbol", "query" or "pattern"]"""
PLACE = """=== src/oven.py — 'Oven' (L6-L7) ===
     6\tclass Oven:
     7\t    \"\"\"Gets hot.\"\"\""""
NO_ROOTS = "No path may be touched: fs.roots is empty."
OUTSIDE = "x is outside the directories that may be touched (fs.roots: /w (rw))."
NOTHING = "=== 0 files ===\n[read one by its path]"
NO_HITS = "[0 match(es) across 0 file(s)]"

Table = Mapping[Look, str]


def run(question: str, table: Table, *, errors: str = "no such look") -> tuple[str, list[Look]]:
    """Ask; return the answer and every look in order. What is not in the table is an error."""
    request, seen = read_request(question), dict[Look, View]()
    looks: list[Look] = []
    for _ in range(12):
        step = next_step(request, seen)
        if not step.looks:
            return step.text, looks
        looks += step.looks
        for look in step.looks:
            text = table.get(look)
            seen[look] = read_view(text or errors, is_error=text is None)
    raise AssertionError(f"no end: {looks}")


def missing(path: str, hint: str = "") -> str:
    return f"{path} does not exist (not found).\n{hint}"


def test_small_talk_needs_no_look() -> None:
    assert run("hi", {}) == (answers.GREETING, [])
    assert run("what can you do?", {}) == (answers.HELP, [])
    assert run("Write me a poem", {}) == (answers.UNCLEAR, [])


def test_a_folder_is_opened_and_its_files_are_named() -> None:
    paths = ("src/__init__.py", "src/oven.py")
    table = {Look(path="src"): LISTING, Look(path=paths[0]): INIT, Look(path=paths[1]): OVEN}

    text, looks = run("what does src define?", table)

    assert looks == [Look(path="src"), *(Look(path=path) for path in paths)]
    assert "`src` has 2 files. All about baking." in text
    assert "`src/oven.py` (10 lines): Heat, kept in.\n- class: `Oven`" in text
    assert "_SECRET" not in text


def test_several_files_are_looked_at_side_by_side() -> None:
    request = read_request("read a.py and b.py")

    assert next_step(request, {}) == Step(looks=(Look(path="a.py"), Look(path="b.py")))


def test_a_missing_file_is_looked_for_by_its_name() -> None:
    table = {
        Look(path="**/oven.py"): LISTING.replace("src/__init__.py", "a/b/oven.py"),
        Look(path="**/oven.py/*"): NOTHING,
        Look(path="src/oven.py"): OVEN,
    }

    text, _ = run("outline of lib/oven.py", table, errors=missing("lib/oven.py"))

    assert text.startswith("There is no `lib/oven.py`; I took `src/oven.py`.")
    assert "class `Oven`" in text


def test_a_file_in_other_letters_is_taken_at_once() -> None:
    hint = "The nearest directory that exists is /w; similar names in it: Oven.py"
    table = {Look(path="/w/Oven.py"): OVEN}

    text, looks = run("outline of oven.py", table, errors=missing("oven.py", hint))

    assert "class `Oven`" in text
    assert len(looks) == 2


def test_a_file_that_is_nowhere_is_said_to_be_missing() -> None:
    hint = "The nearest directory that exists is /w; similar names in it: other.py"
    nothing = {Look(path="**/oven.py"): NOTHING, Look(path="**/oven.py/*"): NOTHING}

    text, _ = run("outline of oven.py", nothing, errors=missing("oven.py", hint))

    assert "There is no `oven.py`" in text
    assert "`/w/other.py`" in text


def test_a_word_that_is_no_path_is_looked_for_as_a_symbol() -> None:
    globs = {Look(path=f"**/oven{end}"): NOTHING for end in ("", "/*", ".*")}
    table = {**globs, Look(path=".", symbol="oven"): PLACE.replace("Oven'", "oven'")}

    text, _ = run("explain oven", table, errors=missing("oven"))

    assert "`oven` is in `src/oven.py`, lines 6-7. Gets hot." in text


def test_a_symbol_is_looked_for_exactly_then_fuzzily_then_as_text() -> None:
    not_found = "symbol 'Ofen' was not found.\nNearest: class Oven (L6-L10 of ./src/oven.py)"
    table = {Look(path=".", pattern=r"\bOfen\b"): NO_HITS}

    text, looks = run("where is Ofen defined?", table, errors=not_found)

    assert looks == [
        Look(path=".", symbol="Ofen"),
        Look(path=".", query="Ofen"),
        Look(path=".", pattern=r"\bOfen\b"),
    ]
    assert "class `Oven` is in `src/oven.py`, lines 6-10" in text


def test_a_symbol_is_shown_from_the_file_that_was_named() -> None:
    table = {Look(path="src/oven.py"): OVEN, Look(path="src/oven.py", symbol="Oven"): PLACE}

    text, _ = run("show class Oven in src/oven.py", table)

    assert "```\nclass Oven:\n" in text


def test_a_look_outside_is_made_again_below_the_roots() -> None:
    table = {Look(path="/w", symbol="Oven"): PLACE}

    text, looks = run("where is Oven defined?", table, errors=OUTSIDE)

    assert looks[1] == Look(path="/w", symbol="Oven")
    assert "Gets hot." in text


def test_without_roots_the_mend_is_told() -> None:
    text, looks = run("read a.py", {}, errors=NO_ROOTS)

    assert "hum up --root DIR" in text
    assert len(looks) == 1


def test_a_text_is_searched_for_as_it_is() -> None:
    hits = "[1 match(es) across 1 file(s)]\na.py:1 [fn f]\t    x.y()"
    table = {Look(path=".", pattern=r"x\.y\("): hits}

    text, _ = run('search for "x.y("', table)

    assert "`x.y(` occurs once in 1 file:\n\n- `a.py:1 [fn f]` x.y()" in text


def test_files_are_found_by_name() -> None:
    table = {Look(path="**/oven.py"): LISTING, Look(path="**/oven.py/*"): NOTHING}

    text, _ = run("find the file oven.py", table)

    assert "- `src/oven.py`" in text


def test_the_readme_is_found_in_any_letters() -> None:
    readme = OVEN.replace("src/oven.py", "README.md")
    table = {
        Look(path="**/readme"): NOTHING,
        Look(path="**/readme/*"): NOTHING,
        Look(path="**/README.*"): readme,
        Look(path="README.md"): readme,
    }

    text, _ = run("show me readme", table, errors=missing("readme"))

    assert "`README.md` has 10 lines" in text


def test_looks_at_once_are_bounded() -> None:
    request = read_request("find a.py b.py c.py d.py")

    assert len(next_step(request, {}).looks) <= plans.LOOKS_MAX


def test_a_long_answer_is_cut_and_says_so() -> None:
    rows = "\n".join(f"     {n}\t{'x' * 400}" for n in range(1, 60))
    view = f"=== a.txt ===\n[9 bytes, 60 lines]\ncontent:\n{rows}"

    text, _ = run("read a.txt", {Look(path="a.txt"): view})

    assert len(text) < answers.ANSWER_CHARS_MAX + 100
    assert text.endswith("\n```\n\n(The rest is left out: ask for less at a time.)")


def test_an_odd_refusal_is_passed_on() -> None:
    text, _ = run("read a.txt", {}, errors="the disk is on fire")

    assert "the disk is on fire" in text
