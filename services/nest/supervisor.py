"""supervisord, asked directly over its Unix socket.

XML-RPC by hand, because a status should not wait for an HTTP library to be imported: one request a
connection, HTTP/1.0, so the answer ends with the connection. The socket lies in a directory that
only we can enter.
"""

import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.parsers import expat

from thrum.errors import DaemonAbsent, LocalError

ANSWER_SECONDS = 5.0
"""How long supervisord may take; its loop turns once a second at the slowest."""

ANSWER_BYTES_MAX = 4 * 1024 * 1024
PROGRAM_PREFIX = "hum-"
POLL_SECONDS = 0.05
"""Between two looks at a service that is being stopped."""
GOING = ("STARTING", "RUNNING", "BACKOFF")
"""States in which supervisord keeps a process going."""

Value = Any
"""What XML-RPC can express: text, whole numbers, booleans, lists and maps of them."""


class SupervisorFault(LocalError):
    """supervisord refused a call, or answered with something else than an answer."""


class UnknownProgram(LocalError):
    """There is no program of this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramState:
    """One supervised process."""

    name: str
    """The service's name; supervisord's without the prefix."""
    state: str
    pid: int
    """0 when it does not run."""
    started_at: int
    """Unix seconds."""
    stopped_at: int
    now: int
    """supervisord's clock."""
    exit_status: int
    log: str

    @property
    def uptime_seconds(self) -> int:
        """How long it has been running; 0 when it does not."""
        return max(0, self.now - self.started_at) if self.pid else 0


