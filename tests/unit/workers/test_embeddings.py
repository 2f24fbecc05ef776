"""A service's embeddings as vectors on the wire."""

import base64
from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.core.completions import CompletionFailed
from workers.core.embeddings import (
    GROUP_CHARS_MAX,
    grouped,
    ollama_vectors,
    openai_vectors,
    wanted_of,
)

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def unpacked(vector: str) -> list[float]:
    numbers = array("f")
    numbers.frombytes(base64.b64decode(vector))
    return numbers.tolist()


@given(st.lists(st.lists(FLOATS, min_size=1, max_size=8), min_size=1, max_size=8), st.randoms())
def test_vectors_come_back_in_order(found: list[list[float]], random: Any) -> None:
    data = [{"index": index, "embedding": vector} for index, vector in enumerate(found)]
    random.shuffle(data)

    vectors = openai_vectors({"data": data, "usage": {"prompt_tokens": 7}}, len(found))

    assert [unpacked(vector) for vector in vectors.packed] == found
    assert vectors.input_tokens == 7
    assert ollama_vectors({"embeddings": found}, len(found)).packed == vectors.packed


def test_a_vector_that_is_packed_already_stays_so() -> None:
    packed = base64.b64encode(array("f", [1.5]).tobytes()).decode()

    assert openai_vectors({"data": [{"index": 0, "embedding": packed}]}, 1).packed == (packed,)


@pytest.mark.parametrize(
    "body",
    [
        None, [], {}, {"data": None}, {"data": []}, {"data": [{"embedding": []}]},
        {"data": [{"embedding": ["x"]}]}, {"data": [{"embedding": [1e300]}]}, {"data": ["x"]},
        {"data": [{"embedding": [1.0]}, {"embedding": [1.0]}]}, {"data": [{"embedding": None}]},
    ],
)  # fmt: skip
def test_what_is_no_answer_is_refused(body: object) -> None:
    with pytest.raises(CompletionFailed):
        openai_vectors(body, 1)


@given(st.lists(st.integers(1, GROUP_CHARS_MAX + 9).map(lambda size: "x" * size), max_size=6))
def test_groups_are_bounded_and_lose_nothing(packed: list[str]) -> None:
    groups = list(grouped(packed))

    assert [vector for group in groups for vector in group] == packed
    assert all(len(group) == 1 or sum(map(len, group)) <= GROUP_CHARS_MAX for group in groups)


def test_a_prompt_names_inputs_and_dimensions() -> None:
    wanted = wanted_of({"embed": {"input": ["a"], "dimensions": 3}}, "m")

    assert wanted.body() == {"model": "m", "input": ["a"], "dimensions": 3}
    assert wanted_of({"embed": 7}, "m").inputs == []
