"""Running a command in the sandbox: bubblewrap around a guard, the guard around the command.

What this machine offers is found out once, by running a command in it; `standing` says what that
was. A layer that was found and does not hold for a later command fails that command.
"""

import logging
import os
import resource
import shutil
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from anyio import to_thread

from humfs.core import paths
from humfs.core.sandbox import bubblewrap
from humfs.core.sandbox.bubblewrap import Box
from humfs.core.sandbox.changes import Since
from humfs.core.sandbox.layers import Layer, Standing
from humfs.core.sandbox.plan import Identity, Mount, ordered
from humfs.edge import protected
from humfs.edge.filters import NoFilter, call_filter
from humfs.edge.masks import Masks
from humfs.edge.roots import Roots
from humfs.errors import Code, Refusal
from nest.cells import walls
from nest.cells.cell import Cell, CellFailed, Wrapper, opened
from nest.cells.cgroups import Cgroups
from nest.cells.mounts import SWAPPED
from nest.cells.orders import ABSENT, Order, Pinned, Walls

PROBE_SECONDS = 20.0
"""How long the first command may take, on a machine that is busy."""
ATTEMPTS_MAX = 5
"""Times a sandbox is tried because somebody changed what it was to show."""
FILE_BYTES_MAX = 4 * 1024 * 1024 * 1024
"""Largest file that a command may write."""
DATA_BYTES_MAX = 4 * 1024 * 1024 * 1024
"""Memory that one process may write to."""
ADDRESS_BYTES_MAX = 1024 * 1024 * 1024 * 1024
"""Addresses of one process: interpreters reserve many more than they use."""
FILES_MAX = 4_096
"""Open files of one process."""
PROCESSES_MAX = 512
"""Processes and threads of one command."""
MEMORY_BYTES_MAX = 4 * 1024 * 1024 * 1024
"""Memory of one command, all its processes and its `/tmp` together."""
PROXY_PORT = 3_128
"""Inside, where the way out is."""
CPU_SECONDS_MAX = 3_600
"""Of one process; a program in the background counts too."""