@dataclass(frozen=True, slots=True)
class Supervisor:
    """The supervisord that listens at `path`."""

    path: Path

    def call(self, method: str, *args: str | int | bool) -> Value:
        """Call `method`; raises `DaemonAbsent` when nobody listens, `SupervisorFault` otherwise."""
        answer = _exchange(self.path, _request(method, args))
        head, _, body = answer.partition(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            raise SupervisorFault(f"supervisord answered {head[:80]!r} to {method}")
        return _read_answer(body)

    def is_there(self) -> bool:
        """Whether anybody listens."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            try:
                link.connect(str(self.path))
            except OSError:
                return False
        return True

    def pid(self) -> int:
        """Supervisord's own process."""
        return int(self.call("supervisor.getPID"))

    def programs(self) -> tuple[ProgramState, ...]:
        """Every supervised process, in supervisord's order."""
        return tuple(_program(info) for info in self.call("supervisor.getAllProcessInfo"))

    def restart(self, service: str) -> None:
        """Stop a service and start it again; returns once it runs. Raises `UnknownProgram`."""
        if service not in {program.name for program in self.programs()}:
            raise UnknownProgram(f"there is no service {service!r}", hint="hum status")
        name = PROGRAM_PREFIX + service
        if self.call("supervisor.getProcessInfo", name)["pid"]:
            self.call("supervisor.stopProcess", name)
        self.call("supervisor.startProcess", name)

    def start(self, service: str) -> None:
        """Start a service that does not run; one that does is left alone."""
        if self._state(service) in GOING:
            return
        try:
            self.call("supervisor.startProcess", PROGRAM_PREFIX + service, False)
        except SupervisorFault:
            if self._state(service) not in GOING:
                raise

    def stop(self, service: str, *, within_seconds: float) -> None:
        """Stop a service; returns once it is gone. Raises `SupervisorFault` when it does not end.

        supervisord kills what does not end within the service's own time; `within_seconds` is
        longer than that.
        """
        if self._state(service) in GOING:
            try:
                self.call("supervisor.stopProcess", PROGRAM_PREFIX + service, False)
            except SupervisorFault:
                if self._state(service) in GOING:
                    raise
        deadline = time.monotonic() + within_seconds
        while (state := self._state(service)) in (*GOING, "STOPPING"):
            if time.monotonic() > deadline:
                raise SupervisorFault(
                    f"{service} is {state.lower()} for {within_seconds:.0f} s", hint="hum status"
                )
            time.sleep(POLL_SECONDS)  # each look wakes supervisord, which takes note of an end

    def reread(self) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
        """Have supervisord read its files again: the services added, changed and removed.

        Nothing is started or stopped by it. Programs of others are not in the answer.
        """
        ((added, changed, removed),) = self.call("supervisor.reloadConfig")
        return _services(added), _services(changed), _services(removed)

    def add(self, service: str) -> None:
        """Take a service that is in the files into what runs; it starts if its section says so."""
        self.call("supervisor.addProcessGroup", PROGRAM_PREFIX + service)

    def remove(self, service: str) -> None:
        """Forget a service that was stopped."""
        self.call("supervisor.removeProcessGroup", PROGRAM_PREFIX + service)

    def _state(self, service: str) -> str:
        return str(self.call("supervisor.getProcessInfo", PROGRAM_PREFIX + service)["statename"])

    def shut_down(self) -> None:
        """Ask supervisord to stop everything and end; returns at once."""
        self.call("supervisor.shutdown")


def _services(groups: Iterable[str]) -> frozenset[str]:
    return frozenset(
        name.removeprefix(PROGRAM_PREFIX) for name in groups if name.startswith(PROGRAM_PREFIX)
    )


def _program(info: Mapping[str, Value]) -> ProgramState:
    return ProgramState(
        name=str(info["name"]).removeprefix(PROGRAM_PREFIX),
        state=info["statename"],
        pid=info["pid"],
        started_at=info["start"],
        stopped_at=info["stop"],
        now=info["now"],
        exit_status=info["exitstatus"],
        log=info["logfile"],
    )


def _exchange(path: Path, request: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(ANSWER_SECONDS)
        try:
            link.connect(str(path))
        except PermissionError as error:
            raise SupervisorFault(
                f"nobody can tell whether hum runs: {path} may not be opened",
                hint=f"ls -ld {path.parent.parent} {path.parent} {path}",
            ) from error
        except OSError as error:
            raise DaemonAbsent(
                "hum is not running: nobody answers at its supervisor's socket", hint="hum up"
            ) from error
        try:
            link.sendall(request)
            parts = []
            size = 0
            while part := link.recv(65_536):
                parts.append(part)
                size += len(part)
                if size > ANSWER_BYTES_MAX:
                    raise SupervisorFault("supervisord's answer does not end")
        except OSError as error:
            raise SupervisorFault(f"supervisord does not answer: {error}") from error
    return b"".join(parts)


def _request(method: str, args: tuple[str | int | bool, ...]) -> bytes:
    params = "".join(f"<param><value>{_argument(arg)}</value></param>" for arg in args)
    body = (
        f"<?xml version='1.0'?><methodCall><methodName>{method}</methodName>"
        f"<params>{params}</params></methodCall>"
    ).encode()
    head = f"POST /RPC2 HTTP/1.0\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _argument(value: str | int | bool) -> str:
    if isinstance(value, bool):
        return f"<boolean>{int(value)}</boolean>"
    if isinstance(value, int):
        return f"<int>{value}</int>"
    text = value.replace("&", "&amp;").replace("<", "&lt;")
    return f"<string>{text}</string>"


def _read_answer(body: bytes) -> Value:
    reader = _Reader()
    try:
        reader.parser.Parse(body, True)
    except expat.ExpatError as error:
        raise SupervisorFault("supervisord's answer is no XML") from error
    if reader.is_fault:
        raise _fault(reader.result)
    return reader.result


def _fault(fault: Mapping[str, Value]) -> SupervisorFault:
    said = str(fault.get("faultString"))
    if said == "SHUTDOWN_STATE":
        return SupervisorFault("hum is being stopped", hint="when it is down: hum up")
    return SupervisorFault(f"supervisord refused: {said}", hint="hum status; hum ctl status")


class _Reader:
    """Builds the one value of an XML-RPC answer while expat reads it."""

    def __init__(self) -> None:
        self.result: Value = None
        self.is_fault = False
        self._open: list[list[Value] | dict[str, Value]] = []
        """Lists and maps that are being filled, the innermost last."""
        self._keys: list[str] = []
        """For each open map that has one, the key whose value comes next."""
        self._text: list[str] = []
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text.append

    def _start(self, tag: str, _attributes: dict[str, str]) -> None:
        self._text.clear()
        if tag == "fault":
            self.is_fault = True
        elif tag == "struct":
            self._open.append({})
        elif tag == "array":
            self._open.append([])

    def _end(self, tag: str) -> None:
        text = "".join(self._text)
        if tag == "name":
            self._keys.append(text)
        elif tag in ("struct", "array"):
            self._put(self._open.pop())
        elif tag in ("int", "i4"):
            self._put(int(text))
        elif tag == "boolean":
            self._put(text == "1")
        elif tag == "string":
            self._put(text)
        self._text.clear()

    def _put(self, value: Value) -> None:
        if not self._open:
            self.result = value
        elif isinstance(inner := self._open[-1], dict):
            inner[self._keys.pop()] = value
        else:
            inner.append(value)
