"""The front's listener over raw sockets: who gets in, what is cut off, how it starts and ends."""

import contextlib
import itertools
import signal
import socket
from collections.abc import Iterator

import orjson
import pytest
from tests.support.stack import CORE, QUIET_SETTINGS, Stack

from nest.lifecycle import EXIT_SETTINGS, EXIT_STOPPED

pytestmark = pytest.mark.process

REPLY_SECONDS = 15.0
CHAT = "/v1/chat/completions"
ASK = orjson.dumps({"model": "scout", "messages": [{"role": "user", "content": "hi"}]})


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(services=(*CORE, "scout", "front")) as running:
        running.wait_bee("scout")
        running.wait_bee("front")
        yield running


@pytest.fixture(scope="module")
def port(stack: Stack) -> int:
    return port_of(stack)


def port_of(stack: Stack) -> int:
    lines = [orjson.loads(line) for line in stack.log("front").splitlines()]
    return int(next(line["port"] for line in lines if line["event"] == "front.listening"))


def ask(port: int, request: bytes, *, host: str = "127.0.0.1") -> bytes:
    """Send bytes, and read until the front closes."""
    with socket.create_connection((host, port), timeout=REPLY_SECONDS) as connection:
        answer = b""
        with contextlib.suppress(BrokenPipeError):  # it read enough to refuse; the answer is there
            connection.sendall(request)
        try:
            while piece := connection.recv(65_536):
                answer += piece
        except ConnectionResetError:
            pass
        return answer


def request(
    method: str, path: str, *headers: str, body: bytes = b"", length: int | None = None
) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Connection: close", *headers]
    if body or length is not None:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def local(port: int) -> str:
    return f"Host: 127.0.0.1:{port}"


JSON = "Content-Type: application/json"


