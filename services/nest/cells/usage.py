"""What running cells take: memory and processor time of whole trees."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import psutil


@dataclass(slots=True)
class Usage:
    """What one tree takes, its guard included."""

    rss_bytes: int = 0
    cpu_seconds: float = 0.0
    """Since its start; of processes that ended as far as somebody in the tree waited for them."""
    processes: int = 0


def measured(pids: Iterable[int]) -> dict[int, Usage]:
    """What the trees below these processes take; one look at the process table for all of them."""
    children: dict[int, list[psutil.Process]] = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            children.setdefault(process.ppid(), []).append(process)
    return {pid: _tree(pid, children) for pid in pids}


def _tree(root: int, children: dict[int, list[psutil.Process]]) -> Usage:
    usage = Usage()
    waiting = []
    with suppress(psutil.Error):
        waiting.append(psutil.Process(root))
    while waiting:
        process = waiting.pop()
        waiting += children.get(process.pid, ())
        with suppress(psutil.Error), process.oneshot():
            times = process.cpu_times()
            usage.cpu_seconds += sum(times[:4])
            usage.rss_bytes += process.memory_info().rss
            usage.processes += 1
    return usage
