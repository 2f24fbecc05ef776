"""Every path and basename hum uses; nothing else in the project builds one.

`Paths.from_environment` is a pure function of the environment. Rules:

- Roots are the five XDG variables plus `/hum`. A variable that is empty or not absolute counts as
  unset. There is no fallback to a temporary directory: without `HOME`, hum refuses to start.
- `HUM_THRUM_SOCK`, then `HUM_SOCKET` beat the default place of the door's socket.
- A Unix socket's path has at most `SOCKET_PATH_BYTES_MAX` bytes; `require_short_sockets` says so
  before a bind fails with something that nobody understands.
"""

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from thrum.errors import SettingsRefused

HUM = "hum"
THRUM_SOCK = "thrum.sock"
BUS_DIR = "bus"
BUS_SOCK = "humd.sock"
RUNTIME_INFO = "runtime.json"
HUMD_KEY = "humd.key"
HUMD_NEXT_KEY = "humd.next.key"
HUMD_FOLLOWING_KEY = "humd.following.key"
BEES_DIR = "bees"
BEES_SNAPSHOT = "bees.json"
DRIFT_DIR = "drift"
PENNY = "penny.json"
THEHUM_DIR = "thehum"
THEHUM_HEAD = "thehum.head"
THEHUM_SEQ = "seq.bin"
THEHUM_AUTHOR = "author.json"
THEHUM_LOCK = "lock"
HUM_JSON = "hum.json"
PEERS_JSON = "peers.json"
ORCH_D = "orch.d"
LOGS_DIR = "logs"
SUPERVISOR_DIR = "supervisor"
SUPERVISOR_CONF = "supervisord.conf"
SUPERVISOR_PROGRAMS = "programs"
SUPERVISOR_SOCK = "supervisord.sock"
SUPERVISOR_PID = "supervisord.pid"
SUPERVISOR_ARGUMENTS = "arguments.json"
HIVES_DIR = "hives"
HIVES_ORCH = "hives.orch"
INSTALLED = "installed.json"
BUILD_LOG = "build.log"
LOCKS_DIR = "locks"
SIDECAR_TOKEN = "sidecar.token"  # noqa: S105 - a file's name
WORKER_KEYS_DIR = "keys"
MASKS_DIR = "masks"
CELLS_DIR = "cells"
SHELL_PROXY = "shell"
WRITES_DIR = "writes"
LANDED_TABLE = "landed.table"
LEASES_FILE = "leases.json"
FRONT_DIR = "front"
FRONT_SESSIONS = "sessions"
FRONT_KEYS = "keys.json"
FRONT_KEYS_LOCK = "keys.lock"
ATTACHMENTS_DIR = "attachments"

SOCKET_PATH_BYTES_MAX = 107
"""Bytes of a Unix socket's path on Linux, without the closing zero."""

PRIVATE_DIR_MODE = 0o700
OTHERS = stat.S_IRWXG | stat.S_IRWXO

