"""No command leads out of the roots: the corpus of paths and the rename race, for `humfs_bash`
(reliability M10, I4; humfs E146).

Commands that look at files or change them are answered with the tool to use, and run nothing. What
runs, runs in the sandbox: one command goes through many paths of the corpus and tries with each
what a program can do. Its own word is judged, by the identity of every object that it could touch,
and so is what is outside afterwards. Each test has its negative control.
"""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import anyio
import pytest
from tests.faults.test_path_escape import endless_corpus, home, needs_exchange, swapping
from tests.support import path_probe
from tests.support.sandbox import needs_bubblewrap

from humfs.core.sandbox.layers import Layer, Level
from humfs.edge.commands import Commands
from humfs.edge.masks import Masks
from humfs.edge.roots import Roots
from humfs.edge.sandbox import Sandbox
from humfs.tools.bash import Bash
from humfs.tools.tool import Call, Result
from nest.metrics import Registry

__all__ = ["home"]
pytestmark = [pytest.mark.process, needs_bubblewrap]

CASES = 1_500
CASES_SOAK = 50_000
BATCH = 2_500
"""Paths that one command goes through."""
ROUTED_CASES = 330
RACE_SECONDS = 0.3
RACE_SECONDS_SOAK = 60.0
RACE_COMMANDS = 3
"""Sandboxes that are set up while paths are exchanged."""
CONTROL_RUNS_MAX = 50
ENDS = ("f", "f.py", "", "a/f", "new", ".git/hooks/f", ".git/config", ".bashrc", "~", "*")
ROUTED = (
    *("cat {}", "head -n 3 {}", "grep -r . {}", "sed -n 1p {}", "sed -i s/x/y/ {}", "ls -la {}"),
    *("tee {} < f", "echo x > {}", "cat <<'E' >> {}\nx\nE", "cp f {}", "mv {} taken", "rm -rf {}"),
    *("ln -s {} taken", "touch {}", "env X=1 cat {}", "( cd a; cat {} )", "bash -c 'cat '{}"),
    *("find {} -type f", "xargs cat < {}", "dd if=f of={}", "mkdir -p {}", "chmod 777 {}"),
)
"""Commands that another tool serves better, with a path in them."""
ALL_ACTS = ",".join(path_probe.ACTS)
PYTHON = os.path.realpath(sys.executable)


class Identities(NamedTuple):
    """Objects by device and inode, as the probe tells them."""

    outside: frozenset[str]
    hooks: frozenset[str]
    """What may be read and not written."""


def identities(home: Path) -> Identities:
    """What a command must never reach, and what it may only read."""
    hooks = [home / "w/.git/hooks", *(home / "w/.git/hooks").rglob("*")]
    denied = [home / "w/denied", *(home / "w/denied").rglob("*")]
    inside = {home / "w", *(home / "w").rglob("*")}
    outside = [home, *(path for path in home.rglob("*") if path not in inside), *denied]
    return Identities(*(frozenset(map(_identity, paths)) for paths in (outside, hooks)))


def _identity(path: Path) -> str:
    status = path.lstat()
    return f"{status.st_dev}:{status.st_ino}"


def kept(home: Path) -> dict[str, bytes | None]:
    """Everything that no command may change, with its content."""
    guarded = [home / "w/denied", home / "w/.git/hooks", home / "w2", home / "outside"]
    every = [
        *home.iterdir(),
        *(path for folder in guarded for path in [folder, *folder.rglob("*")]),
    ]
    every += [home / "w/.git/config", home / "w/.bashrc", home / "w/a/.bashrc"]
    return {
        str(path): path.read_bytes() if path.is_file() and not path.is_symlink() else None
        for path in every
        if os.path.lexists(path)
    }


@pytest.fixture
def tree(home: Path) -> Path:
    """The tree of the other corpora, with a repository in it."""
    (home / "w/.git/hooks").mkdir(parents=True)
    (home / "w/.git/hooks/f").write_text("HOOK")
    return home


@asynccontextmanager
async def bash(home: Path, state: Path) -> AsyncIterator[Bash]:
    """The tool over the root `w`, in the sandbox that this machine has."""
    roots = Roots([(str(home / "w"), "rw")], [str(home / "w/denied")], home=str(home / "w"))
    box = Sandbox(roots, Masks(state / "masks"), denied=[str(home / "w/denied")])
    commands = Commands(box, Registry())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(commands.attend)
        yield Bash(roots, box, commands, Level.PARTIAL)
        tasks.cancel_scope.cancel()
    roots.close()


