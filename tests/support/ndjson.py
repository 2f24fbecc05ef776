"""A plain-socket client of the door: what a bee in any language can do with a socket and JSON.

Blocking, one reader. It uses nothing of the project, so it tests what a stranger would see.
"""

import json
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Any

REPLY_SECONDS = 10.0
"""How long `read` waits before it gives up; a bound for a broken build, never a measure."""

Flat = dict[str, Any]


class Client:
    """One connection to the door. Use it as a context."""

    def __init__(self, path: Path | str, *, reply_seconds: float = REPLY_SECONDS) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(reply_seconds)
        try:
            self.socket.connect(str(path))
        except OSError:
            self.socket.close()
            raise
        self._lines = self.socket.makefile("rb")
        self._reply_seconds = reply_seconds

    def send(self, **tone: Any) -> None:
        """Send one tone. `sender` stands for `from`, which is a word of Python."""
        if "sender" in tone:
            tone["from"] = tone.pop("sender")
        self.send_raw(json.dumps(tone).encode() + b"\n")

    def send_raw(self, line: bytes) -> None:
        self.socket.sendall(line)

    def read(self) -> Flat:
        """The next tone. Raises `EOFError` when the door closed, `TimeoutError` when it is mute."""
        line = self._lines.readline()
        if not line:
            raise EOFError("the door closed the connection")
        tone: Flat = json.JSONDecoder().decode(line.decode("ascii"))
        return tone

    def read_until(self, chi: str, **fields: Any) -> Flat:
        """The next tone of this chi with these fields; others are skipped."""
        until = time.monotonic() + self._reply_seconds
        while time.monotonic() < until:
            tone = self.read()
            if tone["chi"] == chi and fields.items() <= tone.items():
                return tone
        raise TimeoutError(f"no {chi} {fields}")

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None,
                 trace: TracebackType | None) -> None:  # fmt: skip
        self.close()

    def close(self) -> None:
        """Hang up; twice is as good as once."""
        self._lines.close()
        self.socket.close()
