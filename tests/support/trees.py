"""Process trees that are hard to end: sessions of their own and daemons by double fork.

Every process of a tree is a `sleep` for a number of seconds that names the tree.
"""

import os
import select
import time

import psutil

from nest.cells.orders import Order

SIZE = 6
"""Sleepers of a tree; above them stands the shell that started it."""
TREE = """
sleep {token}1 &
setsid sleep {token}1 &
setsid sh -c 'setsid sleep {token}1 & exec sleep {token}1' &
(setsid sh -c '(exec sleep {token}1) & exit' &)
sh -c 'sh -c "exec sleep {token}1"' &
until [ "$(pgrep -cf '^sleep {token}1$')" = 6 ]; do :; done
echo
wait
"""


def order(token: str, *, makes_namespace: bool = True, script: str = TREE) -> Order:
    """A tree whose processes name `token`; it writes a line when it stands."""
    return Order(
        argv=("/bin/sh", "-c", script.format(token=token)),
        env={"PATH": os.defpath},
        makes_namespace=makes_namespace,
    )


def sleepers(token: str) -> list[psutil.Process]:
    """The processes of every tree whose token starts with `token`."""
    found = []
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
        except (psutil.Error, OSError):
            continue
        if len(command) == 2 and command[0] == "sleep" and command[1].startswith(token):
            found.append(process)
    return found


def survivors(processes: list[psutil.Process], *, seconds: float) -> list[psutil.Process]:
    """Those that still run after so long. One that has ended and waits to be reaped does not."""
    until = time.monotonic() + seconds
    return [process for process in processes if not _ends(process, until)]


def _ends(process: psutil.Process, until: float) -> bool:
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], max(0.0, until - time.monotonic()))[0])
    finally:
        os.close(handle)


def branches(root: int, process: psutil.Process) -> bool:
    """Whether `process` still descends from `root`."""
    return root in [parent.pid for parent in process.parents()] or process.pid == root