def test_both_families_of_loopback_answer(port: int) -> None:
    for host, name in (("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("localhost", "localhost")):
        answer = ask(port, request("GET", "/", f"Host: {name}:{port}"), host=host)
        assert answer.endswith(b"Ollama is running")
        assert b"server:" not in answer.lower()


def test_a_further_port_is_listened_on_where_it_is_free() -> None:
    """Features D4."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        taken = holder.getsockname()[1]
        settings = {**QUIET_SETTINGS, "front": {"port": 0, "ollamaPort": taken}}
        stack = Stack(services=(*CORE, "front"), settings=settings)
        with stack:
            stack.wait_bee("front")
            assert "front.ollama_port_taken" in stack.log("front")
            assert status_of(ask(port_of(stack), request("GET", "/", local(port_of(stack))))) == 200

            holder.close()
            stack.kill("front")
            stack.start("front")
            stack.wait_for(lambda: stack.log("front").count("front.listening") == 2, "second start")

            assert ask(taken, request("GET", "/", local(taken))).endswith(b"Ollama is running")
            assert status_of(ask(taken, request("GET", "/", local(taken + 1)))) == 403


@pytest.mark.soak
def test_no_request_of_a_page_gets_in_whatever_it_is(port: int, stack: Stack) -> None:
    """Reliability A7, over sockets: 8 hosts, 8 origins, 7 methods, 4 types of content, 3 sites."""
    ours = f"127.0.0.1:{port}"
    hosts = [
        ours, f"localhost:{port}", "evil.example", "127.0.0.1", f"127.0.0.1:{port + 1}",
        f"evil.example:{port}", f"{ours}.evil.example", f"x/?{ours}",
    ]  # fmt: skip
    origins = [
        "", f"http://{ours}", "null", "http://evil.example", "https://x", f"https://{ours}",
        f"http://127.0.0.1:{port + 1}", f"http://evil.example:{port}",
    ]  # fmt: skip
    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    kinds = ["", JSON, "Content-Type: text/plain", "Content-Type: multipart/form-data"]
    sites = ["", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-origin"]
    before, admitted, asked = prompts_in(stack), 0, 0
    for host, origin, method, kind, site in itertools.product(
        hosts, origins, methods, kinds, sites
    ):
        named = f"Origin: {origin}" if origin else ""
        headers = [header for header in (f"Host: {host}", named, kind, site) if header]
        writes = method in ("POST", "PUT", "PATCH")
        is_ours = host in hosts[:2] and origin in origins[:2] and site != sites[1]
        is_ours = is_ours and (kind == JSON or not writes)

        answer = ask(port, request(method, CHAT, *headers, body=ASK if writes else b""))

        asked += 1
        admitted += is_ours and method == "POST"
        wanted = {200 if method == "POST" else 405} if is_ours else {403, 415}
        assert status_of(answer) in wanted, (method, headers)
        assert b"access-control" not in answer.lower()
        assert is_ours or b"choices" not in answer
    assert asked == 8 * 8 * 7 * 4 * 3
    assert prompts_in(stack) == before + admitted


def test_no_request_of_a_page_gets_in_and_none_changes_anything(port: int, stack: Stack) -> None:
    """Reliability A2: hosts by origins by methods by content types by fetch sites, in one place."""
    hosts = [f"127.0.0.1:{port}", "evil.example", f"x/?127.0.0.1:{port}", "127.0.0.1"]
    origins = [
        "",
        "Origin: null",
        "Origin: http://evil.example",
        f"Origin: http://localhost:{port}",
    ]
    kinds = ["", JSON, "Content-Type: text/plain"]
    sites = ["", "Sec-Fetch-Site: cross-site"]
    before = prompts_in(stack)
    expected = 0
    for host, origin, method, kind, site in itertools.product(
        hosts, origins, ["GET", "POST"], kinds, sites
    ):
        headers = [header for header in (f"Host: {host}", origin, kind, site) if header]
        is_ours = (
            host == hosts[0]
            and origin in ("", origins[3])
            and not site
            and (method == "GET" or kind == JSON)
        )
        answer = ask(port, request(method, CHAT, *headers, body=ASK if method == "POST" else b""))
        expected += is_ours and method == "POST"
        wanted = (200 if method == "POST" else 405) if is_ours else (403, 415)
        assert status_of(answer) in (wanted if isinstance(wanted, tuple) else (wanted,)), headers
        assert b"access-control" not in answer.lower()

    assert prompts_in(stack) == before + expected


def prompts_in(stack: Stack) -> int:
    segments = sorted(stack.paths.thehum.glob("0*.ndjson"))
    return sum(segment.read_bytes().count(b'"chi":"prompt"') for segment in segments)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ((JSON, "Host: {host}", "Host: {host}"), 400),
        ((JSON, "Host: {host}", "Host: evil.example"), 400),
        ((JSON,), 400),
        ((JSON, "Host: {host}", "X: " + "y" * 40_000), 431),
        ((JSON, "Host: {host}", *(f"X-{number}: y" for number in range(100))), 431),
        ((JSON, "Host: {host}", "Transfer-Encoding: chunked"), 400),
        ((JSON, "Host: {host}", "Content-Encoding: gzip"), 415),
        ((JSON, "Host: {host}", "Content-Encoding: identity"), 200),
    ],
)
def test_requests_that_mean_two_things_or_too_much_are_refused(
    port: int, headers: tuple[str, ...], status: int
) -> None:
    named = [header.format(host=f"127.0.0.1:{port}") for header in headers]

    assert status_of(ask(port, request("POST", CHAT, *named, body=ASK))) == status


@pytest.mark.parametrize(
    ("path", "shape"),
    [(CHAT, "error"), ("/v1/messages", "type error"), ("/api/chat", "a text"), ("/no", "error")],
)
def test_a_request_that_is_not_let_in_is_refused_in_the_dialect_of_its_path(
    port: int, path: str, shape: str
) -> None:
    answer = ask(port, request("POST", path, local(port), JSON, "Origin: null", body=ASK))

    told = orjson.loads(answer.partition(b"\r\n\r\n")[2])
    assert status_of(answer) == 403
    assert (type(told["error"]) is str) is (shape == "a text")
    assert (told.get("type") == "error") is (shape == "type error")
    assert ("code" in told["error"]) is (shape == "error")


@pytest.mark.parametrize("path", [CHAT, "/v1/messages", "/api/chat"])
def test_of_a_model_with_a_very_long_name_the_beginning_is_said(port: int, path: str) -> None:
    asked = orjson.loads(ASK) | {"model": "m" * 1_000_000, "max_tokens": 9}

    answer = ask(port, request("POST", path, local(port), JSON, body=orjson.dumps(asked)))

    assert status_of(answer) in (400, 404)
    assert len(answer) < 2_000


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64,
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
        b"GET  HTTP/1.1\r\n\r\n",
        b"X" * 700_000,
        b"GET / HTTP/1.1\r\nA: " + b"x" * 700_000,
    ],
)
def test_what_is_no_request_is_refused_and_the_front_goes_on(port: int, raw: bytes) -> None:
    answer = ask(port, raw)

    assert not answer or status_of(answer) in (400, 403)
    assert status_of(ask(port, request("GET", "/healthz", local(port)))) == 200


def test_a_websocket_gets_no_upgrade(port: int) -> None:
    upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
    head = ["GET / HTTP/1.1", local(port), *upgrade, "Sec-WebSocket-Key: eA==", "", ""]
    with socket.create_connection(("127.0.0.1", port), timeout=REPLY_SECONDS) as connection:
        connection.sendall("\r\n".join(head).encode())

        assert status_of(connection.recv(65_536)) != 101


def test_a_body_that_is_too_long_is_refused_before_it_is_sent(port: int) -> None:
    answer = ask(port, request("POST", CHAT, local(port), JSON, length=32 * 1024 * 1024 + 1))

    assert status_of(answer) == 413
    assert b"body_too_large" in answer


def test_a_chunked_body_is_read_like_any_other(port: int) -> None:
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(ASK), ASK)
    head = request("POST", CHAT, local(port), JSON, "Transfer-Encoding: chunked")

    assert status_of(ask(port, head + chunked)) == 200


def test_several_requests_on_one_connection_are_answered_in_order(port: int) -> None:
    ready = f"GET /readyz HTTP/1.1\r\n{local(port)}\r\n\r\n".encode()
    last = request("GET", "/", local(port))

    answer = ask(port, ready + ready + last)

    assert answer.count(b'{"status":"ready"}') == 2
    assert answer.endswith(b"Ollama is running")


def test_a_client_that_never_finishes_its_request_is_cut_off(port: int) -> None:
    """Reliability L7."""
    unfinished = request("POST", CHAT, local(port), JSON, body=ASK, length=len(ASK) + 1)
    parts = [b"", b"GET / HT", b"POST / HTTP/1.1\r\nHost: x\r\n", unfinished]
    with contextlib.ExitStack() as opened:
        address = ("127.0.0.1", port)
        connections = [
            opened.enter_context(socket.create_connection(address, timeout=REPLY_SECONDS))
            for _ in parts
        ]
        for connection, part in zip(connections, parts, strict=True):
            connection.sendall(part)

        assert [connection.recv(1) for connection in connections] == [b""] * len(parts)


def test_a_port_that_is_taken_is_named_with_its_holder_and_its_setting(stack: Stack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        stack.configure({**QUIET_SETTINGS, "front": {"port": number}})
        stack.start("front", instance="second", env={"XDG_STATE_HOME": str(stack.home / "other")})

        status = stack.wait_exit("second")

    assert status == EXIT_SETTINGS
    refused = orjson.loads(stack.log("second").splitlines()[-1])
    assert f"port {number} of 127.0.0.1 is taken" in refused["reason"]
    assert "(pid " in refused["reason"]
    assert "front.port" in refused["mend"]


def test_it_ends_when_told_to_and_says_nothing_of_what_it_served() -> None:
    with Stack(services=(*CORE, "scout", "front")) as stack:
        stack.wait_bee("scout")
        stack.wait_bee("front")
        port = port_of(stack)
        assert status_of(ask(port, request("POST", CHAT, local(port), JSON, body=ASK))) == 200

        assert stack.kill("front", signal.SIGTERM) == EXIT_STOPPED

        said = [orjson.loads(line)["event"] for line in stack.log("front").splitlines()]
        events = [event for event in said if event != "bus.reset"]  # humd may have begun later
        assert events == [
            "lifecycle.started",
            "front.listening",
            "lifecycle.stop_requested",
            "lifecycle.stopped",
        ]
