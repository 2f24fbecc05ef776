"""Odd files and odd arguments: what is asked happens, or the answer says why not (humfs 3, 9.8)."""

import errno
import os
from pathlib import Path
from unicodedata import normalize

import pytest
from tests.support.humfs import Tools

from humfs.edge.roots import refused_by_system
from humfs.tools.tool import Call, Result

pytestmark = pytest.mark.process

NAME = "na\u00efve"
COMPOSED, DECOMPOSED = normalize("NFC", NAME), normalize("NFD", NAME)


def refused(result: Result, code: str, *said: str) -> None:
    assert result.is_error
    assert result.metadata["error"] == code
    for one in said:
        assert one in result.output


@pytest.mark.parametrize("unknown", [["limit"], ["a\nb"], [f"n{at}" for at in range(20)]])
def test_what_no_tool_has_is_named_where_a_model_sees_it(
    tools: Tools, root: Path, unknown: list[str]
) -> None:
    (root / "a.txt").write_text("one\n")
    call = Call(sid="s", call_id="c", tool="humfs_read", args={})
    plain = tools.read("a.txt")

    done = tools.read("a.txt", **dict.fromkeys(unknown, "5"))

    assert plain.body(call)["output"] == plain.output
    told = done.body(call)["output"].removeprefix(done.output)
    assert told.startswith("\n[ignored, humfs_read has no such argument: ")
    assert told.count("\n") == 1
    assert len(told) < 200


def test_a_file_that_is_empty_takes_its_first_lines(tools: Tools, root: Path) -> None:
    file = root / "a.py"
    file.write_bytes(b"\xef\xbb\xbf")

    done = tools.code("a.py", symbol="imports", new_source="import os")

    assert file.read_bytes() == b"\xef\xbb\xbfimport os\n"
    assert "@@ -0,0 +1 @@\n+import os" in done.output


def test_a_file_that_loses_its_last_line_is_empty(tools: Tools, root: Path) -> None:
    (root / "a.py").write_text("x = 1\n")

    done = tools.code("a.py", operation="delete", symbol="x")

    assert (root / "a.py").read_bytes() == b""
    assert "@@ -1 +0,0 @@\n-x = 1" in done.output


def test_a_long_text_in_an_empty_file_is_shown_from_its_first_line(
    tools: Tools, root: Path
) -> None:
    (root / "a.txt").write_text("")

    done = tools.text("a.txt", replace="line\n" * 700)

    assert "@@ -0,0 +1,700 @@" in done.output


