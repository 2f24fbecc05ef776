"""The program that stands above a cell: it starts one program and ends everything below it.

Started by `nest.cells.cell`, with two pipes. On the control pipe comes an order, then `T` (send
SIGTERM to the program's process group) any number of times; the end of that pipe, however it comes,
means: end the tree. On the report pipe goes one line for each thing that happens:

    namespace          the tree has a pid namespace of its own
    wall <name> <...>  a wall that was asked for is up: cgroup, seccomp, landlock
    started            the program runs
    failed <text>      it could not be started; nothing runs
    exited <status> <cpu> <peak>
                       it ended; 128 and the signal when a signal ended it. Seconds of processor
                       and most kilobytes of memory, its own and of what it waited for
    lost <numbers>     of these mounts of the order something else has the name by now, so that
                       everything is killed
    (end of the pipe)  nothing of the tree is left

In a pid namespace the guard is process 1: it reaps what is orphaned, nothing below can harm it, and
when it ends the kernel ends the rest. The process that made the namespace waits outside and ends
with it; when that one is killed, process 1 is too. Without a namespace the guard is the reaper of
its descendants (Linux), so that none leaves its sight; it stops them all, then kills them.

The standard library only. Nothing here logs or raises for long: what cannot be done is reported.
"""

import contextlib
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator

from nest.cells import kernel, walls
from nest.cells.mounts import CHECK_SECONDS, Mounts
from nest.cells.orders import Order, Walls

TERMINATE = b"T"
"""On the control pipe: ask the program's process group to end."""
KILL_SECONDS = 4.0
"""How long a tree without a namespace is hunted; forks may outrun us, and then it is reported."""
LOST_MAX = 20
"""Mounts that are named when they are lost."""
SHELL_SIGNAL_BASE = 128
EXEC_FAILED = 127

_DEFAULT_SIGNALS = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD)
"""What Python changed, or we did, and the program expects as it was."""


def main(control: int, report: int) -> None:
    """Run the one order that comes on `control`; return when nothing of it is left."""
    for handle in (control, report):
        os.set_inheritable(handle, False)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # only the control pipe ends us
    try:
        order = Order.read(lambda length: os.read(control, length))
        kernel.close_all_but({0, 1, 2, control, report, *order.walls.groups})
        has_namespace = os.getpid() == 1
        if order.makes_namespace and kernel.has_entered_namespace():
            _become_first(control, report)
            has_namespace = True
        if has_namespace:
            _say(report, "namespace")
        else:
            kernel.become_reaper()
        kernel.hide_memory()
        _limit(order)
        mounts = Mounts(order.walls.pinned) if order.walls.pinned else None
        for wall in walls.raised(order.walls):
            _say(report, f"wall {wall}")
        way_out = _way_out(order.walls) if order.walls.port else None
        with _children_wake() as wake:
            program = _start(order, report)
            if program is not None:
                if way_out is not None:
                    way_out()  # a thread, so after the fork
                _say(report, "started")
                _supervise(program, control, report, wake, mounts)
    except (OSError, ValueError) as problem:
        _say(report, f"failed {problem}")
    finally:
        if os.getpid() != 1:  # the kernel ends what is below process 1
            end_descendants()


def _way_out(walls: Walls) -> Callable[[], None]:
    """Listen on the port that leads out; what serves it from then on."""
    from nest.cells import forward  # sockets and threads, which few guards need

    listener = forward.listening(walls.port)
    return lambda: forward.serve(listener, walls.socket)


