"""Copies of humfs that share the work of one call, and what is left of them: nothing."""

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


def test_each_part_is_done_once_and_answered_in_order() -> None:
    said = run(lambda part: [part, f"p\udcff{part}", in_copy()])

    assert said == [[0, "p\udcff0", False], [1, "p\udcff1", True], [2, "p\udcff2", True]]


def test_what_there_is_no_room_for_is_done_here() -> None:
    said = run(lambda part: [part, in_copy()], parts=5)

    assert [part for part, _ in said] == [0, 1, 2, 3, 4]
    assert sum(copied for _, copied in said) == 2


def test_a_copy_that_is_killed_leaves_its_part() -> None:
    def work(part: int) -> Said:
        if in_copy():
            os.kill(os.getpid(), signal.SIGKILL)
        return [part]

    assert run(work) == [[0], [1], [2]]


def test_a_copy_that_fails_leaves_its_part() -> None:
    def work(part: int) -> Said:
        if in_copy():
            raise Refusal(Code.IO, "only there")
        return [part]

    assert run(work) == [[0], [1], [2]]


def test_a_copy_that_says_too_much_leaves_its_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "SAID_BYTES_MAX", 1_000)

    assert run(lambda part: [part, "x" * (2_000_000 if in_copy() else 1)]) == [
        [0, "x"],
        [1, "x"],
        [2, "x"],
    ]


def test_what_fails_here_fails_the_call_and_leaves_no_copy() -> None:
    def work(part: int) -> Said:
        if in_copy():
            signal.pause()
        raise Refusal(Code.IO, "here")

    with pytest.raises(Refusal, match="here"):
        run(work)

    assert psutil.Process().children() == []


def test_a_cancelled_call_waits_for_no_copy() -> None:
    watch = Watch()

    def work(part: int) -> Said:
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
    monkeypatch.setattr(copies, "LOOK_SECONDS", 0.001)

    def work(part: int) -> Said:
        if in_copy():
            signal.pause()
        return [part]

    assert run(work, watch=Watch(0.01)) == [[0], [1], [2]]


def test_a_copy_has_no_descriptor_but_those_it_needs() -> None:
    kept = os.open("/", os.O_RDONLY)
    other = os.open("/", os.O_RDONLY)

    def work(part: int) -> Said:
        return [sorted(fd for fd in range(256) if Path(f"/proc/self/fd/{fd}").exists())]

    try:
        _, (open_there,) = shared(range(2), work, keep=[kept], watch=Watch())
    finally:
        os.close(kept)
        os.close(other)

    assert kept in open_there
    assert other not in open_there
    assert len(open_there) == 2  # and the pipe


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
