"""The way out of the sandbox: only through the proxy, and only where the list says."""

import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import orjson
import pytest
from anyio.abc import SocketStream
from tests.support.sandbox import needs_bubblewrap

from humfs.core.sandbox.hosts import Hosts
from humfs.core.sandbox.layers import Level
from humfs.edge.commands import Commands
from humfs.edge.masks import Masks
from humfs.edge.proxy import Proxy
from humfs.edge.roots import Roots
from humfs.edge.sandbox import Sandbox
from humfs.tools.bash import Bash
from humfs.tools.tool import Call
from nest.metrics import Registry

pytestmark = [pytest.mark.process, needs_bubblewrap]

PYTHON = os.path.realpath(sys.executable)
SCRIPT = """
import json, os, socket, sys

def tried(act):
    try:
        return act()
    except OSError as problem:
        return f"refused: {problem}"

def through(target, proxy=os.environ.get("HTTPS_PROXY", "http://127.0.0.1:1")):
    host, port = proxy.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 10) as link:
        link.sendall(f"CONNECT {target} HTTP/1.1\\r\\n\\r\\nhello".encode())
        said = b""
        while piece := link.recv(4096):
            said += piece
        return said.decode()

def opens(*kind):
    socket.socket(*kind).close()
    return "opened"

port = sys.argv[1]
print(json.dumps({
    "listed": tried(lambda: through(f"127.0.0.1:{port}")),
    "another": tried(lambda: through("example.org:443")),
    "name of this machine": tried(lambda: through(f"localhost:{port}")),
    "around": tried(lambda: socket.create_connection(("127.0.0.1", int(port)), 5) and "connected"),
    "version 6": tried(lambda: opens(socket.AF_INET6)),
    "netlink": tried(lambda: opens(socket.AF_NETLINK, socket.SOCK_RAW)),
    "raw": tried(lambda: opens(socket.AF_INET, socket.SOCK_RAW, 1)),
    "datagrams": tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(
        b"x", ("192.0.2.1", 53))),
    "many": sum(tried(lambda: through(f"127.0.0.1:{port}")).count("HELLO") for _ in range(20)),
}))
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    (root / "net.py").write_text(SCRIPT)
    return root


@pytest.fixture
def roots(root: Path) -> Iterator[Roots]:
    roots = Roots([(str(root), "rw")], [], home=str(root))
    yield roots
    roots.close()


@asynccontextmanager
async def shouting() -> AsyncIterator[int]:
    """A server of this machine that answers in capitals and hangs up; its port."""

    async def shout(client: SocketStream) -> None:
        async with client:
            await client.send((await client.receive()).upper())

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, shout)
        yield listener.extra(anyio.abc.SocketAttribute.local_port)
        tasks.cancel_scope.cancel()


async def said(roots: Roots, notes: Path, port: int, *, hosts: list[str]) -> dict[str, object]:
    """What the script says in a sandbox whose way out knows these hosts."""
    with tempfile.TemporaryDirectory(prefix="hum") as folder:
        way_out = Path(folder, "proxy") if hosts else None
        sandbox = Sandbox(roots, Masks(notes), denied=(), way_out=way_out)
        commands = Commands(sandbox, Registry())
        async with anyio.create_task_group() as tasks:
            if way_out is not None:
                await tasks.start(Proxy(Hosts(hosts), Registry()).serve, way_out)
            tasks.start_soon(commands.attend)
            command = f"{PYTHON} net.py {port}"
            call = Call(sid="s", call_id="c", tool="humfs_bash", args={"command": command})
            bash = Bash(roots, sandbox, commands, Level.PARTIAL)
            result = await bash.follow(call, lambda stream, text: None)
            tasks.cancel_scope.cancel()
    assert result.metadata["exit"] == 0, result.output
    told: dict[str, object] = orjson.loads(result.output)
    return told


async def test_with_a_list_there_is_one_way_out(roots: Roots, tmp_path: Path) -> None:
    async with shouting() as port:
        hosts = [f"127.0.0.1:{port}", f"localhost:{port}"]
        told = await said(roots, tmp_path / "notes", port, hosts=hosts)

    assert str(told["listed"]).endswith("\r\n\r\nHELLO")
    assert told["many"] == 20
    assert "403 Forbidden" in str(told["another"])
    assert "fs.shell.hosts" in str(told["another"])
    assert "no address of the internet" in str(told["name of this machine"])
    for name in ("around", "version 6", "netlink", "raw", "datagrams"):
        assert str(told[name]).startswith("refused"), (name, told[name])


async def test_without_a_list_there_is_none(roots: Roots, tmp_path: Path) -> None:
    async with shouting() as port:
        told = await said(roots, tmp_path / "notes", port, hosts=[])

    assert told.pop("many") == 0
    for name, what in told.items():
        assert str(what).startswith("refused"), (name, what)
