"""How every service starts and ends.

A `__main__` is one line:

    sys.exit(run_async("front", serve))    # async def serve(context: Context) -> None
    sys.exit(run_poll("humd", route))      # def route(context: Context) -> None

Start, in this order: umask 077, no core dumps, logging, end with the parent, paths and private
directories, settings, the lock of the single instance, signals, `main`.

End: SIGTERM or SIGINT raises `context.stop`; `main` takes no new work, finishes or refuses what is
in flight, flushes, and returns. A second one exits at once. SIGHUP is logged and ignored: there is
no reload. When the parent dies, the kernel sends SIGTERM (Linux).

Exit status: 0 asked to stop, 1 bug (traceback in the log), 78 settings, paths or permissions that
cannot be used. `main` that returns unasked counts as a bug.

The lock file stays behind after every end; only the lock on it counts.
"""

import ctypes
import errno
import fcntl
import gc
import importlib.util
import logging
import os
import resource
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from nest import logs
from nest.large import bound_free_memory
from nest.metrics import Registry
from nest.paths import Paths, ensure_private
from nest.private import PRIVATE_FILE_MODE
from nest.settings import Settings, load
from nest.stop import Stop
from thrum.errors import SettingsRefused

EXIT_STOPPED = 0
EXIT_BUG = 1
EXIT_SETTINGS = 78

PARENT_PID = "HUM_PARENT_PID"
"""Variable with the pid of the launcher. Without it the parent at the start counts."""
UMASK = 0o077
PR_SET_PDEATHSIG = 1
LOCK_BYTES_MAX = 32
GARBAGE_OBJECTS = 20_000
"""New objects between two looks for cycles. Ours are few and freed by counting; the default of 700
looks through everything that a service remembers again and again."""
PARENT_GONE = "parent is gone"
"""Why a service ends before it began. A signal that comes so early still lets `main` end itself."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a service gets to live on."""

    service: str
    environ: MutableMapping[str, str]
    paths: Paths
    settings: Settings
    log: logging.Logger
    metrics: Registry
    stop: Stop


def run_poll(
    service: str,
    main: Callable[[Context], None],
    *,
    instance: str | None = None,
    environ: MutableMapping[str, str] = os.environ,
) -> int:
    """Run `main` as the one `service` of this user; return the exit status.

    `instance` names one of several of the same service. `main` watches `context.stop.descriptor`
    beside its sockets and returns once `context.stop.requested`.
    """
    try:
        with _started(service, instance, environ) as context:
            gc.freeze()
            gc.set_threshold(GARBAGE_OBJECTS)
            if context.stop.reason != PARENT_GONE:
                main(context)
            return _ended(context)
    except Exception as error:
        refused = _only_refused(error)
        if refused is not None:
            return _refused(refused)
        log.critical("lifecycle.bug", exc_info=error)
        return EXIT_BUG


def run_async(
    service: str,
    main: Callable[[Context], Awaitable[None]],
    *,
    instance: str | None = None,
    environ: MutableMapping[str, str] = os.environ,
) -> int:
    """Like `run_poll` for a coroutine function, under anyio on asyncio, with uvloop if installed.

    `main` awaits `context.stop.wait()` in one task and ends the others from there.
    """
    import anyio  # here, because a poll loop never needs it

    options = {"use_uvloop": importlib.util.find_spec("uvloop") is not None}

    def loop(context: Context) -> None:
        bound_free_memory()
        anyio.run(main, context, backend="asyncio", backend_options=options)

    return run_poll(service, loop, instance=instance, environ=environ)


