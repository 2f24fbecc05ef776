"""`humfs_do_code` on real files (humfs 8, 12.3)."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.support.humfs import Tools
from tests.unit.humfs.code_examples import EXAMPLES, Example

pytestmark = pytest.mark.process


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: f"{one.row} {one.rule}")
def test_the_acceptance_example_holds(tools: Tools, root: Path, example: Example) -> None:
    """humfs E35 to E81."""
    file = root / example.args["file_path"]
    if example.before is not None:
        file.write_bytes(example.before.encode())

    result = tools.call("humfs_do_code", example.args)

    expected = example.before if example.after is None else example.after
    assert result.metadata.get("error", "") == example.error, result.output
    assert result.is_error is (example.after is None)
    assert (file.read_bytes().decode() if file.exists() else None) == expected
    assert list(root.rglob(".hum-*")) == []


A_VUE = (
    "<script setup lang=\"ts\">\nimport { ref } from 'vue'\nconst count = ref(0)\n"
    "function inc(): void { count.value++ }\n</script>\n\n<template>\n"
    "  <div id=\"app\">\n    <MyButton v-if=\"count < 3\">{{ count < 3 ? 'a' : 'b' }}</MyButton>\n"
    '  </div>\n</template>\n\n<style scoped lang="scss">\n.link { color: red; }\n'
    "#hero { top: 0; }\n@media (min-width: 1.5em) { .link { color: blue; } }\n</style>\n"
)


def changed_lines(before: str, after: str) -> list[tuple[int, str]]:
    """The lines of `after` that differ, when no line was added."""
    pairs = zip(before.splitlines(), after.splitlines(), strict=True)
    return [(number, new) for number, (old, new) in enumerate(pairs, start=1) if old != new]


@pytest.mark.parametrize(
    ("symbol", "source", "line"),
    [
        ("script.inc", "function inc(): void { count.value += 2 }", 4),
        ("style.link", ".link { color: green; }", 14),
        ("style.@media (min-width: 1.5em).link", ".link { color: gray; }", 16),
    ],
)
def test_parts_of_a_component_are_edited_in_place(
    tools: Tools, root: Path, symbol: str, source: str, line: int
) -> None:
    """humfs E82."""
    (root / "a.vue").write_text(A_VUE)

    result = tools.code("a.vue", symbol=symbol, new_source=source)

    assert not result.is_error, result.output
    changed = changed_lines(A_VUE, (root / "a.vue").read_text())
    assert [number for number, _ in changed] == [line]
    assert source in changed[0][1]


def test_a_component_gets_new_lines_where_they_belong(tools: Tools, root: Path) -> None:
    """humfs E82."""
    (root / "a.vue").write_text(A_VUE)

    footer = tools.code(
        "a.vue", symbol="template.div#app", operation="insert_after", new_source="<Footer/>"
    )
    imports = tools.code(
        "a.vue",
        symbol="script.imports",
        operation="insert_after",
        new_source="import { computed } from 'vue'",
    )

    assert not footer.is_error, footer.output
    assert not imports.is_error, imports.output
    lines = A_VUE.splitlines(keepends=True)
    lines.insert(10, "  <Footer/>\n")
    lines.insert(2, "import { computed } from 'vue'\n")
    assert (root / "a.vue").read_text() == "".join(lines)


def test_a_script_is_checked_in_its_own_language(tools: Tools, root: Path) -> None:
    """humfs E82."""
    (root / "a.vue").write_text(A_VUE)

    broken = tools.code("a.vue", symbol="script.inc", new_source="function inc( {")

    assert broken.metadata["error"] == "syntax"
    assert (root / "a.vue").read_text() == A_VUE


TWO = "def a():\n    return 1\n\n\ndef b():\n    return 2\n"


def test_edits_of_two_symbols_at_once_both_land(tools: Tools, root: Path) -> None:
    """humfs E83."""
    file = root / "a.py"
    mine = {"file_path": "a.py", "symbol": "a", "new_source": "def a():\n    return 10"}
    other = {"file_path": "a.py", "symbol": "b", "new_source": "def b():\n    return 20"}
    for at in range(20):
        file.write_text(TWO)
        with ThreadPoolExecutor(2) as pool:
            a = pool.submit(tools.call, "humfs_do_code", mine, sid=f"a{at}")
            b = pool.submit(tools.call, "humfs_do_code", other, sid=f"b{at}")
        assert not a.result().is_error, a.result().output
        assert not b.result().is_error, b.result().output
        assert file.read_text() == TWO.replace("1", "10").replace("2", "20")


def test_of_two_edits_of_one_symbol_the_second_is_told_the_new_text(
    tools: Tools, root: Path
) -> None:
    """humfs E148."""
    (root / "a.py").write_text(TWO)
    args = {"file_path": "a.py", "symbol": "a"}
    second = time.time_ns()
    first = tools.call("humfs_do_code", {**args, "new_source": "def a():\n    return 10"}, sid="1")

    late = tools.call(
        "humfs_do_code",
        {**args, "new_source": "def a():\n    return 99"},
        sid="2",
        received_ns=second,
    )
    again = tools.call("humfs_do_code", {**args, "new_source": "def a():\n    return 99"}, sid="2")

    assert not first.is_error
    assert late.metadata["error"] == "stale"
    assert "return 10" in late.output
    assert not again.is_error


@pytest.mark.parametrize("key", ["", "A", "A.f", "A.f.body"])
def test_edits_overlap_through_what_holds_them(tools: Tools, root: Path, key: str) -> None:
    (root / "a.py").write_text("class A:\n    def f(self):\n        return 1\n\n\nx = 1\n")
    received = time.time_ns()
    tools.code("a.py", symbol="A.f", new_source="def f(self):\n    return 2")

    asked = {"symbol": key} if key else {}
    late = tools.call(
        "humfs_do_code",
        {"file_path": "a.py", **asked, "new_source": "class A: pass"},
        received_ns=received,
    )
    other = tools.call(
        "humfs_do_code",
        {"file_path": "a.py", "symbol": "x", "new_source": "x = 2"},
        received_ns=received,
    )

    assert late.metadata["error"] == "stale"
    assert not other.is_error


def test_refusals_say_what_to_do(tools: Tools, root: Path) -> None:
    """humfs 1.4, 8.4."""
    (root / "a.py").write_text("class A:\n    def n(self): ...\n    def n(self, v): ...\n")

    ambiguous = tools.code("a.py", symbol="A.n", new_source="def n(self): ...")
    unknown = tools.code("a.py", symbol="A.m", new_source="def n(self): ...")
    missing = tools.code("no.py", symbol="A", new_source="x = 1")
    there = tools.code("a.py", operation="create", new_source="x = 1\n")
    prose = tools.code("a.md", operation="create", new_source="# x\n")
    upsert = tools.code("a.py", operation="upsert", symbol="A", new_source="x = 1")
    broken = tools.code("a.py", symbol="A.n#1", new_source="def n(self:\n    ...")
    same = tools.code("a.py", symbol="A.n#1", new_source="def n(self): ...")

    assert "A.n#1 (L2-L2); A.n#2 (L3-L3)" in ambiguous.output
    assert "not found" in unknown.output
    assert "method A.n#1 (L2-L2)" in unknown.output
    assert "create" in missing.metadata["hint"]
    assert "does not exist" in missing.output
    assert "already exists" in there.output
    assert "humfs_do_noncode" in prose.metadata["hint"]
    for one in ("create", "replace", "insert_before", "insert_after", "delete"):
        assert one in upsert.output
    assert "NOT written" in broken.output
    assert "line 2, column" in broken.output
    assert same.output.startswith("No change")


def test_what_is_dropped_or_renamed_is_noted(tools: Tools, root: Path) -> None:
    """humfs E40, 8.3."""
    (root / "a.py").write_text("# About f.\n@cache\ndef f():\n    return 1\n")

    result = tools.code("a.py", symbol="f", new_source="def g():\n    return 3\n")

    assert result.metadata["notes"] == [
        "comment dropped",
        "decorator or attribute dropped",
        "name changed: f is now g",
    ]
    assert result.output.startswith("Replaced symbol 'f' in a.py (L1-L4 → L1-L2)\n")
    assert "-@cache" in result.output


def test_modes_marks_and_line_ends_stay(tools: Tools, root: Path) -> None:
    """humfs 3.1, 3.2, 3.5."""
    file = root / "a.py"
    file.write_bytes(b"\xef\xbb\xbf" + TWO.replace("\n", "\r\n").encode())
    file.chmod(0o755)
    wide = root / "w.js"
    wide.write_bytes("\ufefffunction f() { return 'é' }\n".encode("utf-16-le"))

    result = tools.code("a.py", new_source=TWO.replace("1", "3"))
    tools.code("w.js", symbol="f", new_source="function f() { return 'ö' }")

    assert not result.is_error, result.output
    assert (
        file.read_bytes() == b"\xef\xbb\xbf" + TWO.replace("1", "3").replace("\n", "\r\n").encode()
    )
    assert file.stat().st_mode & 0o7777 == 0o755
    assert wide.read_bytes() == "\ufefffunction f() { return 'ö' }\n".encode("utf-16-le")


def test_bytes_that_are_not_text_survive_and_only_ascii_joins_them(
    tools: Tools, root: Path
) -> None:
    """humfs 3.1."""
    (root / "a.js").write_bytes(b"// \xe9\nlet a = 1\nlet b = 2\n")

    umlaut = tools.code("a.js", symbol="b", new_source="let b = 'ü'")
    plain = tools.code("a.js", symbol="b", new_source="let b = 3")

    assert umlaut.metadata["error"] == "encoding"
    assert not plain.is_error, plain.output
    assert (root / "a.js").read_bytes() == b"// \xe9\nlet a = 1\nlet b = 3\n"


def test_a_session_is_told_when_what_it_saw_was_changed(tools: Tools, root: Path) -> None:
    """humfs 3.7."""
    (root / "a.py").write_text(TWO)
    mine = {"file_path": "a.py", "symbol": "a", "new_source": "def a():\n    return 5"}
    tools.call("humfs_do_code", mine, sid="me")
    (root / "a.py").write_text(TWO.replace("2", "7"))

    b = {"file_path": "a.py", "symbol": "b", "new_source": "def b():\n    return 9"}
    elsewhere = tools.call("humfs_do_code", b, sid="me")
    stale = tools.call("humfs_do_code", {**mine, "new_source": "def a(): ..."}, sid="me")
    again = tools.call("humfs_do_code", {**mine, "new_source": "def a(): ..."}, sid="me")

    assert elsewhere.metadata.get("error") is None
    assert stale.metadata["error"] == "stale"
    assert "return 1" in stale.output
    assert not again.is_error


@pytest.mark.parametrize("args", [{}, {"symbol": "a"}, {"query": "a"}], ids=str)
def test_a_session_is_told_when_what_it_read_was_changed(
    tools: Tools, root: Path, args: dict[str, str]
) -> None:
    """humfs 3.7."""
    (root / "a.py").write_text(TWO)
    tools.call("humfs_read", {"file_path": "a.py", **args}, sid="me")
    (root / "a.py").write_text(TWO.replace("1", "7"))
    edit = {"file_path": "a.py", "symbol": "a", "new_source": "def a():\n    return 5"}
    other = {"file_path": "a.py", "symbol": "b", "new_source": "def b():\n    return 9"}

    elsewhere = tools.call("humfs_do_code", other, sid="me")
    stale = tools.call("humfs_do_code", edit, sid="me")
    again = tools.call("humfs_do_code", edit, sid="me")

    assert not elsewhere.is_error, elsewhere.output
    assert stale.metadata["error"] == "stale"
    assert "return 7" in stale.output
    assert not again.is_error, again.output


@pytest.mark.parametrize("operation", ["insert_before", "insert_after"])
def test_what_something_was_put_beside_is_still_known(
    tools: Tools, root: Path, operation: str
) -> None:
    """humfs 3.7: the text of that very symbol is the same."""
    (root / "a.py").write_text("def a():\n    return 1\n")

    tools.code("a.py", operation=operation, symbol="a", new_source="def b():\n    return 1")
    done = tools.code("a.py", symbol="a", new_source="def a():\n    return 2")
    assert not done.is_error, done.output

    (root / "a.py").write_text((root / "a.py").read_text().replace("return 2", "return 3"))
    others = tools.code("a.py", symbol="a", new_source="def a():\n    return 4")
    assert others.metadata["error"] == "stale"


def test_a_file_that_was_only_searched_is_edited(tools: Tools, root: Path) -> None:
    """humfs 3.7: what was never shown is never stale."""
    (root / "a.py").write_text(TWO)
    tools.read("a.py", pattern="return")
    (root / "a.py").write_text(TWO.replace("1", "7"))

    result = tools.code("a.py", symbol="a", new_source="def a():\n    return 5")

    assert not result.is_error, result.output


def test_what_was_read_whole_is_not_overwritten_or_removed_unseen(tools: Tools, root: Path) -> None:
    """humfs 3.7."""
    files = {"a.py": b"x = 1\n", "a.txt": b"one\n", "a.bin": b"\0\1", "a.png": b"\x89PNG"}
    for name, content in files.items():
        (root / name).write_bytes(content)
        tools.read(name)
        (root / name).write_bytes(content + b"# 2\n")

    overwritten = tools.text("a.txt", replace="mine\n")
    (root / "a.txt").write_bytes(b"three\n")
    gone = {name: tools.call(_tool(name), _remove(name)) for name in files}
    again = {name: tools.call(_tool(name), _remove(name)) for name in files}

    assert overwritten.metadata["error"] == "stale"
    assert "# 2" in overwritten.output
    assert {one.metadata.get("error") for one in gone.values()} == {"stale"}
    assert [one.output for one in again.values() if one.is_error] == []
    assert list(root.iterdir()) == []


def _tool(name: str) -> str:
    return "humfs_do_code" if name.endswith(".py") else "humfs_do_noncode"


def _remove(name: str) -> dict[str, str]:
    return {"file_path": name, "operation": "remove"}


def test_whole_files_move_and_go(tools: Tools, root: Path) -> None:
    (root / "a.py").write_text(TWO)
    (root / "there.py").write_text("x = 1\n")

    taken = tools.code("a.py", operation="move", new_path="there.py")
    prose = tools.code("a.py", operation="move", new_path="a.txt")
    other = tools.code("a.py", operation="move", new_path="a.go")
    moved = tools.code("a.py", operation="move", new_path="deep/er/b.py")
    removed = tools.code("there.py", operation="remove")

    assert taken.metadata["error"] == "exists"
    assert prose.metadata["error"] == "wrong_tool"
    assert other.metadata["error"] == "syntax"
    assert not moved.is_error, moved.output
    assert (root / "deep/er/b.py").read_text() == TWO
    assert removed.output == "Removed there.py (6 bytes)"
    assert sorted(path.name for path in root.iterdir()) == ["deep"]
