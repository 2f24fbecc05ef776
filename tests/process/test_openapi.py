"""Front and sidecar against their own OpenAPI documents: generated requests, right and wrong."""

import http.client
from collections import Counter
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.support.front import KEY, port_of
from tests.support.stack import CORE, Stack
from tests.support.upstream import ScriptedUpstream

pytestmark = pytest.mark.process

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
MODEL = "test-model"
QUICK = 6
LONG = 320
"""Requests for each operation."""
RESTARTS = "/api/services/{service}/restart"
"""Stopping ourselves is no answer; the routes' own tests do that."""


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as running:
        yield running


@pytest.fixture(scope="module")
def stack(upstream: ScriptedUpstream) -> Iterator[Stack]:
    environment = {"OPENAI_BASE_URL": upstream.base_url, "OPENAI_API_KEY": KEY}
    with Stack(services=(*CORE, "front", "sidecar", "openai"), env=environment) as running:
        for bee in ("front", "sidecar", "openai"):
            running.wait_bee(bee)
        yield running


def _port(stack: Stack, service: str) -> int:
    if service == "front":
        return port_of(stack)
    bees: dict[str, Any] = orjson.loads(stack.paths.bees_json.read_bytes())
    return int(next(bee["bind"]["port"] for bee in bees.values() if bee["name"] == service))


def _document(port: int) -> dict[str, Any]:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        link.request("GET", "/openapi.json")
        document: dict[str, Any] = orjson.loads(link.getresponse().read())
    finally:
        link.close()
    return document


def _with_models(value: Any, models: list[str]) -> Any:
    """A document in which every body names one of `models`, so that right requests are served."""
    if isinstance(value, list):
        return [_with_models(entry, models) for entry in value]
    if not isinstance(value, dict):
        return value
    known = {key: _with_models(entry, models) for key, entry in value.items()}
    properties = known.get("properties")
    if isinstance(properties, dict) and {"messages", "input", "prompt"} & properties.keys():
        properties["model"] = {"enum": models}
    return known


def _attack(stack: Stack, service: str, examples: int) -> Counter[int]:
    """Send `examples` requests for each operation; how many got which status."""
    port, seen = _port(stack, service), Counter[int]()
    headers = {"Authorization": f"Bearer {stack.paths.sidecar_token.read_text()}"}
    schema = schemathesis.openapi.from_dict(_with_models(_document(port), [MODEL]))
    schema.config.update(base_url=f"http://127.0.0.1:{port}")
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        if operation.path == RESTARTS:
            continue
        modes = [operation.as_strategy(generation_mode=GenerationMode.POSITIVE)]
        if operation.body:
            modes.append(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))

        @settings(
            max_examples=examples, database=None, deadline=None, derandomize=True,
            suppress_health_check=list(HealthCheck), phases=(Phase.generate,),
            verbosity=Verbosity.quiet,
        )  # fmt: skip
        @given(case=st.one_of(modes))
        def send(case: Any) -> None:
            answer = case.call_and_validate(checks=CHECKS, headers=headers, timeout=20)
            seen[answer.status_code] += 1

        send()
    return seen


@pytest.mark.parametrize("service", ["front", "sidecar"])
def test_no_request_finds_a_bug_or_an_answer_that_is_not_described(
    stack: Stack, service: str
) -> None:
    seen = _attack(stack, service, QUICK)

    assert seen[200] >= QUICK, seen


@pytest.mark.soak
@pytest.mark.timeout(1_200)
def test_thousands_of_requests_find_none_either(stack: Stack) -> None:
    """Three thousand or more in all."""
    seen = _attack(stack, "front", LONG) + _attack(stack, "sidecar", LONG)

    assert seen.total() >= 3_000, seen
    assert seen[200] >= 1_000, seen
