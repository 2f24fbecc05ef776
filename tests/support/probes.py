"""Attempts to get out of a sandbox, each of them real. Run as a script, inside and outside of one.

    python probes.py TARGET.json

prints one JSON object: for each probe `refused: why`, or `escaped: how`. A probe that returns
something has escaped. The standard library only, because there is nothing else inside.
"""

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import resource
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

libc = ctypes.CDLL(None, use_errno=True)
PROBES: dict[str, Callable[[SimpleNamespace], object]] = {}
SYSCALLS = {"x86_64": {"ptrace": 101, "keyctl": 250, "bpf": 321, "perf_event_open": 298,
                       "userfaultfd": 323, "process_vm_readv": 310, "open_by_handle_at": 304,
                       "kexec_load": 246, "unshare": 272, "setns": 308, "mount": 165,
                       "umount2": 166},
            "aarch64": {"ptrace": 117, "keyctl": 219, "bpf": 280, "perf_event_open": 241,
                        "userfaultfd": 282, "process_vm_readv": 270, "open_by_handle_at": 265,
                        "kexec_load": 104, "unshare": 97, "setns": 268, "mount": 40,
                        "umount2": 39}}  # fmt: skip
NUMBERS = SYSCALLS.get(os.uname().machine, {}) | {"io_uring_setup": 425, "clone3": 435}


class Refused(Exception):
    """The probe got nowhere."""


def probe(name: str) -> Callable[[Callable[[SimpleNamespace], object]], None]:
    def take(function: Callable[[SimpleNamespace], object]) -> None:
        PROBES[name] = function

    return take


