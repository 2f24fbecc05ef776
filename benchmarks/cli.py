"""What the command line costs, measured from outside: help, start until ready, idle memory.

`python benchmarks/cli.py`: alone, in a temporary home on free ports; nothing is left. Prints one
JSON object for each figure, last. Everything runs once before it is measured, so that compiled
bytecode is there, as it is after an installation.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson

ROUNDS = 15
STARTS = 3
IDLE_SECONDS = 5
COMMAND_SECONDS = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(home: Path) -> dict[str, str]:
    config = home / "config" / "hum"
    config.mkdir(parents=True)
    ports = {"front": {"port": free_port()}, "sidecar": {"port": free_port()}}
    (config / "hum.json").write_text(json.dumps(ports))
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_RUNTIME_DIR": str(home / "run"),
    }


def hum(environ: dict[str, str], *arguments: str) -> tuple[float, str]:
    """Run one command; return its seconds and its output. Its failure is ours."""
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-P", "-m", "hum", *arguments],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_SECONDS,
    )
    seconds = time.perf_counter() - begun
    if done.returncode:
        raise SystemExit(f"hum {' '.join(arguments)} exits {done.returncode}:\n{done.stderr}")
    return seconds, done.stdout


def figure(name: str, value: float, unit: str, goal: str) -> None:
    print(json.dumps({"figure": name, "value": round(value, 3), "unit": unit, "goal": goal}))


def median_ms(environ: dict[str, str], *arguments: str) -> float:
    return 1000 * statistics.median(hum(environ, *arguments)[0] for _ in range(ROUNDS))


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="humbench") as directory:
        environ = environment(Path(directory))
        try:
            hum(environ, "--help")
            hum(environ, "up")
            hum(environ, "down")
            help_ms = median_ms(environ, "--help")
            starts = []
            for _ in range(STARTS):
                hum(environ, "down")
                starts.append(hum(environ, "up")[0])
            status_ms = median_ms(environ, "status", "--json")
            time.sleep(IDLE_SECONDS)
            status = orjson.loads(hum(environ, "status", "--json")[1])
            stop = hum(environ, "down")[0]
        finally:
            hum(environ, "down")
    for service in status["services"]:
        print(f"{service['name']:10} {service['rss_bytes'] / 1e6:6.1f} MB", file=sys.stderr)
    figure("cli.help_ms", help_ms, "ms", "<= 150")
    figure("cli.status_ms", status_ms, "ms", "<= 250")
    figure("cli.up_ready_s", statistics.median(starts), "s", "<= 5")
    figure("cli.down_s", stop, "s", "<= 5")
    figure("idle.rss_mb", status["rss_bytes_total"] / 1e6, "MB", "<= 300")


if __name__ == "__main__":
    main()
