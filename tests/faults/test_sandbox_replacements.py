"""What is protected from a command and then changes while it runs.

A command tries to write the protected file as fast as it can, and somebody outside puts another
file in its place in each of the ways that programs have. The command must be ended, and it must be
told: how often it was fast enough is counted, not asserted (docs/decisions/0015). What it may make
itself, and must not, is gone afterwards. The negative control is a sandbox that does not look.
"""

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio import to_thread
from tests.support.sandbox import needs_bubblewrap

from humfs.core.sandbox.layers import Level
from humfs.edge import sandbox
from humfs.edge.commands import Commands
from humfs.edge.masks import Masks
from humfs.edge.roots import Roots
from humfs.edge.sandbox import Sandbox
from humfs.tools.bash import Bash
from humfs.tools.tool import Call, Result
from nest.cells.orders import Walls
from nest.metrics import Registry

pytestmark = [pytest.mark.process, needs_bubblewrap]

TIMES_SOAK = 30
EVIL = "[evil]\n"
WRITER = """
import os, sys
print("up", flush=True)
while True:
    try:
        file = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
    except OSError:
        continue
    os.write(file, b"[evil]\\n")
    os.close(file)
"""
MAKER = """
import os, time
with open(".git/newer", "w") as file:
    file.write("../evil")
os.rename(".git/newer", ".git/commondir")
time.sleep(60)
"""
NEWER = "[a]\n\tb = c\n"

Way = Callable[[Path], None]


def by_git(path: Path) -> None:
    subprocess.run(["git", "config", "-f", str(path), "a.b", "c"], check=True)


def by_renaming(path: Path) -> None:
    """As most editors save."""
    newer = path.with_name("newer")
    newer.write_text(NEWER)
    newer.rename(path)


def by_removing(path: Path) -> None:
    """As a checkout does."""
    path.unlink()
    path.write_text(NEWER)


def by_putting_aside(path: Path) -> None:
    """As editors save that keep a copy."""
    older = path.with_name("older")
    path.rename(older)
    path.write_text(NEWER)
    older.unlink()


def by_exchanging(path: Path) -> None:
    newer = path.with_name("newer")
    newer.write_text(NEWER)
    ctypes.CDLL(None).renameat2(-100, os.fsencode(newer), -100, os.fsencode(path), 2)
    newer.unlink()


def by_moving_the_folder(path: Path) -> None:
    folder = path.parent
    older, newer = folder.with_name("older"), folder.with_name("newer")
    shutil.copytree(folder, newer)
    folder.rename(older)
    newer.rename(folder)
    shutil.rmtree(older)


WAYS = (
    by_git,
    by_renaming,
    by_removing,
    by_putting_aside,
    by_exchanging,
    by_moving_the_folder,
)
each_way = pytest.mark.parametrize("way", WAYS)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    (root / "writer.py").write_text(WRITER)
    return root


@pytest.fixture
def roots(root: Path) -> Iterator[Roots]:
    roots = Roots([(str(root), "rw")], [], home=str(root))
    yield roots
    roots.close()


@asynccontextmanager
async def tool(roots: Roots, tmp_path: Path) -> AsyncIterator[Bash]:
    box = Sandbox(roots, Masks(tmp_path / "notes"), denied=())
    attended = Commands(box, Registry())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(attended.attend)
        yield Bash(roots, box, attended, Level.PARTIAL)
        tasks.cancel_scope.cancel()


async def run(bash: Bash, command: str, up: anyio.Event | None = None, **args: object) -> Result:
    def heard(stream: str, text: str) -> None:
        if up is not None:
            up.set()

    call = Call(sid="s", call_id="c", tool="humfs_bash", args={"command": command, **args})
    return await bash.follow(call, heard)


async def replaced(bash: Bash, path: Path, way: Way) -> tuple[Result, bool]:
    """The result of a command that tries to write `path`, and whether it did."""
    results: list[Result] = []

    async def writing() -> None:
        results.append(await run(bash, f"python3 writer.py {path}", up, timeout=10_000))

    up = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(writing)
        await up.wait()
        await to_thread.run_sync(way, path)
    return results[0], await to_thread.run_sync(has_evil, path)


def has_evil(path: Path) -> bool:
    """Whether the command wrote it; it is as before then."""
    text = path.read_text()
    path.write_text(text.replace(EVIL, ""))
    return EVIL in text


def require_told(result: Result, root: Path) -> None:
    """It was ended and not by its time, and it is said why."""
    told = result.metadata["protectedReplaced"]
    assert isinstance(told, list)
    assert any(name.startswith(f"{root}/.git") for name in told)
    assert result.metadata["interrupted"] is True
    assert result.metadata["exit"] == 137
    assert "others replaced" in result.output


