"""Policy and size as the acceptance examples word them, over all file tools (humfs 12.2, 12.6)."""

from pathlib import Path

import psutil
import pytest
from tests.support.humfs import Tools, humfs

from humfs.core.languages import language_of
from humfs.edge.watch import Watch
from humfs.tools.tool import Call

pytestmark = pytest.mark.process

MANY_FILES = 10_000
HUGE_BYTES = 60_000_000
GROWTH_BYTES_MAX = 64 * 1024 * 1024
CODE, TEXT = "x = 1\n", "one word\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "w"
    (root / "a").mkdir(parents=True)
    return root


def edits(tools: Tools, stem: str) -> list[str]:
    """The error of every kind of edit of `stem`.py and `stem`.txt; empty where it was done."""
    code, text = f"{stem}.py", f"{stem}.txt"
    calls = [
        tools.code(code, operation="create", new_source=CODE),
        tools.code(code, new_source="y = 1\n"),
        tools.code(code, symbol="x", new_source="x = 2"),
        tools.code(code, symbol="x", operation="insert_after", new_source="z = 2"),
        tools.code(code, symbol="x", operation="insert_before", new_source="z = 2"),
        tools.code(code, symbol="x", operation="delete"),
        tools.code(code, operation="move", new_path="moved.py"),
        tools.code(code, operation="remove"),
        tools.text(text, replace="other\n"),
        *(tools.text(text, **{scope: "word"}) for scope in ("word", "phrase")),
        *(tools.text(text, **{scope: "word"}) for scope in ("sentence", "paragraph")),
        tools.text(text, operation="move", new_path="moved.txt"),
        tools.text(text, operation="remove"),
    ]
    return [str(one.metadata.get("error", "")) for one in calls]


@pytest.mark.parametrize("instead", ["nothing", "link", "folder"])
def test_every_tool_says_that_a_root_went_and_how_to_mend_it(
    tools: Tools, root: Path, instead: str
) -> None:
    for name in ("a.py", "a.txt"):
        (root / name).write_text("x = 1 # word\n")
    root.rename(root.parent / "moved")
    if instead == "link":
        root.symlink_to("moved")
    elif instead == "folder":
        (root / "a").mkdir(parents=True)

    told = [
        *(tools.read(path) for path in (".", "a.py", "none.py", "*.py")),
        tools.code("a.py", symbol="x", new_source="x = 2"),
        tools.code("a.py", operation="move", new_path="b.py"),
        tools.code("a.py", operation="remove"),
        tools.code("p/new.py", operation="create", new_source=CODE),
        tools.text("a.txt", word="word", replace="w"),
        tools.text("new.txt", replace=TEXT),
        tools.call("humfs_lease", {"file_path": "a.py"}),
    ]

    for one in told:
        assert one.metadata.get("error") == "io", one.output
        assert f"its root {root} was removed or replaced" in one.output
        assert "hum ctl restart humfs" in one.output


BARE = {"HEAD": "ref: refs/heads/main\n", "objects/x": "", "refs/x": ""}
SHARED = {"HEAD": "ref: refs/heads/main\n", "commondir": "../other\n"}


@pytest.mark.parametrize(
    ("there", "asked"),
    [
        (BARE, "config"),
        (BARE, "Config"),
        (BARE, "config.worktree"),
        (BARE, "hooks/post-update"),
        (BARE, "hooks/a/b"),
        (BARE, "commondir"),
        (SHARED, "config"),
        (SHARED, "rebase-merge/git-rebase-todo"),
        ({"objects/x": "", "refs/x": "", "config": ""}, "HEAD"),
        ({"HEAD": "", "refs/x": "", "config": ""}, "objects/x"),
        ({"HEAD": "", "objects/x": "", "config": ""}, "refs/heads/x"),
        ({"HEAD": ""}, "commondir"),
        ({"commondir": ""}, "HEAD"),
    ],
)
@pytest.mark.parametrize("folder", ["", "lib.git/"])
def test_what_git_runs_from_a_bare_repository_is_not_written_nor_one_completed(
    tools: Tools, root: Path, there: dict[str, str], asked: str, folder: str
) -> None:
    for name, text in there.items():
        (root / folder / name).parent.mkdir(parents=True, exist_ok=True)
        (root / folder / name).write_text(text)
    (root / "x.txt").write_text(TEXT)
    before = sorted(root.rglob("*"))

    told = [
        tools.text(f"{folder}{asked}", replace="[alias]\n"),
        tools.text("x.txt", operation="move", new_path=f"{folder}{asked}"),
    ]

    for one in told:
        assert one.metadata.get("error") == "denied", one.output
        assert "of a bare repository" in one.output
    assert sorted(root.rglob("*")) == before


@pytest.mark.parametrize("asked", ["config", "hooks/x", "HEAD", "objects/x", "refs/x", "commondir"])
def test_names_like_those_of_a_repository_are_free_elsewhere(tools: Tools, asked: str) -> None:
    assert not tools.text(f"src/{asked}", replace=TEXT).is_error
    assert not tools.text(f"src/{asked}", replace="two\n").is_error


@pytest.mark.parametrize("stem", ["{w}/../new", "{w}/a/../../new", "{w}/x/../../new", "../new"])
def test_nothing_is_made_or_changed_outside(tools: Tools, root: Path, stem: str) -> None:
    """humfs E141."""
    (root.parent / "there.py").write_text(CODE)
    (root.parent / "there.txt").write_text(TEXT)
    before = sorted(root.parent.rglob("*"))

    assert set(edits(tools, stem.format(w=root))) == {"outside_roots"}
    assert set(edits(tools, stem.format(w=root).replace("new", "there"))) == {"outside_roots"}

    assert sorted(root.parent.rglob("*")) == before
    assert (root.parent / "there.py").read_text() == CODE
    assert (root.parent / "there.txt").read_text() == TEXT


