"""Tones and what is read from their bodies."""

import pytest

from thrum.tones import Tone, is_error_result, is_past_dusk, result_text


@pytest.mark.parametrize(
    ("dusk", "expected"),
    [(999, True), (1000, False), (1001, False), (-1, False), (0, True), (None, False)],
)
def test_a_tone_is_dead_strictly_after_its_dusk(dusk: int | None, expected: bool) -> None:
    assert is_past_dusk(dusk, 1000) is expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"output": "a", "result": "b"}, "a"),
        ({"result": "b", "content": "c"}, "b"),
        ({"content": "c"}, "c"),
        ({"result": {"content": "inner"}}, "inner"),
        ({"result": {"content": [{"type": "text", "text": "a"}, {"text": "b"}]}}, "ab"),
        ({"result": [{"text": "a"}, {"text": "b"}]}, "ab"),
        ({"result": {"price": 1}}, '{"price":1}'),
        ({"output": None}, "null"),
        ({"output": [1, "x"]}, '[1,"x"]'),
        ({}, ""),
    ],
)
def test_a_tool_answer_is_text_whatever_its_shape(body: dict[str, object], expected: str) -> None:
    assert result_text(body) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"isError": True}, True),
        ({"isError": "yes"}, False),
        ({"result": {"error": "no"}}, True),
        ({"result": {"error": ""}}, False),
        ({"result": "error"}, False),
        ({}, False),
    ],
)
def test_a_tool_error_is_read_from_either_place(body: dict[str, object], expected: bool) -> None:
    assert is_error_result(body) is expected


def test_a_tool_call_is_named_by_either_key() -> None:
    assert Tone(chi="tool-call", body={"toolName": "a", "name": "b"}).tool_name == "a"
    assert Tone(chi="tool-call", body={"toolName": 7, "name": "b"}).tool_name == "b"
    assert Tone(chi="tool-call").tool_name is None
