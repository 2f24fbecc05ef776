"""A fork with one system call broken, by strace.

The child is attached while it waits, so what Python does to start is not among the calls.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.faults.rigs.forks import ended, forked

CALLS = (
    *("write", "pwrite64", "fdatasync", "fsync", "ftruncate"),
    *("rename", "renameat", "renameat2", "openat", "unlink", "unlinkat", "link", "linkat"),
    *("mkdir", "mkdirat"),
)
"""What changes a disk. An architecture has some of them; what it lacks is marked with a `?`."""
MARK = "kill"
"""`os.kill(self, 0)` leaves a line in the trace: the workload says that it acknowledged."""

_LINE = re.compile(r"(?:[0-9]+ +)?([a-z0-9]+)\(")


@dataclass(frozen=True, slots=True)
class Traced:
    """How a child ended, and the lines of its trace."""

    status: int
    lines: list[str]

    def calls(self, name: str) -> list[str]:
        return [line for line in self.lines if call_of(line) == name]

    @property
    def marks_after_injection(self) -> int:
        """Acknowledgements after the first call that was made to fail; -1 when none was."""
        broken = [at for at, line in enumerate(self.lines) if "(INJECTED)" in line]
        if not broken:
            return -1
        return sum(call_of(line) == MARK for line in self.lines[broken[0] :])


def call_of(line: str) -> str:
    match = _LINE.match(line)
    return match[1] if match else ""


def mark() -> None:
    """Leave a line in the trace."""
    os.kill(os.getpid(), 0)


def require_strace(scratch: Path) -> None:
    """Skip the test where strace is missing or may not trace."""
    if shutil.which("strace") is None:
        pytest.skip("all system calls: there is no strace")
    if traced(lambda: None, scratch / "probe").status != 0:
        pytest.skip("all system calls: strace may not trace here")


def traced(work: Callable[[], None], trace: Path, inject: str | None = None) -> Traced:
    """Let a fork do `work` under strace, with `inject` as in its manual.

    The status is -1000 when strace could not attach.
    """
    ready, go = os.pipe()

    def wait_and_work() -> None:
        os.close(go)
        os.read(ready, 1)
        work()

    pid = forked(wait_and_work)
    os.close(ready)
    names = ",".join(f"?{name}" for name in (*CALLS, MARK))
    command = ["strace", "-f", "-o", str(trace), "-e", f"trace={names}", "-e", "signal=none"]
    command += [*(["-e", f"inject={inject}"] if inject else []), "-p", str(pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL) as tracer:
        assert tracer.stderr is not None
        said = tracer.stderr.readline()
        is_attached = b"attached" in said
        if is_attached:
            os.write(go, b"x")
        os.close(go)
        status = ended(pid)
        tracer.stderr.read()
    lines = trace.read_text("utf-8", "replace").splitlines() if trace.exists() else []
    return Traced(status if is_attached else -1000, lines)
