"""Children that are forks of the test, and what they tell while they live.

A fork starts in milliseconds. It never returns into the test: it ends with a code.
"""

import mmap
import os
import signal
import struct
import sys
import time
from collections.abc import Callable

from thrum.errors import LocalError

DONE, TYPED, UNTYPED = 0, 3, 4
"""How a fork ends: its work done, with an error of ours, with any other."""

_BOARD = struct.Struct("<QQ")


class Board:
    """Numbers that outlive whoever wrote them, without a system call."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, mmap.PAGESIZE)

    def acknowledge(self, number: int) -> None:
        _BOARD.pack_into(self._memory, 0, max(number, self.acknowledged), self.refused)

    def refuse(self) -> None:
        _BOARD.pack_into(self._memory, 0, self.acknowledged, self.refused + 1)

    @property
    def acknowledged(self) -> int:
        """The highest number."""
        return int(_BOARD.unpack_from(self._memory)[0])

    @property
    def refused(self) -> int:
        """How often."""
        return int(_BOARD.unpack_from(self._memory)[1])

    def close(self) -> None:
        self._memory.close()


def forked(work: Callable[[], None]) -> int:
    """The pid of a child that does `work` and ends; the caller waits for it."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = UNTYPED
    try:
        work()
        code = DONE
    except LocalError:
        code = TYPED
    except BaseException as problem:  # noqa: BLE001 - the child ends here, whatever it was
        os.write(2, f"{type(problem).__name__}: {problem}\n".encode())
    finally:
        os._exit(code)


def ended(pid: int) -> int:
    """Wait for a child; its code, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def killed_after(work: Callable[[], None], seconds: float) -> int:
    """Let a child work for so long, then kill it; as `ended`."""
    pid = forked(work)
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    return ended(pid)
