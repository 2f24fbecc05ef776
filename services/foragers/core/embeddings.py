"""Embeddings on their way to a client: what all dialects share."""

import base64
import binascii
import sys
from abc import abstractmethod
from array import array
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from foragers.core.answers import Answer
from foragers.core.calls import Call
from foragers.core.checks import wrong
from foragers.core.dialect import Request
from foragers.core.errors import ApiError
from thrum.tones import Body

INPUTS_MAX = 2_048
"""Texts of one request, as the OpenAI dialect has it."""
DIMENSIONS_MAX = 65_536


def inputs_at(path: str, value: object) -> list[Any]:
    """The inputs: a text, a list of them, a list of tokens, or a list of those. Raises."""
    entries = value if type(value) is list else [value]
    if entries and all(type(entry) is int for entry in entries):
        entries = [entries]
    if not entries or len(entries) > INPUTS_MAX:
        raise wrong(path, f"a text, or an array of 1 to {INPUTS_MAX} texts")
    if not all(_is_input(entry) for entry in entries):
        raise wrong(path, "texts with something in them, or arrays of tokens")
    return entries


def request_of(
    model: str,
    inputs: list[Any],
    dimensions: object,
    answer: "type[Embedded]",
    **more: Any,
) -> Request:
    """A request for embeddings of `inputs`. Raises `ApiError`."""
    embed: Body = {"input": inputs}
    if dimensions is not None:
        if type(dimensions) is not int or not 1 <= dimensions <= DIMENSIONS_MAX:
            raise wrong("dimensions", f"a whole number from 1 to {DIMENSIONS_MAX}")
        embed["dimensions"] = dimensions
    return Request(
        model=model,
        results=(),
        prompt={"content": "", "history": [], "embed": embed, "modelId": model},
        answer=partial(answer, model=model, inputs=len(inputs), **more),
    )


class Embedded(Answer):
    """Vectors, told whole at the end."""

    content_type: ClassVar[bytes] = b"application/json"
    can_wait: ClassVar[bool] = False

    def __init__(self, request_id: str, created: int, *, model: str, inputs: int) -> None:
        super().__init__(request_id, model, created)
        self._inputs = inputs
        self._packed: list[str] = []

    def _chunk(self, body: Body, said: list[bytes]) -> None:
        vectors = body.get("vectors") if body.get("chunkType") == "embeddings" else None
        if type(vectors) is list and len(self._packed) + len(vectors) <= self._inputs:
            self._packed += [vector for vector in vectors if type(vector) is str]

    def _end(self, reason: str, usage: Body | None, said: list[bytes]) -> None:
        if len(self._packed) != self._inputs:
            told = f"{len(self._packed)} embeddings for {self._inputs} inputs"
            self.fail(ApiError(502, f"the worker answered {told}"))
            return
        try:
            said.append(self._whole(usage or {}))
        except (binascii.Error, ValueError):
            self.fail(ApiError(502, "the worker answered with what is no embedding"))
            return
        self.is_over = True

    @abstractmethod
    def _whole(self, usage: Mapping[str, Any]) -> bytes:
        """The whole body; raises `ValueError` for vectors that are none."""

    def _text(self, text: str, said: list[bytes]) -> None:
        """Text is no embedding."""

    def _reasoning(self, text: str, said: list[bytes]) -> None:
        """Nor is reasoning."""

    def _called(self, call: Call, said: list[bytes]) -> None:
        """Nor is a call."""


def numbers_of(packed: str) -> list[float]:
    """The numbers of a vector as it travels. Raises `ValueError`."""
    numbers = array("f")
    numbers.frombytes(base64.b64decode(packed, validate=True))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()


def _is_input(entry: object) -> bool:
    if type(entry) is list:
        return bool(entry) and all(type(token) is int for token in entry)
    return type(entry) is str and bool(entry)
