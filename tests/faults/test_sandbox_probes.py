"""Nothing gets out of the sandbox of commands: the probe list (reliability 6.3, I5).

Most probes are one script (`tests.support.probes`) that runs through `humfs_bash` of a real humfs,
and once more beside the sandbox, where it must get out. A probe that escapes because this machine
lacks a layer is skipped with that layer's name; at `full` none may.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.support import probes
from tests.support.ndjson import Client
from tests.support.sandbox import connected, needs_bubblewrap, run, wait_for_humfs
from tests.support.stack import QUIET_SETTINGS, Stack
from tests.support.trees import sleepers, survivors

from humfs.edge.sandbox import PROCESSES_MAX

pytestmark = [pytest.mark.process, needs_bubblewrap]

SECRET = "hum-probe-5e0c"
PYTHON = os.path.realpath(sys.executable)
KERNEL_MAY_LACK = {
    "P8 ptrace": "seccomp",
    "P8b process_vm_readv": "seccomp",
    "P12 loopback TCP": "seccomp",
    "P14 raw": "seccomp",
    "P15 netlink": "seccomp",
    "P16 vsock": "seccomp",
    "P17 io_uring_setup": "seccomp",
    "P19 unshare": "seccomp",
    "P19b clone3": "seccomp",
    "P20 setns": "seccomp",
    "X1 text into the terminal": "seccomp",
    "X3 kernel keys": "seccomp",
    "X4 bpf": "seccomp",
    "X5 perf_event_open": "seccomp",
    "X6 userfaultfd": "seccomp",
    "X7 open_by_handle_at": "seccomp",
}
"""Probes that one layer alone may keep in."""
HARMFUL = frozenset(
    {
        "P18 mount",
        "P18b umount of a mask",
        "P29 memory bomb of one process",
        "P46 language package hook",
        "P60 rename over the root",
    }
)
"""Not tried beside the sandbox."""
ANYWHERE = frozenset(
    {
        "P3 dot-dot",
        "P47 8,192-character path",
        "P48 invalid UTF-8",
        "P49 case variants",
        "P50 Unicode dot look-alikes",
        "P51 trailing dots and spaces",
        "P53 file://",
        "P54 %2e",
        "P55 component over 255 bytes",
        "P57 loop of symlinks",
    }
)
"""Names that lead nowhere on Linux, sandbox or not; except the plain dots."""
DEPENDS = frozenset(
    {
        "P8c memory of process 1",
        "P16 vsock",
        "P17 io_uring_setup",
        "P31 descriptor bomb",
        "P40 device",
        "X1 text into the terminal",
        "X2 settings of the kernel",
        "X4 bpf",
        "X5 perf_event_open",
        "X6 userfaultfd",
        "X7 open_by_handle_at",
        "X8 a capability",
        "X9 an inherited handle",
        "X11 control groups",
    }
)
"""What an ordinary process may do as well depends on the kernel and the user."""
GONE_SECONDS = 5.0
numbers = count(1)


@dataclass(frozen=True)
class Target:
    """What the probes aim at: a root with repositories in it, and things outside."""

    root: Path
    outside: Path
    empty_root: Path
    links: tuple[socket.socket, ...]

    @classmethod
    def made(cls, base: Path) -> "Target":
        root, outside, empty = base / "root", base / "outside", base / "empty"
        for folder in (root, outside, empty, root / "private", root / "bin", root / "nested"):
            folder.mkdir(parents=True)
        (outside / "secret").write_text(SECRET)
        (root / "private" / "secret").write_text(SECRET)
        (root / ".profile").write_text("# mine\n")
        (root / "mine.code-workspace").write_text("{}")
        for repository in (root, root / "nested"):
            subprocess.run(["git", "init", "-q", repository], check=True)
        subprocess.run(["rm", "-r", root / "nested/.git/hooks"], check=True)
        fake = root / "bin" / "bwrap"
        fake.write_text(f"#!/bin/sh\necho pwned > {outside}/pwned\n")
        fake.chmod(0o755)
        (root / "probes.py").write_bytes(Path(probes.__file__).read_bytes())
        tcp = socket.create_server(("127.0.0.1", 0))
        abstract = socket.socket(socket.AF_UNIX)
        abstract.bind(f"\0hum-probe-{os.getpid()}-{base.name}")
        abstract.listen()
        return cls(root, outside, empty, (tcp, abstract))

    def describe(self, stack: Stack, *, is_inside: bool) -> None:
        """Tell the script where everything is."""
        tcp, abstract = self.links
        told = {
            "root": str(self.root),
            "outside": str(self.outside),
            "empty_root": str(self.empty_root),
            "denied": str(self.root / "private"),
            "state": str(stack.paths.state),
            "socket": str(stack.paths.thrum_socket),
            "home": str(stack.home),
            "secret": SECRET,
            "humfs": stack.pid("humfs"),
            "port": tcp.getsockname()[1],
            "abstract": abstract.getsockname()[1:].decode(),
            "interpreter": [sys.prefix, sys.base_prefix],
            "is_inside": is_inside,
            "skipped": [] if is_inside else sorted(HARMFUL),
        }
        (self.root / "target.json").write_text(orjson.dumps(told).decode())


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    target = Target.made(tmp_path_factory.mktemp("probes"))
    yield target
    for link in target.links:
        link.close()


@pytest.fixture(scope="module")
def stack(target: Target) -> Iterator[Stack]:
    roots = [{"path": str(target.root)}, {"path": str(target.empty_root)}]
    denied = [str(target.root / "private")]
    settings = {**QUIET_SETTINGS, "fs": {"roots": roots, "denied": denied}}
    with Stack(services=("thehum", "humd", "thrumd"), settings=settings) as stack:
        path = f"{target.root}/bin:{os.environ['PATH']}"
        stack.start("humfs", env={"HUM_PROBE_SECRET": SECRET, "PATH": path})
        wait_for_humfs(stack)
        yield stack


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    with connected(stack) as client:
        yield client


@pytest.fixture
def token() -> Iterator[str]:
    token = f"7{os.getpid()}{next(numbers)}"
    yield token
    for process in sleepers(token):
        process.kill()


@pytest.fixture(scope="module")
def inside(stack: Stack, target: Target) -> dict[str, Any]:
    """What the script says inside; and under `metadata` what the result tells."""
    target.describe(stack, is_inside=True)
    with connected(stack) as client:
        result = run(client, f"{PYTHON} -B probes.py target.json", timeout=120_000)
    assert result["metadata"]["exit"] == 0, result["output"]
    told = orjson.loads(result["output"].partition("\n")[0])  # a note on new names follows
    return {**told, "metadata": result["metadata"]}


@pytest.fixture(scope="module")
def beside(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the same script says without a sandbox, on a target of its own."""
    target = Target.made(tmp_path_factory.mktemp("control"))
    try:
        target.describe(stack, is_inside=False)
        done = subprocess.run(
            [PYTHON, "-B", "probes.py", "target.json"],
            cwd=target.root,
            env={**os.environ, "HUM_PROBE_SECRET": SECRET},
            capture_output=True,
            text=True,
            check=True,
        )
        told: dict[str, str] = orjson.loads(done.stdout)
        return told
    finally:
        for link in target.links:
            link.close()


