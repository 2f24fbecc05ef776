"""What a command printed, as a model may read it: no control characters, no keys, bounded.

Bytes come in pieces that may end anywhere: inside a character, inside a colour, inside a key. What
cannot be judged yet waits for the next piece, up to `HELD_CHARS_MAX`.
"""

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from humfs.core.shell.secrets import begins_secret, without_secrets

HEAD_BYTES = 10_000
TAIL_BYTES = 20_000
"""Kept of a stream: its first and its last bytes, 30,000 together."""
HELD_CHARS_MAX = 8_192
"""Characters that wait to be judged."""

_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x9b[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[PX^_][^\x1b\x9c]*(?:\x1b\\|\x9c)|\x1b[ -/]+[0-~]|\x1b[0-OQ-WYZ\\`-~]|\r(?=\n)"
)
"""Colours, cursor movements, titles; and the first half of a line's end by two characters."""
_UNFINISHED = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b\x9c]*\x1b?|[ -/]*)|\x9b[0-?]*[ -/]*"
)
_BEGINS = ("\x1b", "\x9b")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_ESCAPES = {
    number: f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
    for number in range(0x206A)
    if _CONTROL.fullmatch(chr(number))
} | {ord("\r"): "\\r"}


class Cleaner:
    """Turns the bytes of one stream into text, piece by piece."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""

    def feed(self, piece: bytes, *, is_last: bool = False) -> str:
        """The text that is certain now."""
        text = self._held + self._decoder.decode(piece, is_last)
        end = len(text) if is_last else _certain(text)
        self._held = text[end:]
        return _cleaned(text[:end])


def _certain(text: str) -> int:
    """How much of a text the next piece cannot change."""
    floor = max(0, len(text) - HELD_CHARS_MAX)
    end = begins_secret(text, floor)
    if text[:end].endswith("\r"):
        end -= 1
    return max(floor, _begins_sequence(text, floor, end))


def _begins_sequence(text: str, start: int, end: int) -> int:
    """Where the last one or two beginnings of a sequence are, when it has no end before `end`."""
    at = found = end
    for _ in range(2):
        at = max(text.rfind(sign, start, at) for sign in _BEGINS)
        if at < 0:
            break
        if _UNFINISHED.fullmatch(text, at, end):
            found = at
    return found


def _cleaned(text: str) -> str:
    if any(sign in text for sign in (*_BEGINS, "\r")):
        text = _SEQUENCE.sub("", text)
    text = without_secrets(text)
    return text.translate(_ESCAPES) if _CONTROL.search(text) else text


@dataclass(slots=True)
class Stream:
    """One stream of a command: its two ends as text, and how long it was."""

    bytes_total: int = 0
    """Bytes that the command wrote."""
    _cleaner: Cleaner = field(default_factory=Cleaner)
    _head: bytearray = field(default_factory=bytearray)
    _tail: bytearray = field(default_factory=bytearray)
    _clean_total: int = 0

    def add(self, piece: bytes, *, is_last: bool = False) -> str:
        """Take the next bytes; the text that they made certain."""
        self.bytes_total += len(piece)
        text = self._cleaner.feed(piece, is_last=is_last)
        content = text.encode("utf-8", "replace")
        self._clean_total += len(content)
        room = HEAD_BYTES - len(self._head)
        self._head += content[:room]
        self._tail += content[max(room, len(content) - TAIL_BYTES) :]
        del self._tail[: max(0, len(self._tail) - TAIL_BYTES)]
        return text

    @property
    def left_out(self) -> int:
        """Bytes of the text between the two ends."""
        return self._clean_total - len(self._head) - len(self._tail)

    def text(self) -> str:
        """All of it, or its two ends with a line between them; nothing is added afterwards."""
        self.add(b"", is_last=True)
        if not self.left_out:
            return (self._head + self._tail).decode("utf-8", "ignore")
        head, tail = (part.decode("utf-8", "ignore") for part in (self._head, self._tail))
        return f"{head}\n[{self.left_out} bytes left out]\n{tail}"


def told(
    out: Stream, err: Stream, *, exit_status: int, first: Sequence[str], last: Sequence[str]
) -> str:
    """The output of a call: notes before and behind, both streams, how it ended."""
    parts = [*first]
    if text := out.text():
        parts.append(text.removesuffix("\n"))
    if text := err.text():
        parts.append(f"<stderr>\n{text.removesuffix(chr(10))}\n</stderr>")
    if exit_status or not (out.bytes_total or err.bytes_total):
        parts.append(f"(exit {exit_status})")
    return "\n".join([*parts, *last])
