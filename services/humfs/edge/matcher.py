"""Running a regular expression with a time limit that holds.

Python's `re` backtracks and cannot be interrupted, so matching happens in a child
(`edge.match_child`) that is killed when the call's time is over or the call is cancelled. The child
gets lines, never paths or handles.

Frames are a length and a body, in turns: we send lines of one or more files, it answers with counts
and hits. The first two frames are the expression and a text every match contains (or nothing).
"""

import os
import select
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from humfs.edge import match_child
from humfs.edge.watch import Watch
from humfs.errors import Code, Refusal

BATCH_BYTES = 1024 * 1024
"""Lines gathered before they are sent."""
ANSWER_BYTES_MAX = 64 * 1024 * 1024
POLL_SECONDS = 0.2
"""How often a waiting call looks whether it was cancelled."""
REAP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Hit:
    """A line that matches."""

    file: int
    line: int
    byte: int
    """Where the match starts in its line."""
    char: int
    """Where it starts in `text`."""
    before: int
    after: int
    """Characters of the line left out of `text` on either side."""
    text: str


@dataclass(slots=True)
class Matcher:
    """One expression over many files. A context manager; its child ends with it.

    Raises `Refusal` (`timeout`) when the time of `watch` is over, `cancelled` when the call is.
    """

    expression: str
    literal: str
    watch: Watch
    hits: list[Hit] = field(default_factory=list)
    """The first hits, in the order of the files."""
    counts: Counter[int] = field(default_factory=Counter)
    """Hits of each file."""
    _batch: bytearray = field(default_factory=bytearray)
    _child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Matcher":
        self._child = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(match_child.__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd="/",
            env={},
            start_new_session=True,
        )
        for pipe in (self._child.stdin, self._child.stdout):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
        for text in (self.expression, self.literal):
            self._send(text.encode())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        child = self._child
        assert child is not None
        child.kill()
        with child:
            child.wait(REAP_SECONDS)

    def add(self, file: int, line: int, lines: bytes) -> None:
        """Search lines of a file, the first of which has number `line`; hits may come later."""
        self._batch += match_child.PIECE.pack(file, line, len(lines)) + lines
        if len(self._batch) >= BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Send what is gathered; afterwards every hit of it is known."""
        if self._batch:
            self._send(bytes(self._batch))
            self._batch.clear()
            self._take(self._receive())

    def _take(self, answer: bytes) -> None:
        at = match_child.LENGTH.size
        for _ in range(match_child.LENGTH.unpack_from(answer)[0]):
            file, count = match_child.COUNT.unpack_from(answer, at)
            self.counts[file] += count
            at += match_child.COUNT.size
        while at < len(answer):
            *numbers, length = match_child.HIT.unpack_from(answer, at)
            file, line, byte, char, before, after = numbers
            at += match_child.HIT.size
            text = answer[at : at + length].decode("utf-8", "replace")
            self.hits.append(Hit(file, line, byte, char, before, after, text))
            at += length

    def _send(self, body: bytes) -> None:
        assert self._child is not None
        assert self._child.stdin is not None
        pipe = self._child.stdin.fileno()
        left = memoryview(match_child.LENGTH.pack(len(body)) + body)
        while left:
            self._wait(pipe, select.POLLOUT)
            try:
                left = left[os.write(pipe, left) :]
            except BlockingIOError:
                continue
            except BrokenPipeError as ended:
                raise _child_ended() from ended

    def _receive(self) -> bytes:
        length = match_child.LENGTH.unpack(self._exactly(match_child.LENGTH.size))[0]
        if length > ANSWER_BYTES_MAX:
            raise _child_ended()
        return self._exactly(length)

    def _exactly(self, length: int) -> bytes:
        assert self._child is not None
        assert self._child.stdout is not None
        pipe = self._child.stdout.fileno()
        content = bytearray()
        while len(content) < length:
            self._wait(pipe, select.POLLIN)
            try:
                part = os.read(pipe, length - len(content))
            except BlockingIOError:
                continue
            if not part:
                raise _child_ended()
            content += part
        return bytes(content)

    def _wait(self, pipe: int, event: int) -> None:
        poll = select.poll()
        poll.register(pipe, event)
        while not poll.poll(min(POLL_SECONDS, self.watch.left) * 1_000):
            if self.watch.is_over:
                files = len(self.counts)
                raise Refusal(
                    Code.TIMEOUT,
                    f"The search ran out of time; it had found {self.counts.total()} match(es) "
                    f"in {files} file(s).",
                    hint="Use a simpler pattern (no nested repetition) or narrow file_path.",
                )


def _child_ended() -> Refusal:
    return Refusal(
        Code.BAD_PATTERN,
        "pattern cannot be used: matching it took more memory or time than it may.",
        hint="Use a simpler pattern, without nested or large repetition.",
    )