@pytest.mark.parametrize("name", probes.PROBES)
def test_the_probe_is_refused(name: str, inside: dict[str, Any]) -> None:
    """reliability 6.3, I5."""
    said = inside[name]
    missing = inside["metadata"].get("sandboxMissing", [])
    if said.startswith("escaped") and KERNEL_MAY_LACK.get(name) in missing:
        pytest.skip(f"this machine has no {KERNEL_MAY_LACK[name]}: {said}")

    assert said.startswith("refused"), said


@pytest.mark.parametrize("name", sorted(set(probes.PROBES) - HARMFUL - ANYWHERE | {"P3 dot-dot"}))
def test_the_probe_gets_out_where_there_is_no_sandbox(name: str, beside: dict[str, str]) -> None:
    """Negative control."""
    if name in DEPENDS and beside[name].startswith("refused"):
        pytest.skip(f"this machine refuses it to everyone: {beside[name]}")

    assert beside[name].startswith("escaped"), beside[name]


def test_the_layers_of_this_machine_are_told(inside: dict[str, Any]) -> None:
    metadata = inside["metadata"]

    assert metadata["sandbox"] in ("full", "partial")
    assert any("GIT" in name for name in metadata["protectedMade"])
    assert (metadata["sandbox"] == "full") is ("sandboxMissing" not in metadata)