async def follow(tool: Bash, command: str, cwd: str | None = None) -> Result:
    args = {"command": command, "timeout": 300_000}
    call = Call(sid="s", call_id="c", tool="humfs_bash", args=args, cwd=cwd)
    return await tool.follow(call, lambda stream, text: None)


def corpus(home: Path, cases: int) -> list[str]:
    return list(islice(endless_corpus(home, ENDS), cases))


def prepared(home: Path, paths: Iterable[str]) -> None:
    """Put the probe and its cases into the root."""
    (home / "w/probe.py").write_bytes(Path(path_probe.__file__).read_bytes())
    (home / "w/cases").write_bytes(b"".join(os.fsencode(path) + b"\0" for path in paths))


def probing(home: Path, *, seconds: float = 0.0, acts: str = ALL_ACTS) -> str:
    """The command that goes through the cases."""
    w = home / "w"
    return shlex.join([PYTHON, f"{w}/probe.py", f"{w}/cases", f"{w}/report", str(seconds), acts])


def beside(home: Path, *, seconds: float = 0.0) -> None:
    """The same without a sandbox; the control changes less, for it gets far."""
    argv = shlex.split(probing(home, seconds=seconds, acts="stat,read,append"))
    subprocess.run(argv, cwd=home / "w", env={"HOME": str(home / "w")}, check=True)


def told(home: Path) -> list[str]:
    """What the probe says that it could do; at least something inside it could."""
    lines = (home / "w/report").read_text().splitlines()
    assert any("INSIDE" in line for line in lines), "nothing was tried"
    return lines


def escapes(home: Path, paths: list[str], them: Identities) -> list[str]:
    """What the probe could do and may not."""
    return [
        f"{paths[int(line.split()[0])]!r}: {line}"
        for line in told(home)
        if is_escape(line.split(), them)
    ]


def is_escape(line: list[str], them: Identities) -> bool:
    _, acts, seen, words = line
    touched = set(seen.split(","))
    has_changed = set(acts.split(",")) - {"stat", "read"}
    return (
        "SECRET" in words
        or "DENIED" in words
        or not touched.isdisjoint(them.outside)
        or (bool(has_changed) and not touched.isdisjoint(them.hooks))
    )


async def run_corpus(tree: Path, state: Path, cases: int) -> None:
    """Every case in the sandbox, many in one command."""
    paths, before = corpus(tree, cases), kept(tree)
    async with bash(tree, state) as tool:
        for at in range(0, cases, BATCH):
            batch = paths[at : at + BATCH]
            prepared(tree, batch)
            them = identities(tree)
            result = await follow(tool, probing(tree))
            assert result.metadata.get("exit") == 0, result.output
            assert Layer.BUBBLEWRAP not in result.metadata.get("sandboxMissing", [])
            assert escapes(tree, batch, them) == []
    assert kept(tree) == before


