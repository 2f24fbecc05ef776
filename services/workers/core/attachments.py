"""Attachments of a prompt in the request to a service: marks first, the bytes at the very end.

A request is built with a mark where base64 belongs, so that nobody copies or escapes megabytes; the
marks are replaced in the finished body, which stays in parts. The base64 text is spliced as it is:
whoever put it down has seen that nothing in it means anything in JSON.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from thrum.attachments import read_reference
from thrum.tones import Body

Part = bytes | memoryview


def marked(messages: Iterable[Body], nonce: str) -> tuple[list[Body], dict[str, bytes]]:
    """Messages with marks in place of references, and the mark of each digest."""
    marks: dict[str, bytes] = {}
    return [_message(message, nonce, marks) for message in messages], marks


def splice(body: bytes, marks: Mapping[str, bytes], read: Callable[[str], Part]) -> list[Part]:
    """The parts of the body, with the text of each attachment in place of its marks."""
    if not marks:
        return [body]
    parts: list[bytes] = re.split(b"(%b)" % b"|".join(map(re.escape, marks.values())), body)
    texts = {mark: read(digest) for digest, mark in marks.items() if mark in parts}
    return [texts.get(part, part) for part in parts]


def _message(message: Body, nonce: str, marks: dict[str, bytes]) -> Body:
    content = message.get("content")
    if type(content) is not list:
        return message
    return {**message, "content": [_part(part, nonce, marks) for part in content]}


def _part(part: Mapping[str, Any], nonce: str, marks: dict[str, bytes]) -> Mapping[str, Any]:
    kind = str(part.get("type"))
    held = part.get(kind)
    url = held.get("url") if type(held) is dict else None
    found = read_reference(url) if type(url) is str else None
    if type(held) is not dict or found is None:
        return part
    media, digest = found
    mark = f"@{nonce}.{digest}@"
    marks[digest] = mark.encode()
    return {**part, kind: {**held, "url": f"data:{media};base64,{mark}"}}