_USER_RUNTIME = "/run/user"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Where everything is for one user and one environment. Made by `from_environment`."""

    home: Path
    """The user's home: for `~` and for what is refused by default. Never written to."""
    state: Path
    config: Path
    data: Path
    cache: Path
    runtime: Path
    thrum_socket: Path
    """Where the door listens."""
    session_runtime: Path | None
    """`$XDG_RUNTIME_DIR` when it was set; other clients look for the socket below it."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Paths":
        """Read the roots from `environ`; raises `SettingsRefused` when `HOME` is missing."""
        home = _home(environ)
        roots = {
            name: _root(environ, name) or home / below for name, below in _ROOT_DEFAULTS.items()
        }
        state = roots["XDG_STATE_HOME"] / HUM
        asked = environ.get("HUM_THRUM_SOCK") or environ.get("HUM_SOCKET")
        return cls(
            home=home,
            state=state,
            config=roots["XDG_CONFIG_HOME"] / HUM,
            data=roots["XDG_DATA_HOME"] / HUM,
            cache=roots["XDG_CACHE_HOME"] / HUM,
            runtime=roots["XDG_RUNTIME_DIR"] / HUM,
            thrum_socket=_socket(asked, home) if asked else state / THRUM_SOCK,
            session_runtime=_root(environ, "XDG_RUNTIME_DIR"),
        )

    def environment(self) -> dict[str, str]:
        """The variables that give a child process exactly these paths."""
        return {
            "HOME": str(self.home),
            "XDG_STATE_HOME": str(self.state.parent),
            "XDG_CONFIG_HOME": str(self.config.parent),
            "XDG_DATA_HOME": str(self.data.parent),
            "XDG_CACHE_HOME": str(self.cache.parent),
            "XDG_RUNTIME_DIR": str(self.runtime.parent),
            "HUM_THRUM_SOCK": str(self.thrum_socket),
        }

    def expand(self, text: str) -> Path:
        """Replace a leading `~` or `~/`; every other text is taken as it is."""
        return expand_tilde(text, self.home)

    @property
    def bus_socket(self) -> Path:
        return self.state / BUS_DIR / BUS_SOCK

    @property
    def bus_endpoint(self) -> str:
        return f"ipc://{self.bus_socket}"

    @property
    def runtime_json(self) -> Path:
        """The rendezvous file: where the door listens, who serves it, since when."""
        return self.state / RUNTIME_INFO

    def socket_links(self) -> tuple[Path, ...]:
        """Other places where clients look for the door's socket, where their directories exist."""
        parents = [Path(_USER_RUNTIME) / str(os.getuid())]
        if self.session_runtime is not None:
            parents.insert(0, self.session_runtime)
        links = dict.fromkeys(parent / HUM / THRUM_SOCK for parent in parents if parent.is_dir())
        return tuple(link for link in links if link != self.thrum_socket)

    def require_short_sockets(self) -> None:
        """Raise `SettingsRefused` for a socket path that the kernel would not take."""
        _require_short(self.bus_socket, mend="XDG_STATE_HOME")
        default = self.state / THRUM_SOCK
        _require_short(
            self.thrum_socket,
            mend="HUM_THRUM_SOCK" if self.thrum_socket != default else "XDG_STATE_HOME",
        )
        _require_short(self.supervisor_socket, mend="XDG_STATE_HOME")

    @property
    def humd_key(self) -> Path:
        return self.state / HUMD_KEY

    @property
    def humd_next_key(self) -> Path:
        """Seed of the key that comes after this hum's. May be kept elsewhere until it is needed."""
        return self.state / HUMD_NEXT_KEY

    @property
    def humd_following_key(self) -> Path:
        """Seed of the key after the next one, while the next one is taking over."""
        return self.state / HUMD_FOLLOWING_KEY

    @property
    def operator_key(self) -> Path:
        """Seed of whoever answers permission asks at the command line."""
        return self.bee_key("operator")

    def bee_key(self, kind: str, instance: str | None = None) -> Path:
        """Seed of one bee; a second bee of the same kind names its `instance`."""
        return self.state / BEES_DIR / f"{_name(kind, instance)}.key"

    @property
    def worker_keys(self) -> Path:
        """Keys of model services as `hum up` found them."""
        return self.state / WORKER_KEYS_DIR

    def worker_key(self, kind: str) -> Path:
        """The key of a model service as `hum up` found it: 0600, read by that worker."""
        return self.worker_keys / _name(kind)

    def writes(self, kind: str, instance: str | None = None) -> Path:
        """Where a bee notes each file that it is about to replace, until that is done."""
        return self.state / WRITES_DIR / _name(kind, instance)

    @property
    def landed(self) -> Path:
        """When which place of which file was last edited; deletable, starts empty."""
        return self.state / WRITES_DIR / LANDED_TABLE

    @property
    def leases(self) -> Path:
        """Who asked the others to leave which file alone, until when; deletable, starts empty."""
        return self.state / WRITES_DIR / LEASES_FILE

    @property
    def masks(self) -> Path:
        """Which empty folders hold a name in a root while commands run."""
        return self.state / MASKS_DIR

    @property
    def cells(self) -> Path:
        """Where model processes stand that no prompt puts elsewhere."""
        return self.state / CELLS_DIR

    def shell_proxy(self, instance: str | None = None) -> Path:
        """The socket by which commands leave their sandbox, where the settings name hosts."""
        name = _name(SHELL_PROXY, instance)
        return self.state / BUS_DIR / f"{name}.sock"

    @property
    def front_sessions(self) -> Path:
        """What conversations without a name have come to; deletable, starts empty."""
        return self.state / FRONT_DIR / FRONT_SESSIONS

    @property
    def attachments(self) -> Path:
        """Large images of turns that run, by digest; gone with them."""
        return self.runtime / ATTACHMENTS_DIR

    @property
    def front_keys(self) -> Path:
        """Hashes of the keys that HTTP clients have, and what each opens."""
        return self.state / FRONT_DIR / FRONT_KEYS

    @property
    def front_keys_lock(self) -> Path:
        """Held by whoever changes the keys."""
        return self.state / FRONT_DIR / FRONT_KEYS_LOCK

    @property
    def sidecar_token(self) -> Path:
        return self.state / SIDECAR_TOKEN

    @property
    def bees_json(self) -> Path:
        return self.state / BEES_SNAPSHOT

    @property
    def drift(self) -> Path:
        """How long turns took, one file for each day."""
        return self.state / DRIFT_DIR

    @property
    def penny_json(self) -> Path:
        """Lifetime counters."""
        return self.state / PENNY

    @property
    def penny_copy(self) -> Path:
        """The same, where older tools look for it."""
        return self.runtime / PENNY

    @property
    def thehum(self) -> Path:
        return self.state / THEHUM_DIR

    @property
    def thehum_seq(self) -> Path:
        return self.thehum / THEHUM_SEQ

    @property
    def thehum_head(self) -> Path:
        """The head of the log, remembered outside its folder."""
        return self.state / THEHUM_HEAD

    @property
    def thehum_author(self) -> Path:
        return self.thehum / THEHUM_AUTHOR

    @property
    def thehum_lock(self) -> Path:
        return self.thehum / THEHUM_LOCK

    @property
    def hum_json(self) -> Path:
        return self.config / HUM_JSON

    @property
    def peers_json(self) -> Path:
        return self.config / PEERS_JSON

    @property
    def orch_d(self) -> Path:
        """The user's own Orchfiles, read after the bundled ones."""
        return self.config / ORCH_D

    @property
    def hives_orch(self) -> Path:
        """Which hives were switched on or off by hand; read after every other Orchfile."""
        return self.config / HIVES_ORCH

    @property
    def hives(self) -> Path:
        """Hives that were installed, each in a folder of its own: its versions, and a record."""
        return self.data / HIVES_DIR

    @property
    def hive_cache(self) -> Path:
        """What builds of hives keep, and what is fetched for one."""
        return self.cache / HIVES_DIR

    def hive(self, name: str) -> Path:
        """All that was made to install the hive `name`, but for its Orchfile."""
        return self.hives / _name(name)

    def hive_record(self, name: str) -> Path:
        """What was made to install the hive `name`; removing it goes by this."""
        return self.hive(name) / INSTALLED

    def hive_build_log(self, name: str) -> Path:
        """What the latest build of the hive `name` printed."""
        return self.hive(name) / BUILD_LOG

    def hive_orch(self, name: str) -> Path:
        """The Orchfile of an installed hive, among the user's own."""
        return self.orch_d / f"{_name(name)}.orch"

    @property
    def logs(self) -> Path:
        return self.state / LOGS_DIR

    @property
    def locks(self) -> Path:
        return self.state / LOCKS_DIR

    def lock(self, service: str) -> Path:
        """The file that the one running instance of `service` holds locked."""
        return self.locks / f"{_name(service)}.lock"

    @property
    def supervisor(self) -> Path:
        """Rendered by the Orchfile compiler; deletable, made anew at every start."""
        return self.state / SUPERVISOR_DIR

    @property
    def supervisor_conf(self) -> Path:
        return self.supervisor / SUPERVISOR_CONF

    @property
    def supervisor_programs(self) -> Path:
        return self.supervisor / SUPERVISOR_PROGRAMS

    @property
    def supervisor_arguments(self) -> Path:
        """What the start that runs gave the Orchfiles, so that they can be compiled again."""
        return self.supervisor / SUPERVISOR_ARGUMENTS

    @property
    def supervisor_socket(self) -> Path:
        return self.supervisor / SUPERVISOR_SOCK

    @property
    def supervisor_pid(self) -> Path:
        return self.supervisor / SUPERVISOR_PID