def syscall(name: str, *arguments: object) -> int:
    """One system call; raises `OSError`."""
    if name not in NUMBERS:
        raise Refused("not on this machine")
    words = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    result = int(libc.syscall(ctypes.c_long(NUMBERS[name]), *words))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def in_child(act: Callable[[], object]) -> str:
    """What `act` did in a process of its own; raises `Refused` when it raised."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.write(writing, f"done {act()}".encode()[:200])
        except Exception as problem:  # noqa: BLE001 - it is told
            os.write(writing, f"no: {problem}".encode()[:200])
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(pid, 0)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    if not said.startswith("done"):
        raise Refused(said or "the process was killed")
    return said


def secret(path: str, t: SimpleNamespace) -> str | None:
    text = Path(path).read_text()
    return text if t.secret in text else None


@probe("P1 read outside the root")
def _(t: SimpleNamespace) -> object:
    return secret(t.outside + "/secret", t)


@probe("P2 symlink")
def _(t: SimpleNamespace) -> object:
    os.symlink(t.outside + "/secret", "link")
    return secret("link", t)


@probe("P3 dot-dot")
def _(t: SimpleNamespace) -> object:
    return secret("../outside/secret", t) or secret(t.root + "/a/../../outside/secret", t)


@probe("P4 hard link")
def _(t: SimpleNamespace) -> object:
    os.link(t.outside + "/secret", "hard")
    return secret("hard", t)


@probe("P5 /proc/self/root")
def _(t: SimpleNamespace) -> object:
    for process in ("self", "1", "self/task/self", str(os.getppid())):
        with contextlib.suppress(OSError):
            if found := secret(f"/proc/{process}/root{t.outside}/secret", t):
                return found
    raise Refused("nothing there")


@probe("P6 /proc/1/environ")
def _(t: SimpleNamespace) -> object:
    for process in ("1", "self", str(t.humfs)):
        with contextlib.suppress(OSError):
            if t.secret.encode() in Path(f"/proc/{process}/environ").read_bytes():
                return process
    raise Refused("no secret in it")


@probe("P7 /proc of the parent")
def _(t: SimpleNamespace) -> object:
    for process in os.listdir("/proc"):
        if process.isdigit():
            with contextlib.suppress(OSError):
                if b"-m\0humfs" in Path(f"/proc/{process}/cmdline").read_bytes():
                    return os.readlink(f"/proc/{process}/cwd")
    raise Refused("it is not in there")


@probe("P8 ptrace")
def _(t: SimpleNamespace) -> object:
    return in_child(lambda: syscall("ptrace", 0, 0, 0, 0))


@probe("P8b process_vm_readv")
def _(t: SimpleNamespace) -> object:
    here = ctypes.create_string_buffer(8)
    vector = struct.pack("QQ", ctypes.addressof(here), 8)
    return syscall("process_vm_readv", os.getpid(), vector, 1, vector, 1, 0)


@probe("P8c memory of process 1")
def _(t: SimpleNamespace) -> object:
    return os.open("/proc/1/mem", os.O_RDWR)


@probe("P9 signal the parent")
def _(t: SimpleNamespace) -> object:
    os.kill(t.humfs, 0)
    return "it is there"


@probe("P10 the thrum socket")
def _(t: SimpleNamespace) -> object:
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(t.socket)
    return "connected"


@probe("P11 abstract socket")
def _(t: SimpleNamespace) -> object:
    with socket.socket(socket.AF_UNIX) as link:
        link.connect("\0" + t.abstract)
    return "connected"


@probe("P12 loopback TCP")
def _(t: SimpleNamespace) -> object:
    with socket.create_connection(("127.0.0.1", t.port), 5):
        return "connected"


@probe("P13 UDP")
def _(t: SimpleNamespace) -> object:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        return link.sendto(b"x", ("127.0.0.1", t.port))


def opens(*arguments: int) -> str:
    socket.socket(*arguments).close()
    return "opened"


@probe("P14 raw")
def _(t: SimpleNamespace) -> object:
    return opens(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)


@probe("P14b packet")
def _(t: SimpleNamespace) -> object:
    return opens(socket.AF_PACKET, socket.SOCK_RAW, 0)


@probe("P15 netlink")
def _(t: SimpleNamespace) -> object:
    return opens(socket.AF_NETLINK, socket.SOCK_RAW, 0)


@probe("P16 vsock")
def _(t: SimpleNamespace) -> object:
    return opens(socket.AF_VSOCK, socket.SOCK_STREAM)


@probe("P17 io_uring_setup")
def _(t: SimpleNamespace) -> object:
    os.close(syscall("io_uring_setup", 1, ctypes.create_string_buffer(120)))
    return "a ring"


@probe("P18 mount")
def _(t: SimpleNamespace) -> object:
    return syscall("mount", b"none", b"/tmp", b"tmpfs", 0, None)


@probe("P18b umount of a mask")
def _(t: SimpleNamespace) -> object:
    return syscall("umount2", (t.root + "/.git/hooks").encode(), 2)


@probe("P19 unshare")
def _(t: SimpleNamespace) -> object:
    return in_child(lambda: syscall("unshare", 0x10000000))


@probe("P19b clone3")
def _(t: SimpleNamespace) -> object:
    arguments = struct.pack("11Q", 0x10000000, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, 0)
    child = syscall("clone3", arguments, len(arguments))
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return child


@probe("P20 setns")
def _(t: SimpleNamespace) -> object:
    return in_child(lambda: syscall("setns", os.open("/proc/self/ns/uts", os.O_RDONLY), 0))


@probe("P21 mknod")
def _(t: SimpleNamespace) -> object:
    os.mknod("disk", stat.S_IFBLK | 0o600, os.makedev(254, 0))
    return "made"


@probe("P22 chmod outside")
def _(t: SimpleNamespace) -> object:
    os.chmod(t.outside + "/secret", 0o666)
    return "changed"


def writes(*paths: str) -> str:
    """Write any of these files; raises `Refused` when none can be written."""
    problems = []
    for path in paths:
        try:
            os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
            Path(path).write_text("#!/bin/sh\necho probe\n")
        except OSError as problem:
            problems.append(f"{path}: {problem.strerror}")
        else:
            return path
    raise Refused("; ".join(problems))


@probe("P23 write a hook")
def _(t: SimpleNamespace) -> object:
    return writes(".git/hooks/pre-commit", ".git/hooks/post-merge", ".git/config")


@probe("P24 create a missing hook")
def _(t: SimpleNamespace) -> object:
    return writes("nested/.git/hooks/pre-commit", "nested/.git/config.worktree", ".husky/_/h")


@probe("P25 rename the hook's parent")
def _(t: SimpleNamespace) -> object:
    for name in (".git", "nested", "nested/.git", ".git/hooks", "nested/.git/hooks"):
        with contextlib.suppress(OSError):
            os.rename(name, "elsewhere")
            os.rename("elsewhere", name)
            return name
    for name in ("nested", ".git", ".vscode", ".git/hooks"):
        shutil.rmtree(name, ignore_errors=True)
        if not os.path.exists(name):
            return f"{name} is gone"
    raise Refused("neither renamed nor removed")


@probe("P26 write an rc file")
def _(t: SimpleNamespace) -> object:
    return writes(".bashrc", ".profile", ".zshrc", ".config/fish/config.fish", ".envrc", ".ssh/rc")


@probe("P26b settings of editors and agents")
def _(t: SimpleNamespace) -> object:
    return writes(
        ".vscode/tasks.json", ".mcp.json", ".claude/settings.json", "nested/.vscode/tasks.json",
        ".cursor/mcp.json", "nested/.claude/settings.json", "mine.code-workspace",
    )  # fmt: skip


@probe("P27 write our state")
def _(t: SimpleNamespace) -> object:
    if not os.path.isdir(t.state):
        return writes(t.denied + "/x")
    return writes(t.state + "/thehum/x", t.denied + "/x")


@probe("P27b read our state")
def _(t: SimpleNamespace) -> object:
    with contextlib.suppress(OSError):
        os.chmod(t.denied, 0o700)
    return secret(t.denied + "/secret", t)


@probe("P31 descriptor bomb")
def _(t: SimpleNamespace) -> object:
    held: list[int] = []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 10_000), hard))
    with contextlib.suppress(OSError):
        while len(held) < 9_000:
            held.append(os.open("/dev/null", os.O_RDONLY))
    for handle in held:
        os.close(handle)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if len(held) > 4_096:
        return len(held)
    raise Refused(f"no more than {len(held)}")


@probe("P29 memory bomb of one process")
def _(t: SimpleNamespace) -> object:
    return len(bytearray(6 * 1024**3)) if t.is_inside else "not tried"


@probe("P30 disk bomb of one file")
def _(t: SimpleNamespace) -> object:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with Path("big").open("wb") as file:
        try:
            file.seek(5 * 1024**3)
            file.write(b"x")
            file.flush()
            return "five GiB"
        finally:
            os.ftruncate(file.fileno(), 0)


@probe("P30b disk bomb in /tmp")
def _(t: SimpleNamespace) -> object:
    for path in ("/tmp", "/dev/shm"):
        status = os.statvfs(path)
        if status.f_blocks * status.f_frsize > 1024**3:
            return f"{path} has no bound"
    for path in ("/x", "/dev/x", "/etc/x", "/usr/x", "/run/x", "/var/x"):
        with contextlib.suppress(OSError):
            Path(path).write_text("x")
            os.unlink(path)
            return path
    raise Refused("bounded")


@probe("P40 device")
def _(t: SimpleNamespace) -> object:
    for name in ("mem", "kmsg", "vda", "sda", "fuse", "kvm", "port", "loop-control", "net/tun"):
        with contextlib.suppress(OSError):
            os.close(os.open(f"/dev/{name}", os.O_RDONLY | os.O_NONBLOCK))
            return name
    raise Refused("there is none")


@probe("P42 core dump")
def _(t: SimpleNamespace) -> object:
    if resource.getrlimit(resource.RLIMIT_CORE) != (0, 0):
        resource.setrlimit(resource.RLIMIT_CORE, (4096, resource.RLIM_INFINITY))
        return "a core may be written"
    resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    return "the limit can be raised"


@probe("P45 git configuration hook")
def _(t: SimpleNamespace) -> object:
    run = subprocess.run(
        ["git", "-C", t.root, "config", "core.fsmonitor", f"touch {t.outside}/pwned"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if run.returncode:
        raise Refused(run.stderr)
    return "configured"


@probe("P46 language package hook")
def _(t: SimpleNamespace) -> object:
    folders = [path for path in sys.path if os.path.isdir(path) and path != t.root]
    folders += t.interpreter
    return writes(*(f"{folder}/hum-probe.pth" for folder in folders))


@probe("P47 8,192-character path")
def _(t: SimpleNamespace) -> object:
    return secret("a/../" * 1_700 + "../outside/secret", t)


@probe("P48 invalid UTF-8")
def _(t: SimpleNamespace) -> object:
    Path("name-\udcff").write_text("x")
    return secret(t.root + "/\udcff/../../outside/secret", t)


@probe("P49 case variants")
def _(t: SimpleNamespace) -> object:
    before = os.listdir(".git/hooks")
    writes(".GIT/HOOKS/pre-push", ".Git/hooks/pre-push")
    if os.listdir(".git/hooks") != before:
        return "the same folder"
    raise Refused("another folder on this file system")


@probe("P50 Unicode dot look-alikes")
def _(t: SimpleNamespace) -> object:
    for dots in ("‥", "．．", "․․", "..\u200b"):
        with contextlib.suppress(OSError):
            return secret(f"{t.root}/{dots}/outside/secret", t)
    raise Refused("no such folder")


@probe("P51 trailing dots and spaces")
def _(t: SimpleNamespace) -> object:
    before = os.listdir(".git/hooks")
    with contextlib.suppress(Refused):
        writes(".git./hooks/pre-push", ".git /hooks/pre-push", ".git/hooks./pre-push")
    if os.listdir(".git/hooks") != before:
        return "the same folder"
    raise Refused("another folder on this file system")


@probe("P52 ~")
def _(t: SimpleNamespace) -> object:
    for home in (t.home, "/root", os.path.expanduser("~")):
        with contextlib.suppress(OSError):
            if os.listdir(home) and home != "/tmp":
                return home
    raise Refused("no home in there")


@probe("P53 file://")
def _(t: SimpleNamespace) -> object:
    return secret(f"file://{t.outside}/secret", t)


@probe("P54 %2e")
def _(t: SimpleNamespace) -> object:
    return secret(f"{t.root}/%2e%2e/outside/secret", t)


@probe("P55 component over 255 bytes")
def _(t: SimpleNamespace) -> object:
    return secret("a" * 256 + "/../../outside/secret", t)


@probe("P57 loop of symlinks")
def _(t: SimpleNamespace) -> object:
    os.symlink("loop-b", "loop-a")
    os.symlink("loop-a", "loop-b")
    return secret("loop-a/../outside/secret", t)


@probe("P58 symlink swap")
def _(t: SimpleNamespace) -> object:
    os.mkdir("swap")
    Path("swap/secret").write_text("mine")
    os.symlink(t.outside, "swap-link")
    swapper = os.fork()
    if not swapper:
        for _ in range(20_000):
            libc.renameat2(-100, b"swap", -100, b"swap-link", 2)
        os._exit(0)
    found = None
    while os.waitpid(swapper, os.WNOHANG)[0] == 0:
        with contextlib.suppress(OSError):
            found = found or secret("swap/secret", t)
    if found is None:
        raise Refused("only what is inside was seen")
    return found


@probe("P60 rename over the root")
def _(t: SimpleNamespace) -> object:
    os.mkdir("new-root")
    with contextlib.suppress(OSError):
        os.rename("new-root", t.root)
        return "renamed over"
    os.rename(t.root, t.root + "-moved")
    os.rename(t.root + "-moved", t.root)
    return "renamed"


@probe("P61 unlink the root")
def _(t: SimpleNamespace) -> object:
    os.rmdir(t.empty_root)
    os.mkdir(t.empty_root)
    return "removed"


@probe("P62 replace the cwd")
def _(t: SimpleNamespace) -> object:
    os.mkdir("cwd")
    os.chdir("cwd")
    try:
        os.rmdir(t.root + "/cwd")
        os.symlink(t.outside, t.root + "/cwd")
        os.chdir(t.root + "/cwd")
        return secret("secret", t)
    finally:
        os.chdir(t.root)


@probe("X1 text into the terminal")
def _(t: SimpleNamespace) -> object:
    def push() -> object:
        _, slave = os.openpty()
        os.setsid()
        fcntl.ioctl(slave, 0x540E, 0)  # TIOCSCTTY
        return fcntl.ioctl(slave, 0x5412, b"x")  # TIOCSTI

    return in_child(push)


@probe("X2 settings of the kernel")
def _(t: SimpleNamespace) -> object:
    for path in ("kernel/core_pattern", "kernel/modprobe", "vm/overcommit_memory", "fs/file-max"):
        with contextlib.suppress(OSError):
            os.close(os.open(f"/proc/sys/{path}", os.O_WRONLY))
            return path
    for path in ("/proc/sysrq-trigger", "/proc/1/oom_score_adj", "/sys/kernel/uevent_helper"):
        with contextlib.suppress(OSError):
            os.close(os.open(path, os.O_WRONLY))
            return path
    raise Refused("none can be written")


@probe("X3 kernel keys")
def _(t: SimpleNamespace) -> object:
    return syscall("keyctl", 0, -3, 1)


@probe("X4 bpf")
def _(t: SimpleNamespace) -> object:
    attributes = struct.pack("IIIII", 2, 4, 4, 1, 0).ljust(120, b"\0")
    os.close(syscall("bpf", 0, attributes, 120))
    return "a map"


@probe("X5 perf_event_open")
def _(t: SimpleNamespace) -> object:
    attributes = struct.pack("II", 1, 112).ljust(112, b"\0")
    os.close(syscall("perf_event_open", attributes, 0, -1, -1, 0))
    return "an event"


@probe("X6 userfaultfd")
def _(t: SimpleNamespace) -> object:
    os.close(syscall("userfaultfd", 1))
    return "a handle"


@probe("X7 open_by_handle_at")
def _(t: SimpleNamespace) -> object:
    handle = struct.pack("Ii", 8, 1) + struct.pack("II", 2, 0)
    try:
        return syscall("open_by_handle_at", os.open("/", os.O_RDONLY), handle, 0)
    except OSError as problem:
        if problem.errno in (errno.ESTALE, errno.EOPNOTSUPP, errno.EINVAL):
            return "the kernel looked for it"
        raise


@probe("X8 a capability")
def _(t: SimpleNamespace) -> object:
    status = Path("/proc/self/status").read_text()
    for line in status.splitlines():
        if line.startswith(("CapEff:", "CapPrm:", "CapBnd:")) and int(line.split()[1], 16):
            return line
    raise Refused("none")


@probe("X9 an inherited handle")
def _(t: SimpleNamespace) -> object:
    strange = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            target = os.readlink(f"/proc/self/fd/{name}")
            if int(name) > 2 and "/proc/" not in target:
                strange.append(target)
    if strange:
        return strange
    raise Refused("only the three streams")


@probe("X10 a variable of ours")
def _(t: SimpleNamespace) -> object:
    known = {
        "PATH", "HOME", "TMPDIR", "USER", "LOGNAME", "SHELL", "TERM", "LANG", "LC_ALL", "PWD",
        "GIT_TERMINAL_PROMPT", "GIT_OPTIONAL_LOCKS", "HUM_CELL", "SHLVL", "_", "OLDPWD", "LC_CTYPE",
    }  # fmt: skip
    if strange := sorted(set(os.environ) - known):
        return strange
    raise Refused("none")


@probe("X11 control groups")
def _(t: SimpleNamespace) -> object:
    return [str(path) for path in Path("/sys/fs/cgroup").iterdir()]


def main() -> None:
    target = SimpleNamespace(**json.JSONDecoder().decode(Path(sys.argv[1]).read_text()))
    os.chdir(target.root)
    told = {}
    for name, attempt in PROBES.items():
        if name in target.skipped:
            continue
        try:
            result = attempt(target)
            told[name] = f"escaped: {result}" if result is not None else "refused: nothing found"
        except (OSError, Refused, MemoryError, ValueError) as problem:
            told[name] = f"refused: {problem or type(problem).__name__}"
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
