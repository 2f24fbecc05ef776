"""What `hum doctor` finds on disk: settings, identities, directories, room, the log.

Each check yields what it looked at, good or bad; it changes nothing.
"""

import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hum import checks
from hum.ensemble import read_peers
from nest.identity import load_identity, require_seed
from nest.paths import OTHERS, Paths
from nest.settings import load
from thrum.errors import HumError

FREE_BYTES_MIN = 1024**3
FREE_SHARE_MIN = 0.05
"""Less room than both of these is a finding."""
FUTURE_MS_MAX = 60_000
"""How far ahead of the clock the log's last event may be."""
DESCRIPTORS_MIN = 256
SEGMENTS = 2
"""Newest segments of the log that are verified."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    section: str
    what: str
    said: str
    ok: bool = True
    mend: str = ""
    """The command or change that puts it right; for what is not."""

    def described(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def on_disk(paths: Paths, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Every check that needs no daemon, in the order they are shown."""
    for check in (configuration, identities, directories, room, log):
        yield from check(paths, environ)


def configuration(paths: Paths, environ: Mapping[str, str]) -> Iterator[Finding]:
    """hum.json and peers.json."""
    there = "" if paths.hum_json.exists() else ", not there: the defaults hold"
    yield _tried(
        "configuration", "hum.json", f"{paths.hum_json}{there}", lambda: load(paths, environ)
    )
    yield _tried("configuration", "peers.json", f"{paths.peers_json}", lambda: read_peers(paths))


def identities(paths: Paths, _environ: Mapping[str, str]) -> Iterator[Finding]:
    """The key of this hum and those of its bees."""
    yield from _own_key(paths.humd_key)
    keys: dict[str, Path] = {}
    bees = paths.bee_key("any").parent
    keys |= {path.stem: path for path in sorted(bees.glob("*.key"))}
    for name, path in keys.items():
        if os.path.lexists(path):

            def read(path: Path = path) -> object:
                return load_identity(path, prefix="humd")

            yield _tried("identity", name, str(path), read)
        else:
            said = f"{path} is not there: minted at the first start"
            yield Finding(section="identity", what=name, said=said)


def _own_key(path: Path) -> Iterator[Finding]:
    """The key that signs the log, from the outside: nobody but the log reads it."""
    if not os.path.lexists(path):
        said = f"{path} is not there: minted at the first start"
        yield Finding(section="identity", what="humd", said=said)
        return
    yield _tried("identity", "humd", str(path), lambda: require_seed(path))


def directories(paths: Paths, _environ: Mapping[str, str]) -> Iterator[Finding]:
    """Who may enter, and whether sockets fit."""
    for path in checks.private_directories(paths):
        if os.path.lexists(path):
            yield _private(path)
    yield _tried(
        "directories", "sockets", "their paths are short enough",
        lambda: checks.require_sockets(paths),
    )  # fmt: skip


def room(paths: Paths, _environ: Mapping[str, str]) -> Iterator[Finding]:
    """Disk and descriptors."""
    import resource

    place = next(path for path in (paths.state, *paths.state.parents) if path.exists())
    usage = shutil.disk_usage(place)
    inodes = os.statvfs(place)
    is_full = usage.free < FREE_BYTES_MIN and usage.free < FREE_SHARE_MIN * usage.total
    is_full |= inodes.f_files > 0 and inodes.f_favail == 0
    yield Finding(
        section="room",
        what="disk",
        said=f"{usage.free / 1e9:.1f} GB free where {place} is",
        ok=not is_full,
        mend=f"make room: df -h {place}; df -i {place}",
    )
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield Finding(
        section="room",
        what="descriptors",
        said=f"{soft} files at once for one process",
        ok=soft >= DESCRIPTORS_MIN or soft == resource.RLIM_INFINITY,
        mend="ulimit -n 4096",
    )


def log(paths: Paths, _environ: Mapping[str, str]) -> Iterator[Finding]:
    """The newest part of the signed log, and the clock against it."""
    from hum.log_files import Files, fields_of

    try:
        files = Files()
        report = files.audit(newest=SEGMENTS)
        last = next(iter(files.lines_backwards()), b"")
    except (OSError, HumError) as error:
        missing = not paths.thehum_author.exists()
        said = f"none yet in {paths.thehum}" if missing else _sentence(error)
        yield Finding(section="log", what="chain", said=said, ok=missing, mend="hum thehum verify")
        return
    damage = report.damage
    yield Finding(
        section="log",
        what="chain",
        said=f"up to event {report.head.seq}" if damage is None else f"damaged at {damage}",
        ok=damage is None,
        mend=f"keep {paths.thehum} as it is; hum thehum verify",
    )
    ahead_ms = int(fields_of(last).get("ts_ms", 0)) - time.time_ns() // 1_000_000
    yield Finding(
        section="log",
        what="clock",
        said="not behind the log" if ahead_ms <= FUTURE_MS_MAX
        else f"the clock is {ahead_ms / 1000:.0f} s behind the log's last event",
        ok=ahead_ms <= FUTURE_MS_MAX,
        mend="set the clock: timedatectl status",
    )  # fmt: skip


def _tried(section: str, what: str, said: str, attempt: Callable[[], object]) -> Finding:
    """What comes of an attempt that says itself what is wrong."""
    try:
        attempt()
    except FileNotFoundError:
        return Finding(section=section, what=what, said=f"{said} is not there")
    except HumError as error:
        return Finding(section=section, what=what, said=error.message, ok=False, mend=error.hint)
    return Finding(section=section, what=what, said=said)


def _private(path: Path) -> Finding:
    """Whether a directory is ours and nobody else's."""
    status = path.lstat()
    problem, mend = "", f"ls -ld {path}"
    if not stat.S_ISDIR(status.st_mode):
        problem = "is no directory"
    elif status.st_uid != os.geteuid():
        problem, mend = f"belongs to user {status.st_uid}", f"chown {os.geteuid()} {path}"
    elif status.st_mode & OTHERS:
        problem, mend = "is open to other users", f"chmod 700 {path}"
    said = f"{path} {problem}".rstrip()
    return Finding(section="directories", what=path.name, said=said, ok=not problem, mend=mend)


def _sentence(error: Exception) -> str:
    return error.message if isinstance(error, HumError) else str(error)
