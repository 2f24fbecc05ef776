"""Embeddings: what a prompt asks for (docs/wire.md, prompt), and a service's answer as vectors.

A vector travels as base64 of its numbers, each a little-endian float of four bytes: a third of what
the numbers take in JSON, and the very form in which clients of the OpenAI dialect like it best.
"""

import base64
import math
import sys
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from thrum.tones import Body
from workers.core.completions import CompletionFailed, count

GROUP_CHARS_MAX = 256 * 1024
"""Characters of the vectors in one chunk, unless one vector alone has more."""
DIMENSIONS_MAX = 65_536
"""Numbers of one vector."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be embedded."""

    model: str
    inputs: Sequence[Any]
    """Texts, or lists of a model's own tokens."""
    dimensions: int | None

    def body(self) -> Body:
        """The request, which is the same in both dialects."""
        body: Body = {"model": self.model, "input": list(self.inputs)}
        if self.dimensions is not None:
            body["dimensions"] = self.dimensions
        return body


@dataclass(frozen=True, slots=True)
class Vectors:
    """The answer, in the order of the inputs."""

    packed: tuple[str, ...]
    input_tokens: int


@dataclass(frozen=True, slots=True)
class Embedding:
    """How a dialect asks for embeddings, and reads the answer."""

    path: str
    takes_tokens: bool
    """Whether an input may be a list of the model's own tokens."""
    vectors: Callable[[object, int], Vectors]
    """The vectors in an answer to that many inputs. Raises `CompletionFailed`."""

    def takes(self, wanted: Wanted) -> bool:
        """Whether the dialect can say all of it."""
        return self.takes_tokens or all(isinstance(entry, str) for entry in wanted.inputs)


def wanted_of(prompt: Mapping[str, Any], model: str) -> Wanted:
    """What a prompt with `embed` asks of `model`."""
    asked = prompt["embed"] if isinstance(prompt["embed"], dict) else {}
    inputs = asked.get("input")
    dimensions = asked.get("dimensions")
    return Wanted(
        model=model,
        inputs=inputs if isinstance(inputs, list) else [],
        dimensions=dimensions if type(dimensions) is int else None,
    )


def openai_vectors(body: object, inputs: int) -> Vectors:
    """What `/embeddings` of the OpenAI dialect answers. Raises `CompletionFailed`."""
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(data, list):
        raise CompletionFailed("an answer without embeddings")
    entries = [entry for entry in data if isinstance(entry, dict)]
    if all(type(entry.get("index")) is int for entry in entries):
        entries.sort(key=lambda entry: int(entry["index"]))
    found = [entry.get("embedding") for entry in entries]
    return _vectors(found, inputs, body.get("usage") or {})


def ollama_vectors(body: object, inputs: int) -> Vectors:
    """What `/api/embed` of the Ollama dialect answers. Raises `CompletionFailed`."""
    found = body.get("embeddings") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(found, list):
        raise CompletionFailed("an answer without embeddings")
    return _vectors(found, inputs, {"prompt_tokens": body.get("prompt_eval_count")})


def grouped(packed: Sequence[str]) -> Iterator[list[str]]:
    """Vectors in groups that each fit into one chunk."""
    group: list[str] = []
    chars = 0
    for vector in packed:
        if group and chars + len(vector) > GROUP_CHARS_MAX:
            yield group
            group, chars = [], 0
        group.append(vector)
        chars += len(vector)
    if group:
        yield group


def _vectors(found: Sequence[object], inputs: int, usage: Body) -> Vectors:
    if len(found) != inputs:
        raise CompletionFailed(f"{len(found)} embeddings for {inputs} inputs")
    tokens = count(usage.get("prompt_tokens")) if isinstance(usage, dict) else 0
    return Vectors(tuple(_packed(vector) for vector in found), tokens)


def _packed(vector: object) -> str:
    if isinstance(vector, str):
        return vector  # a service that answers in this form already
    if not isinstance(vector, list) or not 0 < len(vector) <= DIMENSIONS_MAX:
        raise CompletionFailed("an embedding that is no list of numbers")
    try:
        numbers = array("f", vector)
    except (TypeError, OverflowError) as problem:
        raise CompletionFailed("an embedding that is no list of numbers") from problem
    if not math.isfinite(sum(numbers)):  # floats of four bytes cannot add up past one of eight
        raise CompletionFailed("an embedding with a number that is too large")
    if sys.byteorder == "big":
        numbers.byteswap()
    return base64.b64encode(numbers.tobytes()).decode()


OPENAI = Embedding("/embeddings", takes_tokens=True, vectors=openai_vectors)
OLLAMA = Embedding("/api/embed", takes_tokens=False, vectors=ollama_vectors)
