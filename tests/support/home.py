"""A user with directories of their own, who types `hum`."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import psutil

SERVICES = ("front", "humd", "humfs", "openai", "scout", "sidecar", "thehum", "thrumd")
COMMAND_SECONDS = 25


@dataclass
class Home:
    """A user with directories of their own."""

    directory: Path
    environ: dict[str, str]

    @property
    def state(self) -> Path:
        return self.directory / "state" / "hum"

    def hum(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-P", "-m", "hum", *arguments],
            env={**self.environ, **more},
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )

    def started(self, *arguments: str) -> subprocess.Popen[str]:
        """The command, while it runs; its stdout is a pipe."""
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "hum", *arguments],
            env=self.environ, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def json(self, *arguments: str) -> dict[str, Any]:
        done = self.hum(*arguments, "--json")
        found = orjson.loads(done.stdout or "null")
        assert isinstance(found, dict), done.stderr
        return found

    def settings(self, **sections: Any) -> None:
        (self.directory / "config" / "hum" / "hum.json").write_bytes(orjson.dumps(sections))

    def only(self, service: str) -> None:
        """Run nothing but `service`: the lines of an Orchfile."""
        off = "".join(f"SERVICE {name}\nDISABLED true\n" for name in SERVICES)
        orch_d = self.directory / "config" / "hum" / "orch.d"
        orch_d.mkdir(exist_ok=True)
        (orch_d / "only.orch").write_text(f"ARG FAKE={self.directory}/fake.py\n{off}{service}\n")

    def program(self, text: str) -> str:
        """Write a program; return the command that runs it."""
        (self.directory / "fake.py").write_text(text)
        return "${PYTHON} ${FAKE}"

    def service(self, name: str) -> dict[str, Any]:
        found = [one for one in self.json("status")["services"] if one["name"] == name]
        assert len(found) == 1
        return dict(found[0])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def new_home() -> Iterator[Home]:
    """Short paths, as sockets need; everything is ended and removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="hum") as directory:
        root = Path(directory)
        roots = {
            f"XDG_{name}_HOME": str(root / name.lower()) for name in ("STATE", "DATA", "CACHE")
        }
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": directory,
            "XDG_CONFIG_HOME": str(root / "config"),
            "XDG_RUNTIME_DIR": str(root / "run"),
            **roots,
        }
        (root / "run").mkdir(mode=0o700)
        (root / "config" / "hum").mkdir(parents=True)
        home = Home(root, environ)
        home.settings(front={"port": free_port()}, sidecar={"port": free_port()})
        yield home
        home.hum("down")
        assert survivors(home) == []


def survivors(home: Home) -> list[psutil.Process]:
    """Processes of this home; whoever only waits to be looked at by its parent is gone."""
    found = []
    for process in psutil.process_iter():
        try:
            is_ours = process.environ().get("XDG_STATE_HOME") == home.environ["XDG_STATE_HOME"]
            if is_ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found
