"""Large images of a request, taken out before anybody reads it as JSON, and put beside the prompt.

`lift` cuts every long base64 text out of a body and leaves a mark of a few bytes; what reads the
body then is quick. `place` finds the marks, and long images that were not lifted, where a prompt
has images, and has a reference put in the place of each.

A mark is only good where an image stands. One that is left anywhere else was cut out of a text;
then the whole body has to be read as it came.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from mmap import mmap
from typing import Any

from thrum.attachments import MEDIA_CHARS_MAX, digest_of, read_reference, reference
from thrum.frames import pack_body
from thrum.tones import Body

LARGE_BYTES = 64 * 1024
"""A base64 text of this length is put beside the prompt."""
HEAD_CHARS = 16
"""Of a text that is cut out, the characters that stay: some dialects tell the type by them."""

_BLOCK_BYTES = LARGE_BYTES // 2
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="


Judge = Callable[[memoryview], str | None]
"""The digest of a text that is base64 and nothing else; None for others."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A base64 text, part of a body itself or of what was read of it, with its digest."""

    text: bytes | memoryview
    digest: str


@dataclass(frozen=True, slots=True)
class Lifted:
    """A body without its long base64 texts."""

    thin: bytes
    cuts: tuple[Cut, ...] = ()
    mark: str = ""
    """How the marks begin; each goes on with the number of its text."""


def is_base64(text: memoryview) -> bool:
    """Whether a text is base64 and nothing else. A block at a time: a copy of all costs more."""
    for at in range(0, len(text), _BLOCK_BYTES):
        if bytes(text[at : at + _BLOCK_BYTES]).translate(None, _BASE64):
            return False
    return True


def judged(text: memoryview) -> str | None:
    """See `Judge`."""
    return digest_of(text) if is_base64(text) else None


def lift(raw: bytes | mmap, nonce: str, judge: Judge = judged) -> Lifted:
    """Cut long base64 texts out of a body of JSON. Nobody who writes bodies knows `nonce`.

    `judge` is asked about texts that begin as base64 does.
    """
    if len(raw) < LARGE_BYTES:
        return Lifted(raw[:])
    mark = f"@{nonce}."
    pieces: list[bytes] = []
    cuts: list[Cut] = []
    kept = 0
    for start, end in _long_strings(raw):
        comma = raw.find(b",", start, start + MEDIA_CHARS_MAX + 32)
        begin = comma + 1 if comma >= 0 and raw[start : start + 5] == b"data:" else start
        text = memoryview(raw)[begin:end]
        if len(text) < LARGE_BYTES or not is_base64(text[:_BLOCK_BYTES]):
            continue
        if (digest := judge(text)) is not None:
            head = raw[begin : begin + HEAD_CHARS]
            pieces += (raw[kept:begin], head, f"{mark}{len(cuts)}@".encode())
            cuts.append(Cut(text, digest))
            kept = end
    if not cuts:
        return Lifted(raw[:])
    return Lifted(b"".join((*pieces, raw[kept:])), tuple(cuts), mark)


def place(bodies: Iterable[Body], lifted: Lifted, put: Callable[[Cut], object]) -> bool:
    """Put references where the images of prompts stand; False when a mark is somewhere else.

    `put` takes each image once. When this returns False the prompts are not to be used.
    """
    digests: dict[str, str] = {}
    for body in bodies:
        for holder, key in _images(body):
            media, data = _parted(holder, key)
            if media is None or data is None:
                continue
            if data not in digests and (cut := _cut(data, lifted)) is not None:
                put(cut)
                digests[data] = cut.digest
            if data in digests:
                holder.pop("data", None)
                holder["url"] = reference(media, digests[data])
        if lifted.cuts and lifted.mark.encode() in pack_body(body):
            return False
    return True


def with_texts(messages: Iterable[Body], read: Callable[[str], bytes]) -> tuple[Body, ...]:
    """Messages of a chat with every image and file in them again, for whoever keeps them longer."""
    return tuple(_whole(message, read) for message in messages)


def _whole(message: Body, read: Callable[[str], bytes]) -> Body:
    content = message.get("content")
    if type(content) is not list:
        return message
    return {**message, "content": [_whole_part(part, read) for part in content]}


def _whole_part(part: Body, read: Callable[[str], bytes]) -> Body:
    kind = part["type"]
    held = part.get(kind)
    found = read_reference(held["url"]) if type(held) is dict else None
    if found is None:
        return part
    media, digest = found
    return {**part, kind: {**part[kind], "url": f"data:{media};base64,{read(digest).decode()}"}}


def _long_strings(raw: bytes | mmap) -> Iterator[tuple[int, int]]:
    """Where long runs without a quote are, inside two quotes; most are strings.

    A run that is long enough covers one of the blocks whole, so that all others cost one look.
    """
    at = 0
    while at < len(raw):
        if _quote(raw, at, at + _BLOCK_BYTES) >= 0:
            at += _BLOCK_BYTES
            continue
        end = _quote(raw, at, len(raw))
        if end < 0:
            return
        start = raw.rfind(b'"', 0, at) + 1
        if start > 0 and end - start >= LARGE_BYTES:
            yield start, end
        at = end + 1


def _quote(raw: bytes | mmap, begin: int, end: int) -> int:
    """The first quote in a part, or -1. A copy of each block finds it five times sooner."""
    for at in range(begin, end, _BLOCK_BYTES):
        if (found := raw[at : min(at + _BLOCK_BYTES, end)].find(b'"')) >= 0:
            return at + found
    return -1


def _images(prompt: Body) -> Iterator[tuple[Body, str]]:
    """Every object of a prompt that holds an image, with the key that it is under."""
    for attached in prompt.get("attachments") or ():
        yield attached, "data" if "data" in attached else "url"
    yield from _parts(prompt.get("content"))
    for entry in prompt.get("history") or ():
        yield from _parts(entry.get("content"))


def _parts(content: object) -> Iterator[tuple[Body, str]]:
    for part in content if type(content) is list else ():
        held = part.get(part.get("type")) if type(part) is dict else None
        if type(held) is dict and type(held.get("url")) is str:
            yield held, "url"


def _parted(holder: Mapping[str, Any], key: str) -> tuple[str | None, str | None]:
    """The media type and the base64 text of an image; None for one that is elsewhere."""
    value = holder.get(key)
    if type(value) is not str:
        return None, None
    if key == "data":
        return _media(str(holder.get("mediaType"))), value
    head, comma, _ = value[: MEDIA_CHARS_MAX + 32].partition(",")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        return None, None
    return _media(head[len("data:") : -len(";base64")].partition(";")[0]), value[len(head) + 1 :]


def _media(media: str) -> str:
    plain = media.replace("/", "", 1).translate(str.maketrans("", "", ".+*-_"))
    return media if "/" in media and plain.isalnum() and plain.isascii() else "image/*"


def _cut(data: str, lifted: Lifted) -> Cut | None:
    """The base64 text that stands here: one that was cut out, or a long one; None for others."""
    if len(data) >= LARGE_BYTES:
        text = data.encode("utf-8", "surrogatepass")
        digest = judged(memoryview(text))
        return None if digest is None else Cut(text, digest)
    marked = data[HEAD_CHARS:]
    for number, cut in enumerate(lifted.cuts):
        if marked == f"{lifted.mark}{number}@":
            return cut
    return None
