"""`humfs_do_noncode` on real files (humfs 9, 12.4)."""

from pathlib import Path

import pytest
from tests.support.humfs import Tools
from tests.unit.humfs.noncode_examples import EXAMPLES, Example

pytestmark = pytest.mark.process


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: f"{one.row} {one.rule}")
def test_the_acceptance_example_holds(tools: Tools, root: Path, example: Example) -> None:
    """humfs E85 to E130."""
    file = root / example.args["file_path"]
    assert example.before is not None
    file.write_bytes(example.before.encode())

    result = tools.call("humfs_do_noncode", example.args)

    expected = example.before if example.after is None else example.after
    assert result.metadata.get("error", "") == example.error, result.output
    assert result.is_error is (example.after is None)
    assert file.read_bytes().decode() == expected


def edited(tools: Tools, root: Path, name: str, before: str, **args: str) -> str:
    """What a file holds after one edit that must be taken."""
    (root / name).write_text(before)
    result = tools.text(name, **args)
    assert not result.is_error, result.output
    return (root / name).read_text()


def test_a_whole_file_is_created_and_overwritten(tools: Tools, root: Path) -> None:
    """humfs E131."""
    created = tools.text("deep/new.md", replace="# T\n")
    overwrote = tools.text("deep/new.md", replace="# U\n")
    neither = tools.text("deep/new.md")
    both = tools.text("deep/new.md", word="a", phrase="b", replace="c")
    code = tools.text("a.rs", replace="x")

    assert created.output == "Created deep/new.md (4 bytes)"
    assert created.metadata["existed"] is False
    assert overwrote.output.startswith("Overwrote deep/new.md (4 bytes)\n")
    assert neither.metadata["error"] == both.metadata["error"] == "bad_args"
    assert "word and phrase" in both.output
    assert code.metadata["error"] == "wrong_tool"
    assert "humfs_do_code" in code.metadata["hint"]
    assert (root / "deep/new.md").read_text() == "# U\n"
    assert not (root / "a.rs").exists()


def test_bytes_that_are_not_utf8_survive(tools: Tools, root: Path) -> None:
    """humfs E132."""
    (root / "c.txt").write_bytes(b"x=\xe9\np=1\n")

    result = tools.text("c.txt", phrase="p=1", replace="p=2")

    assert not result.is_error
    assert (root / "c.txt").read_bytes() == b"x=\xe9\np=2\n"


def test_several_matches_are_told(tools: Tools, root: Path) -> None:
    """humfs E122, 9.3."""
    (root / "m.md").write_text("## Setup\n\nOne.\n\n## Setup\n\nTwo.\n")

    first = tools.text("m.md", phrase="## Setup", replace="New.")
    third = tools.text("m.md", phrase="## Setup#3", replace="New.")

    assert "2 matches" in first.output
    assert "## Setup#N" in first.output
    assert third.metadata["error"] == "not_found"
    assert "2 matches" in third.output
    assert (root / "m.md").read_text() == "## Setup\n\nNew.\n\n## Setup\n\nTwo.\n"


def test_a_sentence_of_an_environment_file_is_its_line(tools: Tools, root: Path) -> None:
    """humfs E117."""
    assert edited(tools, root, "c.env", "A=1\nB=2\n", sentence="A=1") == "B=2\n"


