"""No path leads out of the roots: a static corpus and a rename race (reliability M10, I4; humfs
E146).

Everything outside the root holds the word SECRET, everything inside INSIDE, what is denied DENIED.
Each test has its negative control: the obvious wrong way to open, which leaks on the same paths or
in the same race.
"""

import os
import random
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path

import pytest

from humfs.edge import kernel
from humfs.edge.roots import Roots
from humfs.edge.watch import Watch
from humfs.errors import Refusal
from humfs.tools.read import Read
from humfs.tools.tool import Call

Opening = Callable[[str], bytes]

CASES = 6_000
CASES_SOAK = 50_000
TOOL_CASES = 400
RACE_OPENS = 6_000
CONTROL_OPENS_MAX = 400_000
PATIENCE = 20
"""On a busy machine the other side may win every time for a while; so many times more we try."""
RACE_CALLS = 400
RACE_SECONDS_SOAK = 60
SEED = 4

PARTS = (
    *("a", "b", "f", "missing", ".", "..", "..", "", "denied", "w", "outside", "pipe"),
    *("link-out", "link-up", "link-in", "link-abs", "link-file", "link-denied", "loop", "W", "f "),
)
STARTS = (
    *("{w}", "{w}", "{w}/a", "{w}2", "{home}", "{home}/outside"),
    *("", "a", "..", "/", "~", "{w}/.."),
)

