"""How a tone from humd becomes lines for a client (docs/wire.md, section 2.4)."""

from dataclasses import replace
from functools import lru_cache

from thrum.chi import Chi
from thrum.ids import sigil
from thrum.lines import write_line
from thrum.tones import Body, Tone

LINE_BYTES_SOFT_MAX = 64 * 1024 - 1
"""Clients in Python read with asyncio's limit of 64 KiB: a text that can be divided stays below."""
TEXT_DELTA = "text_delta"
DIVISIBLE = {
    TEXT_DELTA: "delta",
    "reasoning_delta": "delta",
    "tool_input_delta": "partialJson",
}
"""Kinds of chunk with a text that may be cut anywhere or joined with the next, and its key."""


def addressed(tone: Tone, nest: str) -> Tone:
    """The tone as its client is to see it; takes over the one it is given.

    A tone that was fanned out on its sid is from the daemon and carries the sid's sigil. A text
    chunk carries both of its forms, a permission-ask both of its names.
    """
    if tone.fan:
        tone.sender = "daemon"
        if tone.sid is not None and "sigil" not in tone.body:
            tone.body["sigil"] = _sigil(tone.sid, nest)
    if tone.chi == Chi.CHUNK:
        _complete(tone.body)
    elif tone.chi == Chi.PERMISSION_ASK:
        _name_twice(tone.body)
    return tone


def lines_of(tone: Tone) -> list[bytes]:
    """The lines of a tone: one, or several when its text can be divided and is too long for one.

    Raises `MalformedTone` when JSON cannot express its body.
    """
    line = write_line(tone)
    delta = delta_of(tone) if len(line) > LINE_BYTES_SOFT_MAX else None
    if delta is None or len(delta) < 2 or not _is_mostly_text(tone):
        return [line]
    middle = len(delta) // 2
    return lines_of(with_delta(tone, delta[:middle])) + lines_of(with_delta(tone, delta[middle:]))


def delta_of(tone: Tone) -> str | None:
    """The text of a chunk that may be divided and joined; None for every other tone."""
    key = _key_of(tone) if tone.chi == Chi.CHUNK else None
    return None if key is None else tone.text(key)


def with_delta(tone: Tone, delta: str) -> Tone:
    """The same chunk with another text, in both forms where it has both."""
    body = {**tone.body, _key_of(tone) or "delta": delta}
    part = body.get("part")
    if isinstance(part, dict) and "text" in part:
        body["part"] = {**part, "text": delta}
    return replace(tone, body=body)


def _key_of(tone: Tone) -> str | None:
    kind = tone.body.get("chunkType")
    return DIVISIBLE.get(kind) if isinstance(kind, str) else None


def _complete(body: Body) -> None:
    """Give a text chunk the form it lacks: `chunkType` and `delta`, or `part`."""
    if body.get("chunkType", TEXT_DELTA) != TEXT_DELTA:
        return
    part = body.get("part")
    text = part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None
    delta = body.get("delta")
    if isinstance(text, str):
        body["chunkType"] = TEXT_DELTA
        body.setdefault("delta", text)
    elif part is None and "chunkType" in body and isinstance(delta, str):
        body["part"] = {"type": "text", "text": delta}


def _name_twice(body: Body) -> None:
    """Give an ask the name it lacks: clients read `askId`, or `permitId`."""
    name = body.get("askId") or body.get("permitId")
    if isinstance(name, str) and name:
        body["askId"] = body["permitId"] = name


def _is_mostly_text(tone: Tone) -> bool:
    """Whether dividing helps: the rest of the line is repeated in every piece."""
    return len(write_line(with_delta(tone, ""))) * 2 < LINE_BYTES_SOFT_MAX


_sigil = lru_cache(maxsize=4_096)(sigil)