async def test_no_command_does_anything_with_a_path_of_the_corpus_that_leads_out(
    tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    await run_corpus(tree, tmp_path_factory.mktemp("state"), CASES)


@pytest.mark.soak
@pytest.mark.timeout(1_800)
async def test_no_command_does_anything_with_a_path_of_the_large_corpus_that_leads_out(
    tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    await run_corpus(tree, tmp_path_factory.mktemp("state"), CASES_SOAK)


@pytest.mark.parametrize("decide", [str, os.path.normpath, os.path.abspath])
def test_control_judging_strings_and_running_without_a_sandbox_leads_out(
    tree: Path, decide: Callable[[str], str]
) -> None:
    root = str(tree / "w")
    paths = [
        path for path in corpus(tree, CASES) if decide(os.path.join(root, path)).startswith(root)
    ]
    prepared(tree, paths)
    before, them = kept(tree), identities(tree)

    beside(tree)

    assert escapes(tree, paths, them)
    assert kept(tree) != before


async def route_corpus(tree: Path, state: Path, cases: int) -> int:
    """Every case in a command that another tool serves, and as where it runs; how many may run.

    None of these commands is run, so nothing anywhere changes and nothing is shown.
    """
    before, accepted = snapshot(tree), 0
    async with bash(tree, state) as tool:
        for at, path in enumerate(corpus(tree, cases)):
            command = ROUTED[at % len(ROUTED)].format(shlex.quote(path))
            result = await follow(tool, command)
            assert result.metadata["error"] == "routed", command
            assert "SECRET" not in result.output
            placed = await follow(tool, "ls", cwd=path)
            if placed.metadata["error"] == "routed":
                accepted += 1
                assert is_inside(tree, path), path
    assert snapshot(tree) == before
    return accepted


def snapshot(tree: Path) -> list[tuple[str, int, int, int]]:
    """Everything there is, inside and outside, and when it last changed."""
    every = ((str(path), path.lstat()) for path in sorted(tree.rglob("*")))
    return [(path, one.st_ino, one.st_size, one.st_mtime_ns) for path, one in every]


def is_inside(tree: Path, cwd: str) -> bool:
    """Whether a folder is one that a command may run in, by what the system says."""
    root = tree / "w"
    if not cwd.startswith(("/", "~")):
        return True  # it names none, and the first root that may be written is taken
    path = Path(os.path.realpath(root / cwd.replace("~", str(root), 1)))
    is_denied = path == root / "denied" or root / "denied" in path.parents
    return (path == root or root in path.parents) and not is_denied and path.is_dir()


async def test_no_command_that_is_routed_runs_and_none_runs_in_a_folder_outside(
    tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert await route_corpus(tree, tmp_path_factory.mktemp("state"), ROUTED_CASES)


@pytest.mark.soak
@pytest.mark.timeout(1_800)
async def test_no_command_of_the_large_corpus_that_is_routed_runs(
    tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert await route_corpus(tree, tmp_path_factory.mktemp("state"), CASES_SOAK)


RACED = ["a/f", "a/f.py", "a/b/f", "a/new", "link-up/f", "a", "a/../a/f", "a/.git/hooks/f"]
RACE_ACTS = "stat,read,append,create,link,mode"


async def race(tree: Path, state: Path, seconds: float) -> int:
    """Commands run, and sandboxes are made, while a folder and a link out change places.

    How many commands ran to their end.
    """
    prepared(tree, RACED)
    before, them = kept(tree), identities(tree)
    until = time.monotonic() + seconds
    ran = 0
    async with bash(tree, state) as tool:
        with swapping(tree / "w/a", tree / "w/link-up"):
            result = await follow(tool, probing(tree, seconds=seconds / 2, acts=RACE_ACTS))
            ran += result.metadata.get("exit") == 0
            assert escapes_if_any(tree, them) == []
            commands = 0
            while commands < RACE_COMMANDS or time.monotonic() < until:
                commands += 1
                cwd = ("a", ".", "a/b")[commands % 3]
                result = await follow(tool, probing(tree, acts=RACE_ACTS), cwd=cwd)
                ran += result.metadata.get("exit") == 0
                assert escapes_if_any(tree, them) == []
    assert kept(tree) == before
    return ran


def escapes_if_any(tree: Path, them: Identities) -> list[str]:
    """As `escapes`, of the report if a command got so far as to write one."""
    report = tree / "w/report"
    lines = report.read_text().splitlines() if report.exists() else []
    return [line for line in lines if is_escape(line.split(), them)]


@needs_exchange
async def test_no_command_leads_out_during_a_race(
    tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """humfs E146."""
    assert await race(tree, tmp_path_factory.mktemp("state"), RACE_SECONDS)


@needs_exchange
@pytest.mark.soak
@pytest.mark.timeout(300)
async def test_no_command_leads_out_during_a_long_race(
    tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert await race(tree, tmp_path_factory.mktemp("state"), RACE_SECONDS_SOAK)


def with_repository(tree: Path) -> None:
    """What is exchanged holds something that every sandbox has to mount."""
    (tree / "w/a/.git/hooks").mkdir(parents=True)
    (tree / "w/a/.git/hooks/f").write_text("HOOK")


@needs_exchange
async def test_no_sandbox_mounts_what_is_outside_during_a_race(
    tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Most of them are not made then, which is an answer."""
    with_repository(tree)
    await race(tree, tmp_path_factory.mktemp("state"), 0.0)


@needs_exchange
@pytest.mark.soak
@pytest.mark.timeout(300)
async def test_no_sandbox_mounts_what_is_outside_during_a_long_race(
    tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with_repository(tree)
    await race(tree, tmp_path_factory.mktemp("state"), RACE_SECONDS_SOAK)


@needs_exchange
def test_control_without_a_sandbox_a_race_leads_out(tree: Path) -> None:
    prepared(tree, ["a/f"])
    them = identities(tree)

    with swapping(tree / "w/a", tree / "w/link-up"):
        for _ in range(CONTROL_RUNS_MAX):
            beside(tree, seconds=0.1)
            if found := escapes_if_any(tree, them):
                break

    assert found