def test_an_edit_through_a_link_rewrites_its_target_and_leaves_the_link(
    tools: Tools, root: Path, tmp_path: Path
) -> None:
    """humfs E142."""
    (root / "a/f.txt").write_text(TEXT)
    (root / "near.txt").symlink_to("a/f.txt")
    (tmp_path / "outside").mkdir()
    (root / "out").symlink_to(tmp_path / "outside")

    inside = tools.text("near.txt", word="word", replace="edit")
    outside = tools.text("out/new.txt", replace="x\n")

    assert not inside.is_error, inside.output
    assert (root / "a/f.txt").read_text() == "one edit\n"
    assert (root / "near.txt").readlink() == Path("a/f.txt")
    assert outside.metadata["error"] == "outside_roots"
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize("order", [1, -1])
def test_below_a_root_that_is_ro_every_edit_is_refused(
    root: Path, tmp_path: Path, order: int
) -> None:
    """humfs E145."""
    (root / "vendor").mkdir()
    (root / "vendor/there.py").write_text(CODE)
    (root / "vendor/there.txt").write_text(TEXT)
    roots = [(root, "rw"), (root / "vendor", "ro")][::order]

    with humfs(*roots, state=tmp_path / "state") as tools:  # type: ignore[arg-type]
        refused = edits(tools, str(root / "vendor/there"))
        allowed = tools.read(str(root / "vendor/there.txt"))
        beside = tools.text(str(root / "there.txt"), replace=TEXT)

    assert set(refused) == {"read_only"}
    assert not allowed.is_error
    assert not beside.is_error
    assert (root / "vendor/there.py").read_text() == CODE
    assert (root / "vendor/there.txt").read_text() == TEXT


def test_a_file_with_two_links_is_read_and_never_edited(
    tools: Tools, root: Path, tmp_path: Path
) -> None:
    """humfs E147."""
    for suffix, content in (("py", CODE), ("txt", TEXT)):
        (root / f"two.{suffix}").write_text(content)
        (tmp_path / f"other.{suffix}").hardlink_to(root / f"two.{suffix}")

    first, *others = edits(tools, "two")

    assert first == "exists"
    assert set(others) == {"linked"}
    assert not tools.read("two.py").is_error
    assert (tmp_path / "other.py").read_text() == CODE
    assert (tmp_path / "other.txt").read_text() == TEXT


def test_a_directory_of_ten_thousand_files_is_one_honest_answer(tools: Tools, root: Path) -> None:
    """humfs E27."""
    for at in range(MANY_FILES):
        directory = root / "many" / f"d{at % 7}"
        if at < 7:
            directory.mkdir(parents=True)
        (directory / f"{at}.txt").touch()

    result = tools.read("many")

    rows = [line.split() for line in result.output.split("\n") if " files " in line]
    assert len(result.output) <= 7_500
    assert result.output.startswith(f"=== {MANY_FILES} files ===\n")
    assert sorted(row[-1] for row in rows[1:]) == [f"many/d{at}" for at in range(7)]
    assert sum(int(row[0]) for row in rows[1:]) == MANY_FILES
    assert "glob" in result.output


def peak_bytes() -> int:
    """The most memory this process has had since `forget_peak`."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def forget_peak() -> int:
    """Measure the peak from now on; what it is now."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak_bytes()


def test_a_log_of_sixty_megabytes_is_searched_in_little_memory(tools: Tools, root: Path) -> None:
    """humfs E33."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("this system does not tell a process its peak")
    line = b"2026-01-01 all is well, nothing to see in this line\n"
    hits = {0, 500_000, 1_100_000}
    with (root / "big.log").open("wb") as log:
        for at in sorted(hits):
            log.seek(at * len(line))
            log.write(b"2026-01-01 ERROR in this line\n".rjust(len(line), b"."))
        for first, last in ((1, 500_000), (500_001, 1_100_000)):
            log.seek(first * len(line))
            log.write(line * (last - first))
        log.seek(0, 2)
        log.write(line * ((HUGE_BYTES - log.tell()) // len(line)))
    before = forget_peak()

    result = tools.read("big.log", pattern="ERROR")

    assert peak_bytes() - before < GROWTH_BYTES_MAX
    assert result.metadata["hits"] == 3
    found = [row.partition("\t")[0] for row in result.output.split("\n")[1:]]
    assert found == [f"big.log:{at + 1}" for at in sorted(hits)]


@pytest.mark.parametrize("content", [b"\0" * 100, b"line\n" * 2_000_000])
def test_what_is_too_long_for_the_time_is_shown_as_far_as_it_was_read(
    tools: Tools, root: Path, content: bytes
) -> None:
    (root / "long.bin").write_bytes(content)
    call = Call(
        sid="s", call_id="c", tool="humfs_read", args={"file_path": "long.bin"}, cwd=str(root)
    )

    done = tools.by_name["humfs_read"].run(call, Watch(0))

    assert done.metadata["sha256"] is None
    assert done.metadata["bytes"] == len(content)
    assert "out of time" in done.output


def test_what_was_parsed_is_let_go() -> None:
    """A grammar's reader keeps what it is given; files must not stay in memory with it."""
    sources, size = 80, 1_000_000
    python = language_of("x.py")
    assert python is not None
    python.outline(b"x = 1\n")
    before = psutil.Process().memory_info().rss

    for number in range(sources):
        python.outline(b"# %d " % number + b"x" * size + b"\n")

    assert psutil.Process().memory_info().rss - before < sources * size // 2
