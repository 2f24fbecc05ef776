"""Real processes of hum under a home of their own, for tests.

    with Stack(tmp_path, services=("thehum", "humd", "thrumd")) as stack:
        stack.start("humfs")
        with stack.client() as client: ...
        stack.kill("humd")
        stack.start("humd")
        stack.wait_ready()

Entering starts the services in the order given and waits until humd answers a hello through the
door (when `thrumd` is among them). Leaving ends every process, and no child is left. `Stack()`
without a home makes a short one in the temporary folder and removes it; use it where paths would
get too long for a socket.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson
from tests.support.ndjson import Client

from nest.paths import Paths

CORE = ("thehum", "humd", "thrumd")
MODULES = {
    "scout": "workers.scout",
    "openai": "workers.openai",
    "anthropic": "workers.anthropic",
    "ollama": "workers.ollama",
    "claude-cli": "workers.claude_cli",
    "front": "foragers.front",
    "memory_log": "tests.support.memory_log",
    "unfair_door": "tests.support.unfair_door",
}
"""Services whose module has another name."""
REPOSITORY = Path(__file__).parents[2]
READY_SECONDS = 20.0
EXIT_SECONDS = 15.0
POLL_SECONDS = 0.02
LOG_TAIL_CHARS = 4_000
QUIET_SETTINGS: Mapping[str, Any] = {
    "front": {"port": 0},
    "sidecar": {"port": 0},
    "humd": {"metricsAddr": ""},
}
"""Settings under which no two stacks meet on a port."""


class ServiceEnded(AssertionError):
    """A service ended, or did not get ready; the message has the end of its log."""


class Stack:
    """See the module."""

    def __init__(
        self,
        home: Path | None = None,
        services: Sequence[str] = CORE,
        *,
        env: Mapping[str, str] | None = None,
        settings: Mapping[str, Any] = QUIET_SETTINGS,
    ) -> None:
        self._own_home = home is None
        self.home = Path(tempfile.mkdtemp(prefix="hum-")) if home is None else home
        self.env = self._environment() | dict(env or {})
        self.paths = Paths.from_environment(self.env)
        self._services = tuple(services)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.configure(settings)

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Write hum.json; services started from now on read it."""
        self.paths.config.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.paths.hum_json.write_bytes(orjson.dumps(settings))

    def __enter__(self) -> Self:
        try:
            for name in self._services:
                self.start(name)
            if "thrumd" in self._services:
                self.wait_ready()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def start(
        self,
        name: str,
        *args: str,
        env: Mapping[str, str] | None = None,
        instance: str | None = None,
    ) -> None:
        """Start `python -m <name>`; its output goes to `log(name)`.

        A second process of one service is known by its `instance` from then on.
        """
        known_as = instance or name
        assert not self.is_running(known_as), f"{known_as} runs already"
        with self._log(known_as).open("ab") as output:
            self._processes[known_as] = subprocess.Popen(
                [sys.executable, "-m", MODULES.get(name, name), *args],
                env={**self.env, **(env or {})},
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal, wait for the end, return the exit status (or minus the signal)."""
        process = self._processes.pop(name)
        process.send_signal(number)
        try:
            return process.wait(EXIT_SECONDS)
        except subprocess.TimeoutExpired as late:
            process.kill()
            process.wait()
            raise ServiceEnded(f"{name} ignored {number.name}\n{self._tail(name)}") from late

    def send_signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal and go on (`SIGSTOP`, `SIGCONT`)."""
        self._processes[name].send_signal(number)

    def restart(self, name: str, number: signal.Signals = signal.SIGTERM) -> None:
        """End a service and start it again."""
        self.kill(name, number)
        self.start(name)

    def pid(self, name: str) -> int:
        return self._processes[name].pid

    def is_running(self, name: str) -> bool:
        return name in self._processes and self._processes[name].poll() is None

    def wait_exit(self, name: str) -> int:
        """Wait for a service to end by itself; return its exit status."""
        return self._processes.pop(name).wait(EXIT_SECONDS)

    def log(self, name: str) -> str:
        """What a service wrote so far, over all its starts."""
        return self._log(name).read_text(errors="replace") if self._log(name).exists() else ""

    def client(self, **options: Any) -> Client:
        """A new connection to the door."""
        return Client(self.paths.thrum_socket, **options)

    def wait_ready(self) -> None:
        """Return once humd answers a hello through the door: log, router and door work."""
        self.wait_for(self._answers, "an answer to a hello")

    def wait_bee(self, hive: str) -> None:
        """Return once a bee of this hive is registered."""
        self.wait_for(lambda: hive in self.hives(), f"a bee of hive {hive}")

    def events(self) -> list[dict[str, Any]]:
        """Everything in the log, in order; bodies that are beside it aside."""
        parts = sorted(self.paths.thehum.glob("[0-9]*.ndjson"))
        lines = b"".join(part.read_bytes() for part in parts).rstrip(b"\0").splitlines()
        return [orjson.loads(line) for line in lines if line.startswith(b"{")]

    def hives(self) -> list[str]:
        """The hives in bees.json, one entry for each bee."""
        try:
            bees = orjson.loads(self.paths.bees_json.read_bytes())
        except (FileNotFoundError, orjson.JSONDecodeError):
            return []
        return [str(bee.get("name")) for bee in bees.values()]

    def wait_for(
        self, holds: Callable[[], bool], what: str, *, seconds: float = READY_SECONDS
    ) -> None:
        """Return once `holds`; raise `ServiceEnded` when a service ends first or time is up."""
        until = time.monotonic() + seconds
        while not holds():
            for name, process in self._processes.items():
                if process.poll() is not None:
                    raise ServiceEnded(
                        f"{name} ended with {process.returncode}\n{self._tail(name)}"
                    )
            if time.monotonic() > until:
                tails = "\n".join(f"--- {name}\n{self._tail(name)}" for name in self._processes)
                raise ServiceEnded(f"no {what} in {seconds:.0f} s\n{tails}")
            time.sleep(POLL_SECONDS)

    def close(self) -> None:
        """End every process, the last started first, and remove a home of our own."""
        for process in reversed(self._processes.values()):
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
                try:
                    process.wait(EXIT_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        self._processes.clear()
        if self._own_home:
            shutil.rmtree(self.home, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            with self.client(reply_seconds=1.0) as probe:
                probe.read_until("breath")
                probe.send(chi="hello", sid="stack-probe")
                return bool(probe.read()["chi"] == "breath")
        except (OSError, EOFError):
            return False

    def _environment(self) -> dict[str, str]:
        runtime = self.home / "run"
        runtime.mkdir(mode=0o700, exist_ok=True)
        return {
            "HOME": str(self.home),
            "XDG_STATE_HOME": str(self.home / "state"),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_DATA_HOME": str(self.home / "data"),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "XDG_RUNTIME_DIR": str(runtime),
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(REPOSITORY),
            "PYTHONUNBUFFERED": "1",
        }

    def _log(self, name: str) -> Path:
        return self.home / f"{name}.log"

    def _tail(self, name: str) -> str:
        return self.log(name)[-LOG_TAIL_CHARS:]