@each_way
async def test_a_command_is_ended_when_what_is_protected_is_replaced(
    roots: Roots, root: Path, tmp_path: Path, way: Way
) -> None:
    async with tool(roots, tmp_path) as bash:
        result, _ = await replaced(bash, root / ".git" / "config", way)

    require_told(result, root)


async def test_what_goes_on_is_ended_too_and_the_next_answer_tells(
    roots: Roots, root: Path, tmp_path: Path
) -> None:
    path = root / ".git" / "config"
    async with tool(roots, tmp_path) as bash:
        first = await run(bash, f"python3 writer.py {path} >/dev/null 2>&1 & echo on")
        await to_thread.run_sync(by_renaming, path)
        await to_thread.run_sync(wait_until_idle, bash)
        second = await run(bash, "true")
        third = await run(bash, "true")

    assert "protectedReplaced" not in first.metadata
    assert "still running" in first.output
    assert second.metadata["protectedReplaced"] == [str(path)]
    assert second.metadata["interrupted"] is False
    assert "an earlier command in the background" in second.output
    assert "protectedReplaced" not in third.metadata


def wait_until_idle(bash: Bash) -> None:
    while bash._commands._lingering:
        pass


async def test_what_has_git_look_elsewhere_is_removed_and_its_maker_ended(
    roots: Roots, root: Path, tmp_path: Path
) -> None:
    """`.git/commondir` names the folder with the configuration; git fails where it is a folder."""
    evil = root / "evil"
    await to_thread.run_sync(git, root, "init", "-q", "--bare", evil)
    await to_thread.run_sync(git, evil, "config", "core.hooksPath", "/evil")
    (root / "maker.py").write_text(MAKER)
    async with tool(roots, tmp_path) as bash:
        result = await run(bash, "python3 maker.py")

    assert result.metadata["protectedRemoved"] == [f"{root}/.git/commondir"]
    assert result.metadata["exit"] == 137
    assert result.metadata["interrupted"] is True
    assert "from elsewhere" in result.output
    assert not (root / ".git" / "commondir").exists()
    assert "/evil" not in await to_thread.run_sync(git, root, "config", "--list")


def git(folder: Path, *words: object) -> str:
    done = subprocess.run(
        ["git", "-C", folder, *map(str, words)], check=True, capture_output=True, text=True
    )
    return done.stdout


async def test_what_changes_nothing_protected_ends_nothing(
    roots: Roots, root: Path, tmp_path: Path
) -> None:
    """Work in the project meanwhile, inside and outside."""

    def work() -> None:
        (root / "a").write_text("")
        git(root, "add", "a")
        git(root, "-c", "user.name=u", "-c", "user.email=e", "commit", "-q", "-m", "a")
        (root / "a").rename(root / "b")

    async with tool(roots, tmp_path) as bash:
        await to_thread.run_sync(work)
        results: list[Result] = []
        up = anyio.Event()

        async def waiting() -> None:
            results.append(await run(bash, "echo up; read -t 30 < go; git status -s", up))

        os.mkfifo(root / "go")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(waiting)
            await up.wait()
            await to_thread.run_sync(git, root, "checkout", "-q", "-b", "other", "-f")
            await to_thread.run_sync((root / "go").write_text, "on\n")

    assert results[0].metadata["exit"] == 0
    assert not [name for name in results[0].metadata if name.startswith("protected")]


@pytest.mark.soak
@pytest.mark.timeout(900)
@each_way
async def test_a_command_is_ended_each_time_of_many(
    roots: Roots, root: Path, tmp_path: Path, way: Way, capsys: pytest.CaptureFixture[str]
) -> None:
    written = 0
    async with tool(roots, tmp_path) as bash:
        for _ in range(TIMES_SOAK):
            result, has_written = await replaced(bash, root / ".git" / "config", way)
            require_told(result, root)
            written += has_written
    with capsys.disabled():
        sys.stdout.write(f"\n{way.__name__}: {written} of {TIMES_SOAK} wrote before the end\n")


async def test_control_who_does_not_look_is_written_through(
    roots: Roots, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "Walls", lambda **walls: Walls(**{**walls, "pinned": ()}))
    async with tool(roots, tmp_path) as bash:
        _, has_written = await replaced_slowly(bash, root / ".git" / "config")

    assert has_written


async def replaced_slowly(bash: Bash, path: Path) -> tuple[Result, bool]:
    """The same for a command that has all the time it wants."""

    def way(path: Path) -> None:
        by_renaming(path)
        while EVIL not in path.read_text():
            pass

    return await replaced(bash, path, way)
