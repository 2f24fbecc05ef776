"""Embeddings in the Ollama dialect: `/api/embed`, and `/api/embeddings` of older clients."""

from collections.abc import Mapping
from typing import Any

import orjson

from foragers.core.answers import count
from foragers.core.checks import read_object, text_at
from foragers.core.dialect import Asked, Request
from foragers.core.embeddings import Embedded, inputs_at, numbers_of, request_of
from foragers.core.ollama.requests import model_name


def read_embed(raw: bytes | bytearray, asked_at: Asked) -> Request:
    """Read and check a body of embed. Raises `ApiError`."""
    asked = read_object(raw)
    inputs = inputs_at("input", asked.get("input"))
    return request_of(model_name(asked.get("model")), inputs, asked.get("dimensions"), Many)


def read_embeddings(raw: bytes | bytearray, asked_at: Asked) -> Request:
    """Read and check a body of embeddings, which takes one prompt. Raises `ApiError`."""
    asked = read_object(raw)
    inputs = [text_at("prompt", asked.get("prompt"))]
    return request_of(model_name(asked.get("model")), inputs, None, Single)


class Many(Embedded):
    """The vectors of all inputs."""

    def _whole(self, usage: Mapping[str, Any]) -> bytes:
        body = {
            "model": self._model, "embeddings": [numbers_of(packed) for packed in self._packed],
            "prompt_eval_count": count(usage.get("input_tokens")),
        }  # fmt: skip
        return orjson.dumps(body)


class Single(Embedded):
    """The vector of the one input."""

    def _whole(self, usage: Mapping[str, Any]) -> bytes:
        return orjson.dumps({"embedding": numbers_of(self._packed[0])})
