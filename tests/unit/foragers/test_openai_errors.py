"""Every failure has the status and the shape that a client of the OpenAI API expects."""

import orjson
import pytest

from foragers.core.bees import models_of
from foragers.core.errors import ApiError, error_of, no_worker
from foragers.core.openai.errors import error_body, error_event, kind_of
from foragers.core.openai.models import model_body, models_body
from thrum.errors import Qualifier

TABLE = [
    ({"qualifier": "worker.lost"}, 502, "server_error", None),
    ({"qualifier": "log.unavailable"}, 503, "server_error", 1),
    ({"qualifier": "worker.busy"}, 429, "rate_limit_error", 1),
    ({"qualifier": "prompt.queue-full"}, 429, "rate_limit_error", 1),
    ({"qualifier": "queue.overflow"}, 503, "server_error", 1),
    ({"qualifier": "frame.too-large"}, 413, "invalid_request_error", None),
    ({"qualifier": "tone.malformed"}, 400, "invalid_request_error", None),
    ({"qualifier": "auth.denied"}, 403, "permission_error", None),
    ({"qualifier": "worker.busy", "code": 500}, 429, "rate_limit_error", 1),
    ({"qualifier": "never.heard", "code": 401}, 401, "authentication_error", None),
    ({"code": 404}, 404, "invalid_request_error", None),
    ({"code": 429}, 429, "rate_limit_error", 1),
    ({"status": 503, "code": "overloaded"}, 503, "server_error", 1),
    ({"code": 200}, 502, "server_error", None),
    ({"code": True}, 502, "server_error", None),
    ({"code": "worker_error"}, 502, "server_error", None),
    ({}, 502, "server_error", None),
    ({"qualifier": ["x"], "message": 7}, 502, "server_error", None),
]


@pytest.mark.parametrize(("body", "status", "kind", "retry"), TABLE)
def test_an_error_tone_has_a_status_a_type_and_when_to_try_again(
    body: dict[str, object], status: int, kind: str, retry: int | None
) -> None:
    error = error_of(body)

    assert (error.status, kind_of(error), error.retry_seconds) == (status, kind, retry)
    assert error.message


def test_an_error_has_exactly_the_four_fields_of_the_dialect() -> None:
    error = error_of({"message": "gone", "qualifier": "worker.lost"})

    assert orjson.loads(error_body(error)) == {
        "error": {"message": "gone", "type": "server_error", "param": None, "code": "worker.lost"}
    }
    assert error_event(error) == b"data: " + error_body(error) + b"\n\n"


def test_every_qualifier_of_a_turn_has_a_status_of_its_own_kind() -> None:
    for qualifier in Qualifier:
        assert 400 <= error_of({"qualifier": qualifier.value}).status <= 503


def test_a_model_that_nobody_has_is_answered_with_those_there_are() -> None:
    error = no_worker("gpt", ("a", "b"))

    assert (error.status, error.code, error.param) == (404, "model_not_found", "model")
    assert "a, b" in error.message


def test_without_any_worker_the_service_is_unavailable() -> None:
    assert no_worker("gpt", ()).status == 503


def test_a_long_list_of_models_is_cut_in_a_refusal() -> None:
    error = no_worker("gpt", tuple(f"m{number}" for number in range(1_000)))

    assert error.message.endswith("and 960 more")


def test_models_are_those_of_connected_workers_each_once() -> None:
    manifests = [
        {"bee": ["worker"], "models": ["b", "a"], "connected": True},
        {"bee": ["worker", "forager"], "models": ["a", 7, ""]},
        {"bee": ["worker"], "models": ["away"], "connected": False},
        {"bee": ["forager"], "models": ["no"]},
        {"bee": "worker", "models": ["no"]},
        {"bee": ["worker"], "models": "no"},
        "no",
    ]

    assert models_of(manifests) == ("a", "b")
    assert models_of(None) == ()


def test_models_are_listed_and_found_one_by_one() -> None:
    listed = orjson.loads(models_body(("a", "x/y")))

    assert listed["object"] == "list"
    assert listed["data"][1] == orjson.loads(model_body("x/y", ("a", "x/y")))
    assert listed["data"][0] == {"id": "a", "object": "model", "created": 0, "owned_by": "hum"}


def test_a_model_that_is_not_there_is_not_found() -> None:
    with pytest.raises(ApiError) as caught:
        model_body("z", ("a",))
    assert (caught.value.status, caught.value.code) == (404, "model_not_found")
