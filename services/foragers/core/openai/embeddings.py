"""Embeddings in the OpenAI dialect."""

from collections.abc import Mapping
from typing import Any

import orjson

from foragers.core.answers import count
from foragers.core.checks import read_object, text_at, wrong
from foragers.core.dialect import Asked, Request
from foragers.core.embeddings import Embedded, inputs_at, numbers_of, request_of

FORMATS = ("float", "base64")


def read_embeddings(raw: bytes | bytearray, asked_at: Asked) -> Request:
    """Read and check a request's body. Raises `ApiError`."""
    asked = read_object(raw)
    model = text_at("model", asked.get("model"))
    form = asked.get("encoding_format") or "float"
    if form not in FORMATS:
        raise wrong("encoding_format", " or ".join(FORMATS))
    inputs = inputs_at("input", asked.get("input"))
    return request_of(model, inputs, asked.get("dimensions"), Listed, is_packed=form == "base64")


class Listed(Embedded):
    """A list of objects, each with its index."""

    def __init__(self, request_id: str, created: int, *, is_packed: bool, **more: Any) -> None:
        super().__init__(request_id, created, **more)
        self._is_packed = is_packed

    def _whole(self, usage: Mapping[str, Any]) -> bytes:
        tokens = count(usage.get("input_tokens"))
        vectors = self._packed if self._is_packed else map(numbers_of, self._packed)
        data = [
            {"object": "embedding", "index": index, "embedding": vector}
            for index, vector in enumerate(vectors)
        ]
        told = {"prompt_tokens": tokens, "total_tokens": tokens}
        return orjson.dumps({"object": "list", "data": data, "model": self._model, "usage": told})
