"""No edit leads out of the roots: the corpus of paths and the rename race, for each edit tool
(reliability M10, I4; humfs E141, E142, E146, E147).

Whatever is asked, every file outside the root, and every denied and protected one, is afterwards
what it was, and none has come or gone. Each test has its negative control: the obvious wrong way to
write, which leaks on the same paths or in the same race.
"""

import os
import random
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from tests.faults.test_path_escape import PATIENCE, SEED, STARTS, needs_exchange, swapping
from tests.support.humfs import Tools, humfs

from humfs.edge import kernel

CASES = 2_500
CASES_SOAK = 50_000
RACE_CALLS = 150
RACE_SECONDS_SOAK = 60
CONTROL_WRITES_MAX = 200_000
PARTS = (
    *("a", "b", "f.txt", "f.py", "new", ".", "..", "..", "", "denied", "w", "outside", "pipe"),
    *("link-out", "link-up", "link-in", "link-abs", "link-file", "link-denied", "loop", "dangle"),
    *("W", "f ", ".git", "hooks", "config", ".GIT", ".bashrc", "two.txt", "two.py", "~"),
    *("\u2025", "%2e%2e", "file:", "n" * 256, "\udcff", ".git\u200d"),
)
ENDS = ("f.txt", "f.py", "new.txt", "new.py", "a/f.txt", "deep/er/new.py", "", "x" * 8_192)

Act = Callable[[Tools, str, int], object]


@pytest.fixture(autouse=True)
def _no_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on the platter is not asked here."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A root `w` with links of every kind and a sibling `outside`, each with a text and code."""
    for name in ("w/a/b", "w/b", "w/denied", "w/.git/hooks", "w2", "outside/a/b", "outside/deep"):
        (tmp_path / name).mkdir(parents=True)
    for directory in [tmp_path, *(one for one in tmp_path.rglob("*") if one.is_dir())]:
        (directory / "f.txt").write_text("SECRET\n")
        (directory / "f.py").write_text("secret = 1\n")
    for name, target in (
        ("link-out", tmp_path / "outside"),
        ("link-up", Path("../outside")),
        ("link-in", Path("a")),
        ("link-abs", tmp_path / "w/a"),
        ("link-file", Path("../outside/f.txt")),
        ("link-denied", Path("denied")),
        ("loop", Path("loop")),
        ("dangle", Path("../outside/new.txt")),
    ):
        (tmp_path / "w" / name).symlink_to(target)
    for suffix in ("txt", "py"):
        (tmp_path / f"w/two.{suffix}").hardlink_to(tmp_path / f"outside/f.{suffix}")
    os.mkfifo(tmp_path / "w/pipe")
    return tmp_path


@pytest.fixture(params=[kernel.open_with_openat2, kernel.open_by_components])
def tools(
    request: pytest.FixtureRequest, home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tools]:
    opener: kernel.Opener = request.param
    if opener is kernel.open_with_openat2 and kernel.best_opener() is not opener:
        pytest.skip("this kernel has no openat2")
    state = tmp_path_factory.mktemp("state")
    state.chmod(0o700)
    with humfs(
        (home / "w", "rw"), state=state, denied=(home / "w/denied",), opener=opener
    ) as tools:
        yield tools


def forbidden(home: Path) -> dict[str, tuple[int, bytes]]:
    """Everything no edit may touch: its inode and content."""
    found = {}
    kept = [home / "w/denied", home / "w/.git/hooks", home / "w2", home / "outside"]
    inside = (path for directory in kept for path in [directory, *directory.rglob("*")])
    for path in [*home.iterdir(), *inside]:
        status = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found[str(path)] = (status.st_ino, content)
    for name in (".git/config", ".bashrc", ".GIT/hooks", "a/.bashrc", "two.txt", "two.py"):
        path = home / "w" / name
        found[name] = (0, path.read_bytes()) if path.is_file() else (0, b"")
    return found


def corpus(home: Path, cases: int) -> Iterator[str]:
    """Paths that climb, loop, follow links and look alike; the same in every run."""
    chance = random.Random(SEED)
    for _ in range(cases):
        start = chance.choice(STARTS).format(w=home / "w", home=home)
        parts = [chance.choice(PARTS) for _ in range(chance.randint(0, 6))]
        yield "/".join([start, *parts, chance.choice(ENDS)])


def overwrite(tools: Tools, path: str, at: int) -> object:
    tools.code(path, new_source=f"x = {at}\n")
    return tools.text(path, replace=f"{at}\n")