@pytest.mark.parametrize(
    ("name", "before", "args", "after"),
    [
        ("c.json", '{"a": {"b": [1, 2]}}', {"phrase": "a.b.1"}, '{"a": {"b": [1]}}'),
        ("c.json", '{"a": {"b": 1}, "c": 2}', {"phrase": "b", "replace": "3"},
         '{"a": {"b": 3}, "c": 2}'),
        ("c.jsonc", '{\n  "a": 1, // tail\n  "b": 2\n}\n', {"phrase": "b"},
         '{\n  "a": 1 // tail\n}\n'),
        ("c.json", '{"a": [{"x": 1}, {"x": 2}]}', {"sentence": '"x": 2'},
         '{"a": [{"x": 1}, {}]}'),
        ("c.json", '{"a": [{"x": 1}, {"x": 2}]}', {"paragraph": '"x": 2'}, '{"a": [{"x": 1}]}'),
        ("c.yaml", "a: &x 1 # one\nb: 2\n", {"phrase": "a", "replace": "5"},
         "a: 5 # one\nb: 2\n"),
        ("c.yaml", "a:\n- x\n- y\nb: 2\n", {"phrase": "a", "replace": "- z\n"},
         "a:\n- z\nb: 2\n"),
        ("c.yaml", "a:\n  b: # note\n    c: 1\n", {"phrase": "a.b", "replace": "7"},
         "a:\n  b: 7 # note\n"),
        ("c.yaml", "a: |\n  one\n  two\nb: 2\n", {"phrase": "a", "replace": "three\nfour"},
         "a: |\n  three\n  four\nb: 2\n"),
        ("c.yaml", "jobs:\n  - name: x\n    run: y\n  - name: z\n", {"sentence": "name: x"},
         "jobs:\n  - name: z\n"),
        ("c.yaml", "a:\n  b: 1\n\nc:\n  d: 2\n", {"paragraph": "b: 1"}, "c:\n  d: 2\n"),
        ("c.yaml", "a:\nb: 2\n", {"phrase": "a", "replace": "1"}, "a: 1\nb: 2\n"),
        ("c.toml", "[a]\nx = 1\n\n# about b\n[b]\ny = 2\n", {"phrase": "[a]", "replace": "z = 3"},
         "[a]\nz = 3\n\n# about b\n[b]\ny = 2\n"),
        ("c.toml", 's = "old"\n', {"phrase": "s", "replace": 'a "b"'}, 's = "a \\"b\\""\n'),
        ("c.toml", "[[job]]\nn = 1\n\n[[job]]\nn = 2\n", {"phrase": "job.n#2", "replace": "3"},
         "[[job]]\nn = 1\n\n[[job]]\nn = 3\n"),
        ("c.ini", "[a]\nx = 1\n  2\ny = 3\n", {"sentence": "x ="}, "[a]\ny = 3\n"),
        ("c.ini", "[a]\nx = 1\ny = 3\n", {"phrase": "a.x"}, "[a]\nx =\ny = 3\n"),
        (".env", 'A="x y" # note\nB=2\n', {"phrase": "A", "replace": '"z"'},
         'A="z" # note\nB=2\n'),
        ("m.md", "- one\n  more\n\n  still\n- two\n", {"sentence": "one"}, "- two\n"),
        ("m.md", "Title\n=====\n\nOld.\n\nNext\n----\n", {"phrase": "Title", "replace": "New."},
         "Title\n=====\n\nNew.\n"),
        ("m.md", "# A\n", {"phrase": "# A", "replace": "Body."}, "# A\n\nBody.\n"),
        ("t.txt", "größe groß\n", {"word": "groß", "replace": "klein"}, "größe klein\n"),
        ("t.txt", "a\n\nb\n", {"paragraph": "b"}, "a\n"),
    ],
)  # fmt: skip
def test_only_the_place_changes(
    tools: Tools, root: Path, name: str, before: str, args: dict[str, str], after: str
) -> None:
    assert edited(tools, root, name, before, **args) == after


def test_a_session_is_told_when_an_anchor_it_wrote_was_changed(tools: Tools, root: Path) -> None:
    """humfs 3.7."""
    (root / "c.toml").write_text("[a]\nx = 1\ny = 2\n")
    tools.text("c.toml", phrase="a.x", replace="5")
    (root / "c.toml").write_text("[a]\nx = 6\ny = 2\n")

    other = tools.text("c.toml", phrase="a.y", replace="3")
    stale = tools.text("c.toml", phrase="a.x", replace="7")
    again = tools.text("c.toml", phrase="a.x", replace="7")

    assert not other.is_error
    assert stale.metadata["error"] == "stale"
    assert "x = 6" in stale.output
    assert not again.is_error


def test_a_session_is_told_when_an_anchor_it_read_was_changed(tools: Tools, root: Path) -> None:
    """humfs 3.7."""
    (root / "a.yaml").write_text("server:\n  port: 1\nname: x\n")
    tools.read("a.yaml", symbol="server.port")
    (root / "a.yaml").write_text("server:\n  port: 2\nname: y\n")

    elsewhere = tools.text("a.yaml", phrase="name", replace="z")
    stale = tools.text("a.yaml", phrase="server.port", replace="3")
    again = tools.text("a.yaml", phrase="server.port", replace="3")

    assert not elsewhere.is_error, elsewhere.output
    assert stale.metadata["error"] == "stale"
    assert "port: 2" in stale.output
    assert not again.is_error, again.output


def test_a_file_that_was_broken_is_edited_unchecked_and_that_is_said(
    tools: Tools, root: Path
) -> None:
    """humfs 9.8."""
    (root / "tsconfig.json").write_text('{\n  // note\n  "a": 1,\n}\n')

    result = tools.text("tsconfig.json", phrase="a", replace="2")

    assert (root / "tsconfig.json").read_text() == '{\n  // note\n  "a": 2,\n}\n'
    assert "not well-formed json before" in result.output


def test_binary_files_are_not_edited_but_move_and_go(tools: Tools, root: Path) -> None:
    (root / "a.bin").write_bytes(b"\0\1\2")

    edit = tools.text("a.bin", word="x", replace="y")
    moved = tools.text("a.bin", operation="move", new_path="b.bin")
    code = tools.text("b.bin", operation="move", new_path="b.py")
    removed = tools.text("b.bin", operation="remove")

    assert edit.metadata["error"] == "encoding"
    assert not moved.is_error, moved.output
    assert code.metadata["error"] == "wrong_tool"
    assert not removed.is_error
    assert list(root.iterdir()) == []