SWAPPER = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
left, right = (os.fsencode(path) for path in sys.argv[1:3])
print("ready", flush=True)
while True:
    for _ in range(1_000):
        libc.renameat2(-100, left, -100, right, 2)
    if os.getppid() != int(sys.argv[3]):
        break
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A root `w` with links of every kind, a sibling `w2`, and `outside`."""
    for directory, word in (
        *((name, "INSIDE") for name in ("w", "w/a", "w/a/b", "w/b")),
        *((name, "SECRET") for name in (".", "w2", "outside", "outside/a", "outside/b")),
        ("w/denied", "DENIED"),
    ):
        (tmp_path / directory).mkdir(exist_ok=True)
        (tmp_path / directory / "f").write_text(word)
        (tmp_path / directory / "f.py").write_text(f"{word} = 1\n")
    for name, target in (
        ("link-out", str(tmp_path / "outside")),
        ("link-up", "../outside"),
        ("link-in", "a"),
        ("link-abs", str(tmp_path / "w/a")),
        ("link-file", "../outside/f"),
        ("link-denied", "denied"),
        ("loop", "loop"),
    ):
        for directory in ("w", "w/a"):
            deeper = "" if directory == "w" or target.startswith("/") else "../"
            (tmp_path / directory / name).symlink_to(deeper + target)
    os.mkfifo(tmp_path / "w/pipe")
    return tmp_path


@pytest.fixture(params=[kernel.open_with_openat2, kernel.open_by_components])
def roots(request: pytest.FixtureRequest, home: Path) -> Iterator[Roots]:
    opener: kernel.Opener = request.param
    if opener is kernel.open_with_openat2 and kernel.best_opener() is not opener:
        pytest.skip("this kernel has no openat2")
    made = Roots(
        [(str(home / "w"), "rw")], [str(home / "w/denied")], home=str(home / "w"), opener=opener
    )
    yield made
    made.close()


def opening(roots: Roots) -> Opening:
    """What humfs does."""

    def read(asked: str) -> bytes:
        with roots.open(asked) as opened:
            return b"" if opened.is_directory else os.read(opened.handle, 100)

    return read


def naive(home: Path, decide: Callable[[str], str]) -> Opening:
    """The wrong way: judge a string, then open it."""
    root = str(home / "w")

    def read(asked: str) -> bytes:
        path = decide(os.path.join(root, asked))
        if not path.startswith(root):
            raise PermissionError
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            return os.read(handle, 100)
        finally:
            os.close(handle)

    return read


ENDS = ("f", "f", "", "a/f")


def corpus(home: Path, cases: int = CASES, ends: tuple[str, ...] = ENDS) -> list[str]:
    """Paths that climb, loop, follow links and look alike; the same in every run."""
    return list(islice(endless_corpus(home, ends), cases))


def endless_corpus(home: Path, ends: tuple[str, ...] = ENDS) -> Iterator[str]:
    chance = random.Random(SEED)
    while True:
        start = chance.choice(STARTS).format(w=home / "w", home=home)
        parts = [chance.choice(PARTS) for _ in range(chance.randint(0, 6))]
        yield "/".join([start, *parts, chance.choice(ends)])


def leaks(read: Opening, paths: list[str]) -> list[str]:
    """The paths whose content is not from inside."""
    leaked = []
    for asked in paths:
        try:
            content = read(asked)
        except (OSError, Refusal, ValueError):
            continue
        if content not in (b"INSIDE", b""):
            leaked.append(asked)
    return leaked


def test_no_path_of_the_corpus_reads_what_is_outside_or_denied(roots: Roots, home: Path) -> None:
    assert leaks(opening(roots), corpus(home)) == []


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_no_path_of_the_large_corpus_reads_what_is_outside_or_denied(
    roots: Roots, home: Path
) -> None:
    assert leaks(opening(roots), corpus(home, CASES_SOAK)) == []


READS: tuple[dict[str, str], ...] = (
    {},
    {"symbol": "SECRET"},
    {"query": "secret"},
    {"pattern": "SECRET|DENIED|INSIDE"},
)
"""Every way to read, each answered with words of a file."""
TOOL_ENDS = ("f", "f.py", "", "*", "**/f", "**/*.py", "{a,b}/f*", "a/f.py", "?")


def read_corpus(roots: Roots, home: Path, args: dict[str, str], cases: int) -> int:
    """Read every path of the corpus; how many were answered. What was shown is from inside."""
    tool, answered = Read(roots), 0
    for at, path in enumerate(corpus(home, cases, TOOL_ENDS)):
        call = Call(sid="s", call_id=str(at), tool="humfs_read", args={"file_path": path, **args})
        try:
            result = tool.run(call, Watch())
        except Refusal:
            continue
        answered += 1
        shown = result.output.replace(path, "")
        assert "SECRET" not in shown, (path, shown)
        assert "DENIED" not in shown, (path, shown)
    return answered


@pytest.mark.parametrize("args", READS, ids=str)
def test_no_call_on_a_path_of_the_corpus_shows_what_is_outside(
    roots: Roots, home: Path, args: dict[str, str]
) -> None:
    answered = read_corpus(roots, home, args, TOOL_CASES)

    assert answered > 0 or args in READS[1:3]  # nothing inside has a name like it


@pytest.mark.soak
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("args", READS, ids=str)
def test_no_call_on_a_path_of_the_large_corpus_shows_what_is_outside(
    roots: Roots, home: Path, args: dict[str, str]
) -> None:
    answered = read_corpus(roots, home, args, CASES_SOAK)

    assert answered > 0 or args in READS[1:3]


def test_what_lies_inside_is_never_refused(roots: Roots, home: Path) -> None:
    read = opening(roots)
    inside = 0
    for asked in corpus(home):
        if not asked.startswith(f"{home}/w/") or "link-out" in asked or "link-up" in asked:
            continue
        try:
            is_file = stat.S_ISREG(os.stat(asked).st_mode)
        except OSError:
            continue
        path = os.path.realpath(asked)
        if is_file and path.startswith(f"{home}/w/") and "denied" not in asked:
            inside += 1
            assert read(asked) == b"INSIDE", asked

    assert inside > 100


@pytest.mark.parametrize("decide", [str, os.path.normpath, os.path.abspath])
def test_control_judging_strings_leaks_on_the_corpus(
    home: Path, decide: Callable[[str], str]
) -> None:
    assert leaks(naive(home, decide), corpus(home))


@contextmanager
def swapping(left: Path, right: Path) -> Iterator[None]:
    """Another process exchanges two paths as fast as it can."""
    argv = [sys.executable, "-I", "-S", "-c", SWAPPER, str(left), str(right), str(os.getpid())]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as swapper:
        try:
            assert swapper.stdout is not None
            assert swapper.stdout.readline() == b"ready\n"
            yield
        finally:
            swapper.kill()


needs_exchange = pytest.mark.skipif(sys.platform != "linux", reason="needs renameat2")


def raced(read: Opening, asked: str, *, opens: int, until: bytes) -> dict[bytes, int]:
    """What a path held over many opens; ends early once `until` was seen."""
    seen: dict[bytes, int] = {}
    for _ in range(opens):
        try:
            content = read(asked)
        except (OSError, Refusal):
            content = b"refused"
        seen[content] = seen.get(content, 0) + 1
        if content == until:
            break
    return seen


@needs_exchange
@pytest.mark.parametrize("target", ["link-up", "outside-link"])
def test_a_swapped_link_never_leads_out(roots: Roots, home: Path, target: str) -> None:
    """humfs E146."""
    (home / "w/outside-link").symlink_to(home / "outside")

    with swapping(home / "w/a", home / "w" / target):
        seen = raced(opening(roots), "a/f", opens=RACE_OPENS, until=b"SECRET")

    assert b"SECRET" not in seen
    assert seen[b"INSIDE"] > 0
    assert seen[b"refused"] > 0


@needs_exchange
def test_a_swapped_link_to_a_denied_directory_never_leads_there(roots: Roots, home: Path) -> None:
    with swapping(home / "w/a", home / "w/link-denied"):
        seen = raced(opening(roots), "a/f", opens=RACE_OPENS, until=b"DENIED")

    assert b"DENIED" not in seen
    assert seen[b"INSIDE"] > 0


@needs_exchange
def test_control_resolving_and_then_opening_loses_the_race(home: Path) -> None:
    with swapping(home / "w/a", home / "w/link-up"):
        read = naive(home, os.path.realpath)
        seen = raced(read, "a/f", opens=CONTROL_OPENS_MAX, until=b"SECRET")

    assert seen.get(b"SECRET") == 1


RACED = (
    {"file_path": "a/f"},
    {"file_path": "a/*"},
    {"file_path": "**/f"},
    {"file_path": "a", "pattern": "SECRET|INSIDE"},
)


@needs_exchange
@pytest.mark.parametrize("args", RACED, ids=str)
def test_no_call_answers_with_what_is_outside_during_a_race(
    roots: Roots, home: Path, args: dict[str, str]
) -> None:
    tool = Read(roots)
    answered = 0
    calls = RACE_CALLS if "pattern" not in args else RACE_CALLS // 10

    with swapping(home / "w/a", home / "w/link-up"):
        for at in range(calls * PATIENCE):
            if at >= calls and answered:
                break
            call = Call(sid="s", call_id=str(at), tool="humfs_read", args=args)
            try:
                output = tool.run(call, Watch()).output
            except Refusal:
                continue
            answered += 1
            assert "SECRET" not in output

    assert answered > 0


@needs_exchange
@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("args", RACED, ids=str)
def test_no_call_answers_with_what_is_outside_during_a_long_race(
    roots: Roots, home: Path, args: dict[str, str]
) -> None:
    tool, answered = Read(roots), 0
    until = time.monotonic() + RACE_SECONDS_SOAK

    with swapping(home / "w/a", home / "w/link-up"):
        for at in count():
            call = Call(sid="s", call_id=str(at), tool="humfs_read", args=args)
            try:
                output = tool.run(call, Watch()).output
            except Refusal:
                continue
            finally:
                is_over = time.monotonic() > until
            answered += 1
            assert "SECRET" not in output
            if is_over and answered:
                break

    assert answered > 0
