"""The sidecar against the real bus and the real log."""

import http.client
import socket
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from tests.support.home import free_port
from tests.support.stack import QUIET_SETTINGS, Stack

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(services=("thehum", "humd", "thrumd", "sidecar")) as stack:
        stack.wait_bee("sidecar")
        yield stack


def port(stack: Stack) -> int:
    bees: dict[str, dict[str, Any]] = orjson.loads(stack.paths.bees_json.read_bytes())
    found = [bee["bind"]["port"] for bee in bees.values() if bee["name"] == "sidecar"]
    return int(found[0])


def ask(stack: Stack, path: str, headers: dict[str, str] | None = None) -> tuple[int, str, bytes]:
    """Status, content type and body of one GET."""
    link = http.client.HTTPConnection("127.0.0.1", port(stack), timeout=10)
    try:
        link.request("GET", path, headers=headers or {})
        answer = link.getresponse()
        return answer.status, answer.getheader("content-type", ""), answer.read()
    finally:
        link.close()


def admitted(stack: Stack) -> dict[str, str]:
    return {"Authorization": f"Bearer {stack.paths.sidecar_token.read_text()}"}


def test_healthz_says_only_that_the_process_answers(stack: Stack) -> None:
    status, _, body = ask(stack, "/healthz")

    assert (status, orjson.loads(body)) == (200, {"status": "ok"})


def test_readyz_is_a_durable_append_that_the_log_shows(stack: Stack) -> None:
    before = orjson.loads(ask(stack, "/api/log?limit=1", admitted(stack))[2])["head_seq"]

    status, _, body = ask(stack, "/readyz")

    assert status == 200
    assert "sidecar" in orjson.loads(body)["bees"]
    after = orjson.loads(ask(stack, f"/api/log?from_seq={before + 1}", admitted(stack))[2])
    assert any('"mark":"readyz"' in line for line in after["events"])


def test_readyz_is_503_with_the_reason_while_the_log_is_away() -> None:
    with Stack(services=("thehum", "humd", "thrumd", "sidecar")) as stack:
        stack.wait_bee("sidecar")
        stack.kill("thehum")

        status, kind, body = ask(stack, "/readyz")

        assert status == 503
        assert kind.startswith("application/problem+json")
        assert "hum logs thehum" in orjson.loads(body)["detail"]
        stack.start("thehum")
        stack.wait_for(lambda: ask(stack, "/readyz")[0] == 200, "readiness after the restart")


def test_metrics_come_from_every_process_on_the_bus(stack: Stack) -> None:
    status, kind, body = ask(stack, "/metrics")

    assert status == 200
    assert kind.startswith("text/plain")
    for service in ("humd", "thehum", "thrumd", "sidecar"):
        assert f'service="{service}"'.encode() in body


@pytest.mark.parametrize("path", ["/api/bees", "/api/log"])
@pytest.mark.parametrize("token", [None, "Bearer wrong", "Bearer ", "Basic x"])
def test_administration_wants_the_token(stack: Stack, path: str, token: str | None) -> None:
    status, _, body = ask(stack, path, {"Authorization": token} if token else None)

    assert status == 401
    assert b"sidecar.token" in body


def test_a_body_that_is_no_text_is_refused_as_described(stack: Stack) -> None:
    link = http.client.HTTPConnection("127.0.0.1", port(stack), timeout=10)
    headers = {**admitted(stack), "Content-Type": "application/json"}
    try:
        link.request("POST", "/api/asks/1", body=b"\xff\x19", headers=headers)
        answer = link.getresponse()
        status, told = answer.status, orjson.loads(answer.read())
    finally:
        link.close()

    described = orjson.loads(ask(stack, "/openapi.json")[2])
    assert (status, told["status"]) == (400, 400)
    assert "400" in described["paths"]["/api/asks/{number}"]["post"]["responses"]


def test_a_page_of_another_site_gets_nothing(stack: Stack) -> None:
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        status, _, body = ask(stack, "/metrics", headers)

        assert status == 403
        assert b"hum_" not in body


@pytest.mark.parametrize("body", ['{"decision":1e400}', '{"decision":"x\\ud800"}', "[]"])
def test_a_body_that_is_wrong_is_told_so_without_being_repeated(stack: Stack, body: str) -> None:
    link = http.client.HTTPConnection("127.0.0.1", port(stack), timeout=10)
    headers = {**admitted(stack), "Content-Type": "application/json"}
    link.request("POST", "/api/asks/1", body, headers)
    answer = link.getresponse()
    said = answer.read()
    link.close()

    assert answer.status == 422
    assert {*orjson.loads(said)["detail"][0]} == {"loc", "msg", "type"}


def test_the_root_lists_what_is_here_and_a_wrong_path_leads_to_it(stack: Stack) -> None:
    routes = orjson.loads(ask(stack, "/")[2])["routes"]
    status, content, body = ask(stack, "/nothing")

    assert {"GET /healthz", "GET /metrics", "POST /api/asks/{number}"} <= routes.keys()
    assert (status, content) == (404, "application/problem+json")
    assert "GET /" in orjson.loads(body)["detail"]


def test_the_openapi_document_describes_every_route(stack: Stack) -> None:
    status, _, body = ask(stack, "/openapi.json")

    document = orjson.loads(body)
    assert status == 200
    assert document["openapi"].startswith("3.1")
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["summary"], path
            assert "200" in operation["responses"], path


def get(port: int, path: str) -> tuple[int, bytes]:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        link.request("GET", path)
        answer = link.getresponse()
        return answer.status, answer.read()
    finally:
        link.close()


def test_metrics_alone_are_served_at_an_address_of_their_own() -> None:
    here = free_port()
    settings = {**QUIET_SETTINGS, "humd": {"metricsAddr": f"127.0.0.1:{here}"}}
    with Stack(services=("thehum", "humd", "sidecar"), settings=settings) as stack:
        stack.wait_bee("sidecar")
        stack.wait_for(lambda: b"hum_readyz_seconds" in get(here, "/metrics")[1], "metrics")
        others = {
            path: get(here, path)[0] for path in ("/", "/healthz", "/openapi.json", "/api/bees")
        }

    assert set(others.values()) == {404}


def test_an_address_for_metrics_that_is_taken_is_logged_and_the_rest_is_served() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        settings = {**QUIET_SETTINGS, "humd": {"metricsAddr": f"127.0.0.1:{taken}"}}
        with Stack(services=("thehum", "humd", "sidecar"), settings=settings) as stack:
            stack.wait_bee("sidecar")
            status, _, _ = ask(stack, "/readyz")
            logged = stack.log("sidecar")

    assert status == 200
    assert "sidecar.metrics_addr" in logged
    assert "humd.metricsAddr" in logged