_ROOT_DEFAULTS = {
    "XDG_STATE_HOME": ".local/state",
    "XDG_CONFIG_HOME": ".config",
    "XDG_DATA_HOME": ".local/share",
    "XDG_CACHE_HOME": ".cache",
    "XDG_RUNTIME_DIR": ".local/state/run",
}


def expand_tilde(text: str, home: Path) -> Path:
    """Replace a leading `~` or `~/` by `home`; `~user` is not looked up."""
    if text == "~":
        return home
    return home / text[2:] if text.startswith("~/") else Path(text)


def ensure_private(directory: Path) -> None:
    """Leave `directory` as a real directory of ours with mode 0700, created if missing.

    Missing parents are created 0700 too. Raises `SettingsRefused` when something else is there: a
    link, a file, a directory of another user, or one that others may enter. It is never repaired in
    silence: somebody else may already hold a handle to it.
    """
    try:
        for step in reversed((directory, *directory.parents)):
            if not os.path.lexists(step):
                step.mkdir(mode=PRIVATE_DIR_MODE, exist_ok=True)
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise SettingsRefused(
            f"{directory} cannot be used: {error.strerror}",
            hint=f"hum needs a directory of its own there, no link: ls -ld {directory}",
        ) from error
    try:
        status = os.fstat(handle)
    finally:
        os.close(handle)
    require_ours(directory, status)
    if status.st_mode & OTHERS:
        mode = stat.S_IMODE(status.st_mode)
        raise SettingsRefused(
            f"{directory} is open to other users (mode {mode:04o}, wanted 0700)",
            hint=f"chmod 700 {directory}",
        )