def _become_first(control: int, report: int) -> None:
    """Go on as process 1 of the new namespace; the process before waits and ends with it."""
    alive, ours = os.pipe()
    first = os.fork()
    if first:
        for handle in (control, report, alive, 0, 1, 2):
            os.close(handle)
        _, status = os.waitpid(first, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    kernel.die_with_parent()
    os.close(ours)
    if select.select([alive], [], [], 0)[0]:  # the end of the pipe: it died before the line above
        os._exit(1)
    os.close(alive)
    kernel.mount_own_proc()


def _limit(order: Order) -> None:
    """Set limits on ourselves; the program inherits them."""
    for kind, most in order.limits.items():
        with contextlib.suppress(OSError, ValueError):
            hard = resource.getrlimit(kind)[1]
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(kind, (most, most))


def _start(order: Order, report: int) -> int | None:
    """Start the program in a session of its own; None when it could not be, and that is said."""
    failure, ours = os.pipe()
    program = os.fork()
    if not program:
        _become(order, ours)
    os.close(ours)
    with os.fdopen(failure, "rb") as pipe:
        problem = pipe.read().decode(errors="replace")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for handle in (0, 1, 2):  # or we would hold the program's streams open
        os.dup2(nowhere, handle)
    os.close(nowhere)
    if not problem:
        return program
    os.waitpid(program, 0)
    _say(report, f"failed {problem}")
    return None


def _become(order: Order, failure: int) -> None:
    """In the child: become the program, or say why not and end."""
    try:
        os.setsid()
        kernel.die_with_parent()
        for number in _DEFAULT_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        os.chdir(order.cwd)
        os.execve(order.argv[0], order.argv, dict(order.env))  # noqa: S606 - that is its work
    except OSError as problem:
        os.write(failure, f"{problem.filename or order.argv[0]}: {problem.strerror}".encode())
    finally:
        os._exit(EXEC_FAILED)


def _supervise(program: int, control: int, report: int, wake: int, mounts: Mounts | None) -> None:
    """Reap and report until nothing is left, or until the tree is to be ended."""
    while True:
        ready, has_news = _awaited([control, wake], mounts)
        if mounts and has_news and _is_lost(mounts, report):
            mounts = None  # what was below us is killed, and reaped as it goes
        if wake in ready:
            os.read(wake, 4096)
            if not _reap(program, report):
                return
        if control in ready:
            asked = os.read(control, 64)
            if not asked:
                return
            with contextlib.suppress(ProcessLookupError):
                os.killpg(program, signal.SIGTERM)


def _awaited(handles: list[int], mounts: Mounts | None) -> tuple[list[int], bool]:
    """Which handles are ready, and whether the mounts may not be what was meant any more."""
    if mounts is None:
        return select.select(handles, [], [])[0], False
    names = [mounts.names] if mounts.names >= 0 else []
    patience = None if mounts.is_watched else CHECK_SECONDS
    ready, _, changed = select.select([*handles, *names], [], [mounts.changes], patience)
    has_news = bool(changed) or not ready
    if mounts.names in ready:
        has_news |= mounts.has_news()
    return ready, has_news


def _is_lost(mounts: Mounts, report: int) -> bool:
    """Whether a mount has gone. Then everything below us is killed, and it is said which.

    All is stopped first: nothing is done by anything while we look.
    """
    _signal_all(signal.SIGSTOP)
    lost = mounts.lost()
    _signal_all(signal.SIGKILL if lost else signal.SIGCONT)
    if lost:
        _say(report, " ".join(["lost", *map(str, lost[:LOST_MAX])]))
    return bool(lost)


def _signal_all(number: signal.Signals) -> None:
    """To everything below us; as process 1 in one step, so that no fork gets between."""
    if os.getpid() == 1:
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, number)
    else:
        for pid in kernel.descendants():
            _signal(pid, number)


def _reap(program: int, report: int) -> bool:
    """Take what ended; whether anything is left."""
    while True:
        try:
            pid, status, used = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return True
        if pid == program:
            code = os.waitstatus_to_exitcode(status)
            code = code if code >= 0 else SHELL_SIGNAL_BASE - code
            _say(report, f"exited {code} {used.ru_utime + used.ru_stime:.2f} {used.ru_maxrss}")


@contextlib.contextmanager
def _children_wake() -> Iterator[int]:
    """A handle that is readable when a child ended."""
    wake, ours = os.pipe()
    os.set_blocking(ours, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(ours, warn_on_full_buffer=False)
    yield wake


def _say(report: int, line: str) -> None:
    with contextlib.suppress(OSError):  # nobody listens any more
        os.write(report, " ".join(line.split()).encode(errors="replace") + b"\n")


def end_descendants() -> None:
    """Kill everything below this process. Stopped first, so that nothing forks in between."""
    until = time.monotonic() + KILL_SECONDS
    stopped: set[int] = set()
    while time.monotonic() < until:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        living = set(kernel.descendants())
        if not living:
            return
        for pid in living - stopped:
            _signal(pid, signal.SIGSTOP)
        if living <= stopped:
            for pid in living:
                _signal(pid, signal.SIGKILL)
            stopped.clear()
        else:
            stopped |= living


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