_BWRAP_PLACES = "/usr/bin:/bin:/usr/local/bin"
"""Where bubblewrap is looked for: never in a folder that a root may hold."""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SYSTEM = (
    *("/usr", "/nix/store", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d"),
    *("/etc/alternatives", "/etc/localtime", "/etc/timezone", "/etc/ssl", "/etc/ca-certificates"),
)
_TOP = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_TEXTS = {
    "/etc/passwd": f"user:x:{bubblewrap.USER}:{bubblewrap.USER}:user:/tmp:/bin/bash\n",
    "/etc/group": f"user:x:{bubblewrap.USER}:\n",
    "/etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
}
_UNREACHABLE = ("/proc", "/dev", "/sys", "/usr", "/etc", "/nix/store", bubblewrap.GUARD_LIBRARY)
"""Folders that no root of a sandbox may be or lie in: it has its own, laid over the roots."""
_LIMITS = {
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_FSIZE: FILE_BYTES_MAX,
    resource.RLIMIT_DATA: DATA_BYTES_MAX,
    resource.RLIMIT_AS: ADDRESS_BYTES_MAX,
    resource.RLIMIT_NOFILE: FILES_MAX,
    resource.RLIMIT_NPROC: PROCESSES_MAX,
    resource.RLIMIT_CPU: CPU_SECONDS_MAX,
}
_GROUPED = {Layer.PIDS: PROCESSES_MAX, Layer.MEMORY: MEMORY_BYTES_MAX}
"""The limits on a whole command, by the layer that is the kernel's controller."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Seen:
    """What was below the roots before a command."""

    protected: dict[str, Identity] = field(default_factory=dict)
    """The protected names, and what they were."""
    barred: tuple[str, ...] = ()
    """Names that were not there, cannot be held, and must not come to be."""


class Sandbox:
    """The sandbox of one process's commands."""

    def __init__(
        self,
        roots: Roots,
        masks: Masks,
        *,
        denied: Sequence[str],
        bwrap: str | None = None,
        way_out: Path | None = None,
    ) -> None:
        """`denied` are the paths of `fs.denied`; `bwrap` is found in the system's folders.

        `way_out` is the socket of a proxy; without one there is no network.
        """
        self._way_out = way_out
        self._roots = roots
        self._masks = masks
        self._hidden = tuple(dict.fromkeys((*denied, *map(os.path.realpath, denied))))
        self._bwrap = bwrap or shutil.which("bwrap", path=_BWRAP_PLACES)
        self._cgroups = Cgroups("shell")
        self._filter = b""
        self._standing: Standing | None = None
        self._probing = anyio.Lock()

    async def standing(self) -> Standing:
        """What holds here; found out by the first who asks."""
        async with self._probing:
            if self._standing is None:
                self._standing = await self._probe()
            return self._standing

    def sweep(self) -> int:
        """Remove what killed processes left behind; how many things that were."""
        return self._cgroups.sweep() + self._masks.sweep(self._roots)

    @asynccontextmanager
    async def cell(
        self, argv: Sequence[str], cwd: str, standing: Standing, seen: Seen
    ) -> AsyncIterator[Cell]:
        """Run a program inside; the end of the block is the end of everything it started.

        `seen` gets what is there before it runs. When a protected name is replaced or removed from
        outside, or one comes that must not, everything is killed, and the cell's `lost` tells.

        Without bubblewrap it runs beside us, with what else there is. Raises `Refusal` when the
        roots cannot be protected, `CellFailed` when nothing could be started.
        """
        if Layer.BUBBLEWRAP not in standing.layers:
            with self._group(standing) as groups:
                order = Order(
                    argv=tuple(argv),
                    env=_environment(self._roots.home, inside=False),
                    cwd=cwd,
                    limits=_LIMITS,
                    walls=Walls(groups=groups),
                )
                wrapper = Wrapper(argv=(), handles=groups)
                async with opened(order, wrapper=wrapper) as cell:
                    yield cell
            return
        held: list[Mount] = []
        try:
            async with AsyncExitStack() as stack:
                yield await self._entered(stack, argv, cwd, standing, held, seen)
        finally:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(self._masks.release, self._roots, held)
                await to_thread.run_sync(self._removed, seen)  # also when nobody asked `since`

    async def _entered(
        self,
        stack: AsyncExitStack,
        argv: Sequence[str],
        cwd: str,
        standing: Standing,
        held: list[Mount],
        seen: Seen,
    ) -> Cell:
        """A cell in a new sandbox; tried again when something was swapped on the way."""
        for _ in range(ATTEMPTS_MAX):
            try:
                mounts = await to_thread.run_sync(self._prepare, held, seen)
                boxed = self._boxed(argv, cwd, standing, mounts, seen.barred)
                return await stack.enter_async_context(boxed)
            except (CellFailed, Refusal) as failure:
                if not _has_changed(failure):
                    raise
                last = failure
        raise last

    @asynccontextmanager
    async def _boxed(
        self,
        argv: Sequence[str],
        cwd: str,
        standing: Standing,
        mounts: Sequence[Mount] = (),
        barred: Sequence[str] = (),
    ) -> AsyncIterator[Cell]:
        with ExitStack() as stack:
            groups = stack.enter_context(self._group(standing))
            texts = [(stack.enter_context(_text(text)), path) for path, text in _TEXTS.items()]
            has_filter = Layer.SECCOMP in standing.layers
            filtered = stack.enter_context(_text(self._filter)) if has_filter else None
            box = Box(
                program=self._bwrap or "",
                system=[*_system(), *self._own()],
                links=_links(),
                texts=texts,
                mounts=mounts,
                filter=filtered,
            )
            order = Order(
                argv=tuple(argv),
                env={**_environment(self._roots.home, inside=True), **self._proxied()},
                cwd=cwd,
                limits=_LIMITS,
                makes_namespace=False,
                walls=self._walls(standing, mounts, barred, groups),
            )
            handles = [*groups, *(handle for handle, _ in texts), *_some(filtered)]
            wrapper = Wrapper(
                argv=bubblewrap.command(box),
                handles=handles,
                python=_PYTHON,
                library=_LIBRARY,
            )
            async with opened(order, wrapper=wrapper) as cell:
                yield cell

    async def since(self, seen: Seen, lost: Sequence[str]) -> Since:
        """What has become of the protected names; `lost` are those of the command's cell."""
        return await to_thread.run_sync(self._since, seen, lost)

    def _since(self, seen: Seen, lost: Sequence[str]) -> Since:
        removed = self._removed(seen)
        replaced = tuple(path for path in lost if path not in seen.barred)
        then = seen.protected
        try:
            now = self._look().protected
        except Refusal as refusal:
            return Since((refusal.message,), replaced, removed)
        made = sorted(now.keys() - then.keys() - set(replaced))
        others = sorted(path for path in now.keys() & then.keys() if now[path] != then[path])
        return Since() | Since(tuple(made), (*replaced, *others), removed)

    def _removed(self, seen: Seen) -> tuple[str, ...]:
        """Remove what must not have come; which names that were."""
        removed = tuple(path for path in seen.barred if self._is_removed(path))
        if removed:
            log.error("command.barred_removed", extra={"paths": list(removed)})
        return removed

    def _is_removed(self, path: str) -> bool:
        """Remove a name that must not be there, and say whether it was."""
        root = next(one for one in self._roots.roots if paths.contains(one.path, path))
        folder, name = os.path.split(paths.below(root.path, path))
        with suppress(OSError):  # it is not there, or a folder, and then git refuses to work
            above = self._roots.open_directory(root, folder)
            try:
                os.unlink(name, dir_fd=above)
                return True
            finally:
                os.close(above)
        return False

    def _look(self) -> protected.Found:
        return protected.look(self._roots, hidden=self._hidden, kept=_interpreter())

    def _prepare(self, held: list[Mount], seen: Seen) -> list[Mount]:
        """Look through the roots and hold what is missing; in a thread."""
        found = self._look()
        seen.protected |= found.protected
        seen.barred = tuple(found.barred)
        holding = self._masks.hold(self._roots, found.held)
        held += holding
        return ordered([*found.mounts, *holding])

    def _walls(
        self,
        standing: Standing,
        mounts: Sequence[Mount],
        barred: Sequence[str],
        groups: tuple[int, ...],
    ) -> Walls:
        readable = [mount.path for mount in mounts if not mount.is_writable]
        shown = [path for path, _ in _system()]
        return Walls(
            has_landlock=Layer.LANDLOCK in standing.layers,
            reads=(*shown, *_TOP, "/etc", "/proc", "/dev", _LIBRARY, *readable),
            writes=(
                *bubblewrap.WRITABLE,
                *bubblewrap.DEVICES,
                *(root.path for root in self._roots.roots if root.mode == "rw"),
            ),
            has_filter=Layer.SECCOMP in standing.layers,
            groups=groups,
            pinned=(*map(_pinned, mounts), *map(_absent, barred)),
            port=PROXY_PORT if self._way_out is not None else 0,
            socket=_PROXY_SOCKET,
        )

    def _own(self) -> list[tuple[str, str]]:
        """What of us is shown: the code of the guard, and the socket of the proxy."""
        shown = [(str(Path(walls.__file__).parent), f"{_LIBRARY}/nest/cells")]
        return shown + ([(str(self._way_out), _PROXY_SOCKET)] if self._way_out else [])

    def _proxied(self) -> dict[str, str]:
        """The variables by which programs find the proxy."""
        if self._way_out is None:
            return {}
        names = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
        local = "localhost,127.0.0.1,::1"
        found = dict.fromkeys(names, f"http://127.0.0.1:{PROXY_PORT}")
        return {**found, "NO_PROXY": local, "no_proxy": local}

    @contextmanager
    def _group(self, standing: Standing) -> Iterator[tuple[int, ...]]:
        held = standing.layers & self._cgroups.controllers
        limits: dict[str, int] = {layer: _GROUPED[layer] for layer in _GROUPED if layer in held}
        with self._cgroups.group(limits) as group:
            yield group.handles

    async def _probe(self) -> Standing:
        """Find the layers by running a command in them, without the one that fails."""
        standing = self._offered()
        while Layer.BUBBLEWRAP in standing.layers:
            try:
                with anyio.fail_after(PROBE_SECONDS):
                    async with self._boxed(("/bin/true",), "/", standing) as cell:
                        if await cell.exited() == 0:
                            return standing
                        failure = "a command in it failed"
            except (CellFailed, TimeoutError, OSError) as problem:
                failure = str(problem) or "a command in it took too long"
            standing = _without_what_failed(standing, failure)
        return standing

    def _offered(self) -> Standing:
        """What this machine seems to have."""
        standing = Standing(frozenset(Layer))
        for controller, reason in self._cgroups.missing.items():
            standing = standing.without(Layer(controller), reason)
        if walls.landlock_version() == 0:
            standing = standing.without(Layer.LANDLOCK, "the kernel has no Landlock")
        try:
            self._filter = call_filter(has_network=self._way_out is not None)
        except NoFilter as problem:
            standing = standing.without(Layer.SECCOMP, str(problem))
        if self._bwrap is None:
            standing = standing.without(Layer.BUBBLEWRAP, "bubblewrap (bwrap) is not installed")
        unreachable = [root.path for root in self._roots.roots if _is_unreachable(root.path)]
        if unreachable:
            reason = (
                f"the root {unreachable[0]} cannot be shown in a sandbox; choose a narrower one"
            )
            standing = standing.without(Layer.BUBBLEWRAP, reason)
        return standing


_PYTHON = os.path.realpath(sys.executable)
_LIBRARY = bubblewrap.GUARD_LIBRARY
_PROXY_SOCKET = f"{_LIBRARY}/proxy"


def _has_changed(failure: CellFailed | Refusal) -> bool:
    """Whether it may be that something is not any more as it was looked at."""
    if isinstance(failure, Refusal):
        return failure.code is Code.IO
    return SWAPPED in str(failure) or "bwrap: " in str(failure)


def _without_what_failed(standing: Standing, failure: str) -> Standing:
    """Take away the layer that a failure names; without a name it is bubblewrap itself."""
    named = {
        "landlock:": (Layer.LANDLOCK,),
        "seccomp": (Layer.SECCOMP,),
        "cgroup:": (Layer.PIDS, Layer.MEMORY),
    }
    for text, layers in named.items():
        if text in failure.lower() and standing.layers.intersection(layers):
            for layer in layers:
                standing = standing.without(layer, failure)
            return standing
    return standing.without(Layer.BUBBLEWRAP, failure)


def _environment(home: str, *, inside: bool) -> dict[str, str]:
    """All variables of a command. None of ours: they may hold keys."""
    return {
        "PATH": _PATH,
        "HOME": "/tmp" if inside else home,  # noqa: S108 - the sandbox has its own
        "TMPDIR": "/tmp",  # noqa: S108
        "USER": "user",
        "LOGNAME": "user",
        "SHELL": "/bin/bash",
        "TERM": "dumb",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
    }


def _system() -> list[tuple[str, str]]:
    """What is shown of the system, for reading."""
    shown = [path for path in (*_SYSTEM, *_interpreter()) if os.path.exists(path)]
    shown += [path for path in _TOP if os.path.isdir(path) and not os.path.islink(path)]
    return [(path, path) for path in shown if not _lies_below(path, "/usr")]


def _links() -> list[tuple[str, str]]:
    return [(os.readlink(path), path) for path in _TOP if os.path.islink(path)]


def _interpreter() -> tuple[str, ...]:
    """Where the Python of this process and of its guards is, its environment too."""
    return tuple(dict.fromkeys(map(os.path.realpath, (sys.base_prefix, sys.prefix))))


def _lies_below(path: str, directory: str) -> bool:
    return path != directory and paths.contains(directory, path)


def _is_unreachable(root: str) -> bool:
    own = (*_UNREACHABLE, *_TOP, *_interpreter())
    return root == "/" or any(paths.contains(directory, root) for directory in own)


def _pinned(mount: Mount) -> Pinned:
    identity = mount.identity
    return Pinned(
        path=mount.path,
        device=identity.device,
        inode=0 if mount.is_hidden else identity.inode,
        is_read_only=not mount.is_writable,
    )


def _absent(path: str) -> Pinned:
    return Pinned(path=path, inode=ABSENT, is_read_only=False)


@contextmanager
def _text(content: str | bytes) -> Iterator[int]:
    """A handle from which bubblewrap reads a small file."""
    handle = os.memfd_create("hum", os.MFD_CLOEXEC)
    try:
        os.write(handle, content.encode() if isinstance(content, str) else content)
        os.lseek(handle, 0, os.SEEK_SET)
        yield handle
    finally:
        with suppress(OSError):
            os.close(handle)


def _some(handle: int | None) -> list[int]:
    return [] if handle is None else [handle]