def require_ours(path: Path, status: os.stat_result) -> None:
    """Raise `SettingsRefused` unless `status`, from an open handle, says that we own `path`."""
    if status.st_uid != os.geteuid():
        raise SettingsRefused(
            f"{path} belongs to user {status.st_uid}, and this is user {os.geteuid()}",
            hint=f"move it away, or: chown {os.geteuid()} {path}",
        )


def _home(environ: Mapping[str, str]) -> Path:
    home = environ.get("HOME", "")
    if not home.startswith("/"):
        got = f"HOME is {home!r}, which is no absolute path" if home else "HOME is not set"
        raise SettingsRefused(
            f"{got}, so hum cannot tell where its files belong",
            hint='export HOME="$(getent passwd "$(id -u)" | cut -d: -f6)"',
        )
    return Path(home)


def _root(environ: Mapping[str, str], name: str) -> Path | None:
    text = environ.get(name, "")
    return Path(text) if text.startswith("/") else None


def _socket(text: str, home: Path) -> Path:
    path = expand_tilde(text, home)
    if not path.is_absolute():
        raise SettingsRefused(
            f"HUM_THRUM_SOCK is {text!r}: every client would look in its own folder",
            hint="set HUM_THRUM_SOCK to an absolute path, or unset it",
        )
    return path


def _name(kind: str, instance: str | None = None) -> str:
    """A file's name from a bee's kind; text from outside never chooses a folder."""
    text = kind if instance is None else f"{kind}-{instance}"
    if not _NAME.fullmatch(text):
        raise ValueError(f"not a kind: {text!r}; letters, digits, dot, dash, underscore")
    return text


def _require_short(path: Path, *, mend: str) -> None:
    length = len(os.fsencode(path))
    if length > SOCKET_PATH_BYTES_MAX:
        raise SettingsRefused(
            f"the socket path {path} has {length} bytes; the system takes {SOCKET_PATH_BYTES_MAX}",
            hint=f"set {mend} to a shorter path",
        )
