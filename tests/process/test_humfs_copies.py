"""Copies of humfs that share the work of one call, and what is left of them: nothing."""

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from tests.support.humfs import Tools, humfs

from humfs.edge import copies
from humfs.edge.copies import Said, shared
from humfs.edge.watch import Watch
from humfs.errors import Code, Refusal
from humfs.tools import sources

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform != "linux", reason="copies are made on Linux"),
]

ROOT = Path(__file__).resolve().parents[2]
HERE = os.getpid()
FILES = 600
FORKS = multiprocessing.get_context("fork")
WAIT_SECONDS = 60


@pytest.fixture(autouse=True)
def _room(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two copies at a time, however many processors there are; all places free at the end."""
    free = threading.BoundedSemaphore(2)
    monkeypatch.setattr(copies, "_free", free)
    yield
    assert [free.acquire(blocking=False) for _ in range(2)] == [True, True]


def run(work: Callable[[int], Said], parts: int = 3, watch: Watch | None = None) -> list[Said]:
    said = shared(range(parts), work, keep=[], watch=watch or Watch())
    assert psutil.Process().children() == []
    return said


def in_copy() -> bool:
    return os.getpid() != HERE


class Begun:
    """To be called in every part: the first of each process waits until so many have one."""

    def __init__(self, processes: int) -> None:
        self._barrier = FORKS.Barrier(processes)
        self._has_waited = False

    def __call__(self) -> None:
        if not self._has_waited:
            self._has_waited = True
            self._barrier.wait(WAIT_SECONDS)


def test_each_part_is_done_once_and_answered_in_order() -> None:
    begun = Begun(3)

    def work(part: int) -> Said:
        begun()
        return [part, f"p\udcff{part}", os.getpid()]

    said = run(work, parts=20)

    assert [one[:2] for one in said] == [[part, f"p\udcff{part}"] for part in range(20)]
    assert len({pid for _, _, pid in said}) == 3


def test_whoever_is_free_takes_the_next_part() -> None:
    begun, is_done = Begun(3), FORKS.Event()

    def work(part: int) -> Said:
        begun()
        if not in_copy():  # one long part here: all others go to the copies
            assert is_done.wait(WAIT_SECONDS)
        if part == 9:
            is_done.set()
        return [part, in_copy()]

    said = run(work, parts=10)

    assert [part for part, _ in said] == list(range(10))
    assert sum(copied for _, copied in said) == 9


def test_without_room_for_copies_all_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> int:
        raise OSError(errno.EAGAIN, "no more processes")

    monkeypatch.setattr(os, "fork", none)

    assert run(lambda part: [part, in_copy()], parts=5) == [[part, False] for part in range(5)]


def test_without_a_pipe_all_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> tuple[int, int]:
        raise OSError(errno.EMFILE, "no more descriptors")

    monkeypatch.setattr(os, "pipe", none)

    assert run(lambda part: [part, in_copy()], parts=5) == [[part, False] for part in range(5)]


def test_a_copy_that_is_killed_leaves_its_part() -> None:
    begun = Begun(3)

    def work(part: int) -> Said:
        begun()
        if in_copy():
            os.kill(os.getpid(), signal.SIGKILL)
        return [part]

    assert run(work) == [[0], [1], [2]]


def test_a_copy_that_fails_leaves_its_part() -> None:
    begun = Begun(3)

    def work(part: int) -> Said:
        begun()
        if in_copy():
            raise Refusal(Code.IO, "only there")
        return [part]

    assert run(work) == [[0], [1], [2]]


def test_a_copy_that_says_too_much_leaves_its_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun = Begun(3)
    monkeypatch.setattr(copies, "SAID_BYTES_MAX", 1_000)

    def work(part: int) -> Said:
        begun()
        return [part, "x" * (2_000_000 if in_copy() else 1)]

    assert run(work) == [[0, "x"], [1, "x"], [2, "x"]]


def test_what_fails_here_fails_the_call_and_leaves_no_copy() -> None:
    begun = Begun(3)

    def work(part: int) -> Said:
        begun()
        if in_copy():
            signal.pause()
        raise Refusal(Code.IO, "here")

    with pytest.raises(Refusal, match="here"):
        run(work)

    assert psutil.Process().children() == []


def test_a_cancelled_call_waits_for_no_copy() -> None:
    begun = Begun(3)
    watch = Watch()

    def work(part: int) -> Said:
        begun()
        if in_copy():
            signal.pause()
        watch.cancel()
        return [part]

    with pytest.raises(Refusal) as refused:
        run(work, watch=watch)

    assert refused.value.code is Code.CANCELLED
    assert psutil.Process().children() == []


def test_a_copy_that_never_answers_is_given_up_when_the_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun = Begun(3)
    monkeypatch.setattr(copies, "LOOK_SECONDS", 0.001)

    def work(part: int) -> Said:
        begun()
        if in_copy():
            signal.pause()
        return [part]

    assert run(work, watch=Watch(0.01)) == [[0], [1], [2]]


def test_a_copy_has_no_descriptor_but_those_it_needs() -> None:
    begun = Begun(2)
    kept = os.open("/", os.O_RDONLY)
    other = os.open("/", os.O_RDONLY)

    def work(part: int) -> Said:
        begun()
        if not in_copy():
            return []
        return [sorted(fd for fd in range(256) if Path(f"/proc/self/fd/{fd}").exists())]

    try:
        said = shared(range(2), work, keep=[kept], watch=Watch())
    finally:
        os.close(kept)
        os.close(other)

    ((open_there,),) = filter(None, said)
    assert kept in open_there
    assert other not in open_there
    assert len(open_there) == 3  # and the pipes for parts and for what it says


def test_a_copy_dies_with_its_parent() -> None:
    program = (
        "import os, signal, sys\n"
        "from humfs.edge.copies import shared\n"
        "from humfs.edge.watch import Watch\n"
        "here = os.getpid()\n"
        "reads, writes = os.pipe()\n"
        "def work(part):\n"
        "    if os.getpid() != here:\n"
        "        os.write(writes, str(os.getpid()).encode())\n"
        "        signal.pause()\n"
        "    sys.stdout.write(os.read(reads, 20).decode() + '\\n')\n"
        "    sys.stdout.flush()\n"
        "    signal.pause()\n"
        "shared(range(2), work, keep=[writes], watch=Watch())\n"
    )
    command = [sys.executable, "-c", program]
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "services")}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        copy = psutil.Process(int(parent.stdout.readline()))

        parent.kill()

    gone, _ = psutil.wait_procs([copy], timeout=20)
    assert gone or copy.status() == psutil.STATUS_ZOMBIE


@pytest.fixture
def tools(tmp_path: Path) -> Iterator[Tools]:
    root = tmp_path / "w"
    for number in range(FILES):
        folder = root / f"d{number % 7}"
        folder.mkdir(parents=True, exist_ok=True)
        text = f"def handler_{number}(x):\n    return {number % 9}\n"
        (folder / f"m{number}.py").write_text(text)
    (root / "d0" / "binary.py").write_bytes(b"\0")
    (root / "d6" / "binary.py").write_bytes(b"\0")
    with humfs((root, "rw"), state=tmp_path / "state") as made:
        yield made


@pytest.mark.parametrize(
    "args", [{"pattern": "return 7"}, {"pattern": "nowhere"}, {"query": "hand"}, {"query": "er_"}]
)
def test_a_search_answers_the_same_however_many_share_it(
    tools: Tools, args: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tools.changes.roots.roots[0].path
    forks = list[int]()
    fork = os.fork

    def counted() -> int:
        forks.append(1)
        return fork()

    monkeypatch.setattr(os, "fork", counted)
    monkeypatch.setattr(sources, "processors", lambda: 3)
    several = tools.read(root, **args)
    made = len(forks)
    monkeypatch.setattr(sources, "processors", lambda: 1)
    alone = tools.read(root, **args)

    assert (several.output, several.metadata) == (alone.output, alone.metadata)
    assert alone.metadata["skipped"] == 2 or alone.is_error
    assert made >= 2
    assert len(forks) == made