def test_nothing_outside_was_changed(inside: dict[str, Any], stack: Stack, target: Target) -> None:
    assert inside
    assert (target.outside / "secret").read_text() == SECRET
    assert (target.outside / "secret").stat().st_mode & 0o777 == 0o644
    assert [path.name for path in target.outside.iterdir()] == ["secret"]
    assert (target.root / ".profile").read_text() == "# mine\n"
    assert not (target.root / ".git/hooks/pre-commit").exists()
    assert not (target.root / "nested/.git/hooks").exists()
    assert not (target.root / ".bashrc").exists()
    assert "fsmonitor" not in (target.root / ".git/config").read_text()
    assert list(stack.paths.masks.iterdir()) == []


def test_a_fork_bomb_is_bounded_and_ended(client: Client, token: str) -> None:
    """P28."""
    bomb = f"f() {{ sleep {token} & f | f & }}; f; wait; sleep {token}"
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, client, bomb, timeout=800)
        most = 0
        while not running.done():
            most = max(most, len(sleepers(token)))

    assert running.result()["metadata"]["exit"] in (0, 124, 137, 254)
    assert 0 < most <= PROCESSES_MAX
    assert survivors(sleepers(token), seconds=GONE_SECONDS) == []


def test_daemons_end_with_their_command(client: Client, token: str) -> None:
    """P32, P33, P34."""
    daemon = f"setsid sh -c '(setsid sleep {token} &)' ; (sleep {token} & disown) ; kill -STOP $$"
    result = run(client, daemon, timeout=300)

    assert result["metadata"]["exit"] == 124
    assert survivors(sleepers(token), seconds=GONE_SECONDS) == []


def test_output_is_bounded_and_harmless(client: Client) -> None:
    """P35, P36, P37, P38, P39."""
    line = run(client, "seq -s '' 1 1000000")
    endless = run(client, "yes hum", timeout=400)
    colours = run(client, r"printf '\033[31mred\033[0m \033]0;title\007\033]52;c;aGk=\033\\ok'")
    control = run(client, r"printf 'a\000b\010\r\033\177\302\233c\342\200\256d'")
    keys = run(client, "echo sk-ant-api03-abcdefghijklmnopqrstuvwxyz0123456789 ghp_$(seq -s '' 40)")

    assert len(line["output"]) < 30_100
    assert line["metadata"]["truncated"] is True
    assert endless["metadata"]["exit"] == 124
    assert len(endless["output"]) < 30_300
    assert endless["metadata"]["stdoutBytes"] > 30_000
    assert colours["output"] == "red ok"
    assert control["output"] == r"a\x00b\x08\r\x1b\x7f\u202ed"
    assert keys["output"].count("[secret removed]") == 2


def test_a_fifo_made_by_a_command_holds_nobody(client: Client) -> None:
    """P41."""
    run(client, "mkfifo pipe")
    client.send(
        chi="tool-call", rid="fifo", sid="s", callId="fifo", toolName="humfs_read",
        args={"file_path": "pipe"},
    )  # fmt: skip

    assert client.read_until("tool-result", callId="fifo")["metadata"]["error"] == "not_regular"