@contextmanager
def single_instance(path: Path, service: str) -> Iterator[None]:
    """Hold the lock at `path`; raises `SettingsRefused` with the holder's pid when it is taken.

    The kernel lets go of it when the process ends, however it ends. No child inherits it.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(path, flags, PRIVATE_FILE_MODE)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(handle, LOCK_BYTES_MAX, 0).decode("ascii", "replace").strip()
            raise SettingsRefused(
                f"{service} runs already, as pid {holder or 'not yet known'} (it holds {path})",
                hint=f"stop it first: hum down, or: kill {holder}" if holder else "try again",
            ) from error
        _name_holder(handle)
        yield
    finally:
        os.close(handle)


def _name_holder(handle: int) -> None:
    """Put our pid over that of the last holder. Without room the lock counts, and names nobody."""
    pid = f"{os.getpid()}\n".encode()
    try:
        os.pwrite(handle, pid, 0)
    except OSError as problem:
        if problem.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        pid = b""
    os.ftruncate(handle, len(pid))


def end_with_parent(environ: MutableMapping[str, str]) -> bool:
    """Have the kernel send us SIGTERM when our parent dies; return whether it still lives.

    A parent that died before the call would never be noticed, so it is looked at again afterwards.
    Elsewhere than on Linux nothing is arranged and the parent counts as alive.
    """
    if sys.platform != "linux":
        return True
    named = environ.pop(PARENT_PID, "")  # meant for us, not for our children
    expected = int(named) if named.isdecimal() else os.getppid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0) != 0:
        log.warning("lifecycle.no_parent_signal", extra={"errno": ctypes.get_errno()})
    return os.getppid() == expected


@contextmanager
def _started(
    service: str, instance: str | None, environ: MutableMapping[str, str]
) -> Iterator[Context]:
    os.umask(UMASK)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    name = service if instance is None else f"{service}-{instance}"
    logs.setup(name)
    has_parent = end_with_parent(environ)
    paths = Paths.from_environment(environ)
    paths.require_short_sockets()
    for directory in (paths.state, paths.runtime, paths.locks):
        ensure_private(directory)
    for variable, value in paths.environment().items():
        environ.setdefault(variable, value)  # children agree with us
    settings = load(paths, environ)
    logs.setup(name, settings.log_level)
    stop = Stop()
    if not has_parent:
        stop.request(PARENT_GONE)
    with closing(stop), single_instance(paths.lock(name), name), _signals(stop):
        log.info("lifecycle.started", extra={"pid": os.getpid()})
        yield Context(
            service=name,
            environ=environ,
            paths=paths,
            settings=settings,
            log=logging.getLogger(service),
            metrics=Registry(),
            stop=stop,
        )


@contextmanager
def _signals(stop: Stop) -> Iterator[None]:
    """Turn signals into `stop` while the service runs.

    Plain handlers serve both shapes: asyncio and uvloop run them as soon as the loop is woken, and
    a handler that wrote to the stop pipe has woken it.
    """

    def end(number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if stop.requested:
            log.warning("lifecycle.cut_short", extra={"signal": name})
            os._exit(EXIT_BUG)
        log.info("lifecycle.stop_requested", extra={"signal": name})
        stop.request(name)

    def ignore(_number: int, _frame: FrameType | None) -> None:
        log.info("lifecycle.hup_ignored")

    handlers = {signal.SIGTERM: end, signal.SIGINT: end, signal.SIGHUP: ignore}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ended(context: Context) -> int:
    if not context.stop.requested:
        log.critical("lifecycle.ended_unasked")
        return EXIT_BUG
    log.info("lifecycle.stopped", extra={"reason": context.stop.reason})
    return EXIT_STOPPED


def _only_refused(error: BaseException) -> SettingsRefused | None:
    """The first refusal in a task group's error, when nothing else went wrong there."""
    if isinstance(error, SettingsRefused):
        return error
    if not isinstance(error, BaseExceptionGroup):
        return None
    found = [_only_refused(part) for part in error.exceptions]
    return None if None in found else found[0]


def _refused(refused: SettingsRefused) -> int:
    log.critical("lifecycle.refused", extra={"reason": refused.message, "mend": refused.hint})
    if sys.stderr.isatty():
        sys.stderr.write(f"{refused}\n")
    return EXIT_SETTINGS