def create(tools: Tools, path: str, at: int) -> object:
    tools.code(path + f"{at}.py", operation="create", new_source="x = 1\n")
    return tools.text(path + f"{at}.txt", replace="x\n")


def edit(tools: Tools, path: str, at: int) -> object:
    tools.code(path, symbol="secret", new_source=f"secret = {at}")
    tools.code(path, symbol="secret", operation="insert_after", new_source=f"x{at} = 1")
    return tools.text(path, word="SECRET", replace=f"SECRET {at}")


def move(tools: Tools, path: str, at: int) -> object:
    """Out of the root from inside, and into it from anywhere."""
    tools.text(f"m{at}.txt", replace="x\n")
    tools.code(f"m{at}.py", operation="create", new_source="x = 1\n")
    tools.text(f"m{at}.txt", operation="move", new_path=path + f"{at}.txt")
    tools.code(f"m{at}.py", operation="move", new_path=path + f"{at}.py")
    return tools.text(path, operation="move", new_path=f"taken{at}.txt")


def remove(tools: Tools, path: str, at: int) -> object:
    tools.code(path, operation="remove")
    return tools.text(path, operation="remove")


ACTS = (overwrite, create, edit, move, remove)


def run_corpus(tools: Tools, home: Path, act: Act, cases: int) -> None:
    before = forbidden(home)

    for at, path in enumerate(corpus(home, cases)):
        act(tools, path, at)

    assert forbidden(home) == before
    assert list(home.rglob(".hum-*")) == []


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
def test_no_path_of_the_corpus_is_written_outside(tools: Tools, home: Path, act: Act) -> None:
    run_corpus(tools, home, act, CASES // len(ACTS))


@pytest.mark.soak
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
def test_no_path_of_the_large_corpus_is_written_outside(tools: Tools, home: Path, act: Act) -> None:
    run_corpus(tools, home, act, CASES_SOAK)


def naive(home: Path, decide: Callable[[str], str]) -> Callable[[str], None]:
    """The wrong way: judge a string, then write there."""
    root = str(home / "w")

    def write(asked: str) -> None:
        path = decide(os.path.join(root, asked))
        if not path.startswith(root):
            raise PermissionError
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK, 0o600)
        os.write(handle, b"LEAK")
        os.close(handle)

    return write


@pytest.mark.parametrize("decide", [str, os.path.normpath, os.path.abspath])
def test_control_judging_strings_writes_outside(home: Path, decide: Callable[[str], str]) -> None:
    before, write = forbidden(home), naive(home, decide)

    for path in corpus(home, CASES):
        try:
            write(path)
        except (OSError, ValueError):
            continue

    assert forbidden(home) != before


@needs_exchange
@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
def test_nothing_outside_is_touched_during_a_race(tools: Tools, home: Path, act: Act) -> None:
    """humfs E146."""
    before = forbidden(home)

    with swapping(home / "w/a", home / "w/link-up"):
        for at in range(RACE_CALLS):
            act(tools, f"a/{ENDS[at % 4]}", at)

    assert forbidden(home) == before


@needs_exchange
@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
def test_nothing_outside_is_touched_during_a_long_race(tools: Tools, home: Path, act: Act) -> None:
    before = forbidden(home)
    until = time.monotonic() + RACE_SECONDS_SOAK

    with swapping(home / "w/a", home / "w/link-up"):
        for at in count():
            act(tools, f"a/{ENDS[at % 4]}", at)
            if time.monotonic() > until:
                break

    assert forbidden(home) == before


@needs_exchange
def test_edits_go_on_inside_during_a_race(tools: Tools, home: Path) -> None:
    """A race costs refusals, not service."""
    written = 0

    with swapping(home / "w/a", home / "w/link-up"):
        for at in range(RACE_CALLS * PATIENCE):
            written += not tools.text("a/f.txt", replace=f"{at}\n").is_error
            if written:
                break

    assert written


@needs_exchange
def test_control_resolving_and_then_writing_loses_the_race(home: Path) -> None:
    before, write = forbidden(home), naive(home, os.path.realpath)

    with swapping(home / "w/a", home / "w/link-up"):
        for at in range(CONTROL_WRITES_MAX):
            try:
                write("a/f.txt")
            except OSError:
                continue
            if at % 200 == 0 and forbidden(home) != before:
                break

    assert forbidden(home) != before
