"""How many tokens a prompt may use, guessed before anybody counts: what budgets reserve for it."""

from collections.abc import Iterator, Mapping
from typing import Any

from thrum.tones import Body

BYTES_PER_TOKEN = 3.5
IMAGE_TOKENS = 1_600
"""Of one image, whatever its size."""
ANSWER_TOKENS = 4_096
"""Of an answer whose length the client does not bound."""


def estimate(prompt: Body, raw_bytes: int) -> list[int]:
    """Tokens of a prompt and of its answer; `raw_bytes` is the length of the request's body."""
    images = [len(str(data)) for data in _images(prompt)]  # of a reference, its own length
    told = max(0, raw_bytes - sum(images))
    bound = (prompt.get("sampling") or {}).get("maxTokens")
    answer = bound if type(bound) is int and bound > 0 else ANSWER_TOKENS
    return [round(told / BYTES_PER_TOKEN) + IMAGE_TOKENS * len(images), answer]


def _images(prompt: Body) -> Iterator[object]:
    """What stands for images and files, in the newest message and before."""
    for attached in prompt.get("attachments") or ():
        yield attached.get("data") or attached.get("url")
    yield from _parts(prompt.get("content"))
    for entry in prompt.get("history") or ():
        yield from _parts(entry.get("content"))


def _parts(content: object) -> Iterator[object]:
    parts: list[Mapping[str, Any]] = content if type(content) is list else []
    for part in parts:
        held = part.get(part["type"]) if "type" in part else None
        if type(held) is dict:
            yield held.get("url")
