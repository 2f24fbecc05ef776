"""The generated clients: one file of vectors for all, and each as a bee on a real socket.

Go and Node are used where they are installed. Nothing is fetched, and nothing is written outside
the temporary folder: what the Go compiler keeps for the next run lies beside pytest's own folders.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.support.stack import Stack

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
VECTORS = HERE / "vectors.json"
LANGUAGES = ("python", "node", "go")
NODE_MAJOR_MIN = 20
HID = f"fbee_{'7' * 64}"
PROGRAM_SECONDS = 25.0
BUILD_SECONDS = 120.0
"""The first build compiles Go's standard library."""
NO_OPTIMIZING = "-gcflags=all=-N -l"
"""The compiler is three times as fast with it."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Go program, built from the sources as they are now."""
    place = tmp_path_factory.mktemp("go")
    base = tmp_path_factory.getbasetemp()
    kept = next((path for path in base.parents if path.name.startswith("pytest-of-")), base)
    (place / "conformance.go").write_bytes((HERE / "clients/conformance.go").read_bytes())
    (place / "go.mod").write_text(
        "module conformance\n\ngo 1.21\n\nrequire thrum v0.0.0\n\n"
        f"replace thrum => {ROOT / 'clients/go'}\n"
    )
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(place),
        "GOCACHE": str(kept / "hum-go"),
        "GOPATH": str(place / "path"),
        "GOENV": "off",
        "GOPROXY": "off",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-mod=mod",
        "GOTELEMETRY": "off",
        "CGO_ENABLED": "0",
    }
    command = ["go", "build", NO_OPTIMIZING, "-o", "conformance", "."]
    made = subprocess.run(
        command, cwd=place, env=env, capture_output=True, text=True, timeout=BUILD_SECONDS
    )
    assert made.returncode == 0, made.stderr
    return place / "conformance"


@pytest.fixture(params=LANGUAGES)
def program(request: pytest.FixtureRequest) -> list[str]:
    """The command that runs the conformance program of a language."""
    language: str = request.param
    if language == "python":
        return [sys.executable, str(HERE / "clients/conformance.py")]
    if shutil.which(language) is None:
        pytest.skip(f"{language} is not installed")
    if language == "node":
        version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
        if int(version.stdout.lstrip("v").split(".")[0]) < NODE_MAJOR_MIN:
            pytest.skip(f"node is older than {NODE_MAJOR_MIN}")
        module = (ROOT / "clients/ts/thrum.js").as_uri()
        return ["node", str(HERE / "clients/conformance.js"), module]
    return [str(request.getfixturevalue("built"))]


def environment(home: Path) -> dict[str, str]:
    path = f"{ROOT / 'clients/python'}"
    return {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": path, "LANG": "C.UTF-8"}


def said(command: list[str], home: Path) -> list[Any]:
    """What a program printed, line by line."""
    done = subprocess.run(
        command,
        env=environment(home),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=PROGRAM_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return [orjson.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.timeout(BUILD_SECONDS + 30)
def test_every_vector_holds_in_every_language(program: list[str], home: Path) -> None:
    """Features A5, thrum 15.10: none may be left out."""
    groups = orjson.loads(VECTORS.read_bytes())

    (report,) = said([*program, "vectors", str(VECTORS), str(home / "place")], home)

    assert report["failed"] == []
    assert report["passed"] == {name: len(group) for name, group in groups.items()}


def test_a_wrong_vector_would_be_found(tmp_path: Path, home: Path) -> None:
    groups = orjson.loads(VECTORS.read_bytes())
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps({**groups, "sigil": [{"sid": "a", "nest": "b", "is": "0" * 12}]}))
    program = [sys.executable, str(HERE / "clients/conformance.py")]

    (report,) = said([*program, "vectors", str(wrong), str(home / "place")], home)

    assert report["passed"]["sigil"] == 0
    assert len(report["failed"]) == 1


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack() as stack:
        yield stack


@pytest.mark.process
@pytest.mark.timeout(BUILD_SECONDS + 30)
def test_each_client_is_a_worker_and_an_asker(program: list[str], stack: Stack, home: Path) -> None:
    """Features A5: hello, prompt, chunks and finish through the real door and router."""
    (report,) = said([*program, "turn", str(stack.paths.thrum_socket)], home)

    assert report["text"] == "Grüße ☕"
    finish = report["finish"]
    assert (finish["chi"], finish["finishReason"], finish["from"]) == (
        "finish", "end_turn", "daemon",
    )  # fmt: skip


@pytest.fixture
def listener(home: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home / "door.sock"))
        listener.listen()
        listener.settimeout(PROGRAM_SECONDS)
        yield listener


def serve(listener: socket.socket, lines: int, answer: bytes, *, to_end: bool = False) -> list[Any]:
    """Take one connection, read some lines, answer, close; return what was read."""
    link, _ = listener.accept()
    with link, link.makefile("rb") as heard:
        link.settimeout(PROGRAM_SECONDS)
        read = [heard.readline() for _ in range(lines)]
        link.sendall(answer)
        if to_end:
            read += heard.readlines()
    return [orjson.loads(line) for line in read]


@pytest.mark.process
@pytest.mark.timeout(BUILD_SECONDS + 30)
def test_a_client_outlives_its_connections(
    program: list[str], listener: socket.socket, home: Path
) -> None:
    """Half a line dies with its connection; what has no echo is offered again, and only that."""
    command = [*program, "reconnect", str(home / "door.sock"), HID]
    with subprocess.Popen(
        command, env=environment(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as client:
        try:
            first = serve(listener, 2, b'{"chi":"breath"}\n{"chi":"chunk","sid":"s","del')
            second = serve(listener, 2, b'{"chi":"echo","rid":"kept","ok":true}\n{"chi":"fin')
            third = serve(listener, 1, b'ish"}\n{"chi":"finish","sid":"s"}\n', to_end=True)
            output, errors = client.communicate(timeout=PROGRAM_SECONDS)
        finally:
            client.kill()

    assert client.returncode == 0, errors
    assert [[tone["chi"] for tone in tones] for tones in (first, second, third)] == [
        ["hello", "prompt"],
        ["hello", "prompt"],
        ["hello"],
    ]
    assert {tone["hid"] for tone in (first[0], second[0], third[0])} == {HID}
    assert first[1] == second[1] == {"chi": "prompt", "rid": "kept", "sid": "s"}
    assert [orjson.loads(line) for line in output.splitlines()] == [
        {"chi": "refused"},
        {"chi": "breath"},
        {"chi": "echo", "rid": "kept", "ok": True},
        {"chi": "finish", "sid": "s"},
        {"chi": "over", "unsettled": 0},
    ]