def test_nothing_of_one_command_reaches_the_next(client: Client, target: Target) -> None:
    """P43, P44."""
    first = "export LD_PRELOAD=/nonexistent.so PATH=$PWD/bin:$PATH; alias git=false; cd /tmp"
    run(client, first)
    second = run(client, 'echo "$LD_PRELOAD|$PATH|$PWD"; type -P bwrap')

    shown = second["output"].splitlines()[0]
    assert shown.startswith("|/usr/local/sbin:")
    assert shown.endswith(f"|{target.root}")
    assert str(target.root / "bin") not in second["output"].replace(shown, "")
    assert not (target.outside / "pwned").exists()


def test_deep_folders_are_no_trouble(client: Client, target: Target) -> None:
    """P56."""
    (target.root / "deep.py").write_text(
        "import os\nfor _ in range(30): os.mkdir('d' * 200); os.chdir('d' * 200)\n"
    )
    try:
        deep = run(client, f"{PYTHON} deep.py")
        after = run(client, "echo still here")
    finally:  # pytest cannot remove a path of that length
        subprocess.run(["rm", "-rf", str(target.root / ("d" * 200))], check=True)

    assert deep["metadata"]["exit"] == 0, deep["output"]
    assert after["output"] == "still here"


def test_what_others_swap_meanwhile_is_never_shown(
    client: Client, target: Target, token: str
) -> None:
    """P58, P59: another process of the user exchanges a repository and a link to the outside."""
    (target.outside / ".git" / "hooks").mkdir(parents=True)
    (target.root / "way").symlink_to(target.outside)
    swap = (
        "import ctypes, sys\nlibc = ctypes.CDLL(None)\n"
        "while True: libc.renameat2(-100, b'nested', -100, b'way', 2)\n"
    )
    with subprocess.Popen([PYTHON, "-c", swap], cwd=target.root) as swapper:
        try:
            results = [run(client, "perl -pe1 nested/secret way/secret") for _ in range(10)]
            results += [
                run(client, "git -C nested status; echo x | dd of=way/new") for _ in range(3)
            ]
        finally:
            swapper.kill()
    outputs = [result["output"] for result in results]

    assert not any(SECRET in output for output in outputs)
    assert sorted(path.name for path in target.outside.iterdir()) == [".git", "secret"]
    assert list((target.outside / ".git").iterdir()) == [target.outside / ".git/hooks"]


def test_a_command_starts_only_where_it_may(client: Client, target: Target) -> None:
    """P62, humfs 2.5."""

    def error(cwd: str) -> object:
        return run(client, "pwd", cwd=cwd)["metadata"].get("error")

    (target.root / "out").symlink_to(target.outside)

    assert error(str(target.outside)) == "outside_roots"
    assert error(f"{target.root}/out") == "outside_roots"
    assert error(f"{target.root}/../outside") == "outside_roots"
    assert error(f"{target.root}/private") == "denied"
    assert error(f"{target.root}/probes.py") == "bad_args"
    assert error("/" + "a" * 8_192) in ("bad_args", "outside_roots")


@pytest.mark.soak
@pytest.mark.timeout(120)
def test_a_memory_bomb_of_many_processes_is_bounded(client: Client, target: Target) -> None:
    """P29."""
    if "memory" in run(client, "true")["metadata"].get("sandboxMissing", []):
        pytest.skip("this machine has no cgroup for memory")
    (target.root / "hog.py").write_text(
        "import time\nheld = bytearray(1536 << 20)\n"
        "for at in range(0, len(held), 4096): held[at] = 1\ntime.sleep(5)\n"
    )
    script = f"for i in 1 2 3 4; do ({PYTHON} hog.py || echo killed) & done; wait"
    result = run(client, script, timeout=50_000)

    assert "killed" in result["output"] or result["metadata"]["interrupted"], result