@pytest.mark.parametrize(("written", "asked"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
def test_a_name_is_found_however_its_letters_are_composed(
    tools: Tools, root: Path, written: str, asked: str
) -> None:
    (root / "a.py").write_text(f"class A:\n    def {written}(self):\n        return 1\n")

    shown = tools.read("a.py", symbol=f"A.{asked}")
    done = tools.code("a.py", symbol=f"A.{asked}.body", new_source="return 2")

    assert f"A.{written}" in shown.output
    assert not done.is_error
    assert f"def {written}(self):\n        return 2\n" in (root / "a.py").read_text()


def test_a_name_that_is_written_twice_is_the_one_that_is_asked_for(
    tools: Tools, root: Path
) -> None:
    (root / "a.js").write_text(f"function {COMPOSED}() {{}}\nfunction {DECOMPOSED}() {{}}\n")

    assert "(L1-L1)" in tools.read("a.js", symbol=COMPOSED).output
    assert "(L2-L2)" in tools.read("a.js", symbol=DECOMPOSED).output


def test_a_yaml_alias_keeps_the_anchor_it_needs(tools: Tools, root: Path) -> None:
    """humfs 9.8."""
    before = "base: &base\n  x: &x 1\nuse:\n  <<: *base\n  y: *x\n---\nother: 1\n"
    (root / "a.yaml").write_text(before)

    refused(tools.text("a.yaml", phrase="base.x", replace="2"), "corrupt", "line 5", "*x")
    refused(tools.text("a.yaml", paragraph="x: &x 1"), "corrupt", "line 2", "*base")
    refused(tools.text("a.yaml", phrase="other", replace="*x"), "corrupt", "line 7", "NOT modified")
    assert (root / "a.yaml").read_text() == before
    assert not tools.text("a.yaml", phrase="base.x", replace="&x 2").is_error
    assert not tools.text("a.yaml", phrase="use.y", replace="*x # still").is_error


def test_the_lines_of_an_ini_entry_go_together(tools: Tools, root: Path) -> None:
    """humfs 9.5."""
    (root / "a.ini").write_text("[s]\nk = v\n  goes on\nl = w\n")

    shown = tools.read("a.ini", symbol="s.k")
    done = tools.text("a.ini", sentence="goes on")

    assert "goes on" in shown.output
    assert not done.is_error
    assert (root / "a.ini").read_text() == "[s]\nl = w\n"


def test_what_is_commented_out_of_markdown_stays_whole(tools: Tools, root: Path) -> None:
    (root / "a.md").write_text("## A\n\nold\n\n<!--\n## B\n-->\n\n## C\n")

    tools.text("a.md", phrase="## A", replace="new")

    assert (root / "a.md").read_text() == "## A\n\nnew\n\n## C\n"


def test_a_comment_on_how_a_file_is_read_stays_first(tools: Tools, root: Path) -> None:
    (root / "a.rb").write_text("# frozen_string_literal: true\nclass A\nend\n")

    tools.code("a.rb", operation="insert_before", symbol="A", new_source="class B\nend")
    tools.code("a.rb", operation="delete", symbol="A")

    assert (root / "a.rb").read_text() == "# frozen_string_literal: true\nclass B\nend\n"


@pytest.mark.parametrize("bad", ["a\0b", "\ud800"], ids=["nul", "surrogate"])
def test_text_that_makes_a_file_binary_is_refused(tools: Tools, root: Path, bad: str) -> None:
    (root / "a.txt").write_text("hello\n")
    (root / "a.py").write_text("x = 1\n")

    refused(tools.text("a.txt", word="hello", replace=bad), "bad_args", "replace")
    refused(tools.code("a.py", symbol="x", new_source=f"x = '{bad}'"), "bad_args", "new_source")
    assert (root / "a.txt").read_text() == "hello\n"


def test_half_a_character_is_no_pattern(tools: Tools, root: Path) -> None:
    (root / "a.txt").write_text("hello\n")

    refused(tools.read("a.txt", pattern="\ud800"), "bad_args", "pattern", "half a character")


def test_half_a_character_is_no_path(tools: Tools) -> None:
    bad = "a\ud800.py"

    refused(tools.read(bad), "bad_args", "file_path", "half a character", "such as src/app.py")
    refused(tools.code(bad, new_source="x = 1"), "bad_args", "file_path", "half a character")
    refused(tools.text(bad, replace="x"), "bad_args", "file_path", "half a character")


LONG = "x" * 100_000


@pytest.mark.parametrize(
    ("tool", "args", "said"),
    [
        ("humfs_read", {"file_path": "a.py", "symbol": LONG}, "symbol is longer"),
        ("humfs_read", {"file_path": "a.py", "query": LONG}, "query is longer"),
        ("humfs_do_code", {"file_path": "a.py", "symbol": LONG, "new_source": "y"}, "symbol is"),
        ("humfs_do_code", {"file_path": "a.py", "new_source": "y = 1\n", "line": 1}, "'line'"),
        ("humfs_do_noncode", {"file_path": "a.txt", "replace": "y", "line": 1}, "'line'"),
        ("humfs_do_noncode", {"file_path": "new/", "replace": "y"}, "names a directory"),
        (
            "humfs_do_noncode",
            {"file_path": "a.txt", "operation": "move", "new_path": "new/"},
            "names a directory",
        ),
        ("humfs_read", {"file_path": "**/" * 65 + "x"}, "at most 64 names"),
    ],
)
def test_what_is_asked_amiss_is_named_in_few_words_and_changes_nothing(
    tools: Tools, root: Path, tool: str, args: dict[str, str], said: str
) -> None:
    (root / "a.py").write_text("x = 1\n")
    (root / "a.txt").write_text("one\n")

    result = tools.call(tool, args)

    refused(result, "bad_args", said)
    assert len(result.output) < 500
    assert {path.name: path.read_text() for path in root.iterdir()} == {
        "a.py": "x = 1\n",
        "a.txt": "one\n",
    }


@pytest.mark.parametrize("length", [3, 1_000, 4_000])
def test_a_query_of_any_length_that_is_taken_finds_or_says_no(
    tools: Tools, root: Path, length: int
) -> None:
    (root / "a.py").write_text("x = 1\n")

    refused(tools.read("a.py", query=("k_s" * length)[:length]), "symbol_not_found")


def test_below_a_file_nothing_can_be_made_and_that_is_said(tools: Tools, root: Path) -> None:
    (root / "a.txt").write_text("one\n")

    for done in (
        tools.text("a.txt/b/c.txt", replace="x"),
        tools.code("a.txt/b.py", operation="create", new_source="x = 1\n"),
        tools.text("a.txt", operation="move", new_path="a.txt/b.txt"),
    ):
        refused(done, "not_found", "A name on the way to it is a file")
    assert (root / "a.txt").read_text() == "one\n"


def test_code_over_the_symbol_bound_is_neither_made_nor_put_in_a_file(
    tools: Tools, root: Path
) -> None:
    (root / "a.py").write_text("x = 1\n")
    large = "#" * 5 * 1024 * 1024 + "\n"

    refused(tools.code("b.py", operation="create", new_source=large), "too_large", "5242880")
    refused(tools.code("a.py", new_source=large), "too_large", "5242880")
    assert [path.read_text() for path in root.iterdir()] == ["x = 1\n"]


def test_a_binary_file_says_so_when_asked_for_a_symbol(tools: Tools, root: Path) -> None:
    (root / "a.py").write_bytes(b"def a(): '\0'\n")
    (root / "t.txt").write_bytes(b"one\n\0")

    for path, symbol in (("a.py", "a"), ("a.py", "L1-L2"), ("t.txt", "L1-L2")):
        refused(tools.read(path, symbol=symbol), "symbol_not_found", "binary", "first bytes")


def test_what_a_refusal_shows_of_a_file_steers_nothing(tools: Tools, root: Path) -> None:
    (root / "a.js").write_text("function a() {}\n")

    result = tools.code("a.js", symbol="a", new_source="function a() { \x1b[2J }")

    refused(result, "syntax")
    assert "\x1b" not in result.output + str(result.metadata)
    assert "\\x1b[2J" in result.output


def test_a_broken_file_that_stays_broken_is_overwritten_and_that_is_said(
    tools: Tools, root: Path
) -> None:
    """humfs 9.8."""
    (root / "a.json").write_text("")

    done = tools.text("a.json", replace="{")

    assert not done.is_error
    assert "not well-formed json" in done.output


@pytest.mark.parametrize(
    "number",
    [
        errno.EACCES,
        errno.EROFS,
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EXDEV,
        errno.ELOOP,
        errno.ENAMETOOLONG,
    ],
)
def test_what_the_system_does_not_let_us_write_is_refused_with_a_mend(number: int) -> None:
    refusal = refused_by_system("a.py", OSError(number, os.strerror(number)), writing=True)

    assert refusal.message == f"a.py cannot be written: {os.strerror(number)}."
    assert refusal.hint
