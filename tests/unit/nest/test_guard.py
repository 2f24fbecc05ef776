"""The guard lets nobody in who is not a program of this machine (reliability A2)."""

import itertools
from typing import Any

import orjson
import pytest

from nest.guard import (
    HEADER_BYTES_MAX,
    HEADERS_MAX,
    TARGET_BYTES_MAX,
    Guard,
    Message,
    Receive,
    Refusal,
    Scope,
    Send,
    allowed_at,
    judge,
)

PORT = 14_620
ALLOWED = allowed_at(PORT, hosts=("127.0.0.5",), body_bytes_max=100)
HOST = (b"host", b"127.0.0.1:14620")
JSON = (b"content-type", b"application/json")


def scope_of(*headers: tuple[bytes, bytes], method: str = "POST", **more: Any) -> Scope:
    scope = {
        "type": "http",
        "method": method,
        "path": "/x",
        "raw_path": b"/x",
        "query_string": b"",
        "headers": list(headers),
    }
    return {**scope, **more}


def code(*headers: tuple[bytes, bytes], method: str = "POST", **more: Any) -> str | None:
    refusal = judge(scope_of(*headers, method=method, **more), ALLOWED)
    return refusal.code if refusal else None


@pytest.mark.parametrize(
    "host", [b"127.0.0.1:14620", b"localhost:14620", b"[::1]:14620", b"127.0.0.5:14620"]
)
def test_a_local_program_gets_in(host: bytes) -> None:
    assert code((b"host", host), JSON) is None
    assert code((b"host", host), method="GET") is None


@pytest.mark.parametrize(
    "host",
    [
        b"",
        b"evil.example:14620",
        b"127.0.0.1",
        b"127.0.0.1:80",
        b"localhost",
        b"localhost:146200",
        b"0.0.0.0:14620",
        b"127.0.0.1:14620.evil.example",
        b"x/?127.0.0.1:14620",
        b"x/#127.0.0.1:14620",
        b"user@127.0.0.1:14620",
        b" 127.0.0.1:14620",
        b"LOCALHOST:14620",
        b"127.0.0.1:14620, evil.example",
    ],
)
def test_every_other_host_is_refused(host: bytes) -> None:
    assert code((b"host", host), JSON) == "host"


def test_a_host_is_needed_and_only_once() -> None:
    assert code(JSON) == "host"
    assert code(HOST, HOST, JSON) == "headers"
    assert code(HOST, (b"host", b"evil.example"), JSON) == "headers"


@pytest.mark.parametrize("name", [b"origin", b"sec-fetch-site", b"content-type", b"content-length"])
def test_a_header_that_decides_is_there_only_once(name: bytes) -> None:
    assert code(HOST, (name, b"a"), (name, b"b")) == "headers"


@pytest.mark.parametrize(
    ("origin", "told"),
    [
        (b"http://127.0.0.1:14620", None),
        (b"http://localhost:14620", None),
        (b"null", "origin"),
        (b"", "origin"),
        (b"https://127.0.0.1:14620", "origin"),
        (b"http://127.0.0.1:14621", "origin"),
        (b"http://127.0.0.1", "origin"),
        (b"http://evil.example", "origin"),
        (b"http://127.0.0.1:14620.evil.example", "origin"),
    ],
)
def test_only_pages_of_our_own_get_in(origin: bytes, told: str | None) -> None:
    assert code(HOST, JSON, (b"origin", origin)) == told
    assert code(HOST, (b"origin", origin), method="GET") == told


@pytest.mark.parametrize(
    ("site", "told"),
    [
        (b"none", None),
        (b"same-origin", None),
        (b"same-site", "site"),
        (b"cross-site", "site"),
        (b"", "site"),
    ],
)
def test_requests_that_another_site_made_are_refused(site: bytes, told: str | None) -> None:
    assert code(HOST, (b"sec-fetch-site", site), method="GET") == told


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (b"application/json", None),
        (b"Application/JSON; charset=utf-8", None),
        (b"text/plain", "content_type"),
        (b"text/plain; application/json", "content_type"),
        (b"application/x-www-form-urlencoded", "content_type"),
        (b"application/jsonp", "content_type"),
        (b"", "content_type"),
    ],
)
def test_a_body_is_json_or_refused(kind: bytes, told: str | None) -> None:
    assert code(HOST, (b"content-type", kind)) == told
    assert code(HOST) == "content_type"


def test_no_request_of_another_site_gets_in_whatever_else_it_says() -> None:
    """Reliability A7: 8 hosts, 8 origins, 7 methods, 4 types of content, 3 sites."""
    hosts = [
        b"127.0.0.1:14620", b"localhost:14620", b"evil.example", b"127.0.0.1",
        b"127.0.0.1:14621", b"evil.example:14620", b"127.0.0.1.evil.example:14620", b"",
    ]  # fmt: skip
    origins = [
        None, b"null", b"http://evil.example", b"http://127.0.0.1:14620", b"https://x",
        b"http://127.0.0.1:14621", b"https://127.0.0.1:14620", b"http://evil.example:14620",
    ]  # fmt: skip
    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    kinds = [None, b"application/json", b"text/plain", b"multipart/form-data"]
    sites = [None, b"cross-site", b"same-origin"]

    for host, origin, method, kind, site in itertools.product(
        hosts, origins, methods, kinds, sites
    ):
        named = [(b"origin", origin), (b"content-type", kind), (b"sec-fetch-site", site)]
        headers = [(name, value) for name, value in named if value is not None]
        is_ours = (
            host in hosts[:2]
            and origin in (None, b"http://127.0.0.1:14620")
            and site != b"cross-site"
            and (method not in ("POST", "PUT", "PATCH") or kind == b"application/json")
        )

        told = code((b"host", host), *headers, method=method)

        assert (told is None) == is_ours, (host, headers, method)


def test_a_body_that_says_it_is_too_long_is_refused_at_once() -> None:
    assert code(HOST, JSON, (b"content-length", b"100")) is None
    assert code(HOST, JSON, (b"content-length", b"101")) == "body_too_large"
    assert code(HOST, (b"content-length", b"101"), method="GET") == "body_too_large"


@pytest.mark.parametrize("length", [b"", b"-1", b"1e3", b"0x10", b"+5"])
def test_a_length_is_a_plain_number(length: bytes) -> None:
    assert code(HOST, JSON, (b"content-length", length)) == "headers"


def test_a_length_told_in_two_ways_is_refused() -> None:
    both = [(b"content-length", b"5"), (b"transfer-encoding", b"chunked")]

    assert code(HOST, JSON, *both) == "headers"


def test_headers_and_addresses_have_a_bound() -> None:
    many = [(b"x-%d" % number, b"") for number in range(HEADERS_MAX)]

    assert code(HOST, *many, method="GET") == "headers"
    assert code(HOST, (b"x", b"y" * HEADER_BYTES_MAX), method="GET") == "headers"
    assert code(HOST, method="GET", raw_path=b"/" * (TARGET_BYTES_MAX + 1)) == "headers"
    assert code(HOST, method="GET", query_string=b"x" * TARGET_BYTES_MAX) == "headers"


class Exchange:
    """One request against a guarded application that reads the whole body and says `ok`."""

    def __init__(self, *bodies: bytes, begin_first: bool = False) -> None:
        self.sent: list[Message] = []
        self.seen: list[Message] = []
        self.refused: list[Refusal] = []
        self._bodies = list(bodies)
        self._begin_first = begin_first

    async def run(self, scope: Scope) -> None:
        guard = Guard(self._app, ALLOWED, on_refused=self.refused.append)
        await guard(scope, self._receive, self._send)

    @property
    def status(self) -> Any:
        return self.sent[0].get("status")

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._begin_first:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            self.seen.append(await receive())
            if not self.seen[-1].get("more_body"):
                break
        if not self._begin_first:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    async def _receive(self) -> Message:
        body = self._bodies.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(self._bodies)}

    async def _send(self, message: Message) -> None:
        self.sent.append(message)


async def test_what_is_let_through_reaches_the_application_unchanged() -> None:
    exchange = Exchange(b"{}")

    await exchange.run(scope_of(HOST, JSON, (b"content-length", b"2")))

    assert [message.get("body") for message in exchange.sent] == [None, b"ok"]
    assert exchange.refused == []


async def test_a_refusal_is_json_closes_the_connection_and_is_counted() -> None:
    exchange = Exchange(b"{}")

    await exchange.run(scope_of((b"host", b"evil.example"), JSON))

    assert exchange.status == 403
    assert (b"connection", b"close") in exchange.sent[0]["headers"]
    assert orjson.loads(exchange.sent[1]["body"])["error"]["code"] == "host"
    assert b"evil" not in exchange.sent[1]["body"]
    assert exchange.seen == []
    assert [refusal.code for refusal in exchange.refused] == ["host"]


async def test_a_body_of_untold_length_is_measured_as_it_comes() -> None:
    chunked = scope_of(HOST, JSON, (b"transfer-encoding", b"chunked"))
    short, long = Exchange(b"x" * 50, b"x" * 50), Exchange(b"x" * 50, b"x" * 51, b"x")

    await short.run(chunked)
    await long.run(chunked)

    assert short.status == 200
    assert long.status == 413
    assert long.seen[-1] == {"type": "http.disconnect"}
    assert [message["type"] for message in long.sent] == [
        "http.response.start",
        "http.response.body",
    ]


async def test_a_body_that_grows_too_long_behind_a_begun_answer_looks_like_a_client_gone() -> None:
    exchange = Exchange(b"x" * 101, begin_first=True)

    await exchange.run(scope_of(HOST, JSON, (b"transfer-encoding", b"chunked")))

    assert exchange.seen == [{"type": "http.disconnect"}]
    assert exchange.status == 200


async def test_websockets_are_closed_and_other_scopes_pass() -> None:
    exchange, lifespan = Exchange(b""), Exchange(b"")

    await exchange.run({"type": "websocket", "headers": [HOST]})
    await lifespan.run({"type": "lifespan"})

    assert exchange.sent == [{"type": "websocket.close", "code": 1008}]
    assert lifespan.seen


@pytest.mark.parametrize("kind", [None, b"application/x-www-form-urlencoded"])
def test_a_body_without_a_type_passes_only_below_loose_paths_and_from_no_browser(
    kind: bytes | None,
) -> None:
    loose = allowed_at(PORT, loose="/api/")
    typed = [] if kind is None else [(b"content-type", kind)]
    here = scope_of(HOST, *typed, path="/api/chat")

    assert judge(here, loose) is None
    assert judge({**here, "path": "/v1/chat/completions"}, loose) is not None
    assert judge(here, allowed_at(PORT)) is not None
    browsers = [(b"sec-fetch-site", b"none"), (b"sec-fetch-mode", b"cors")]
    for told in (*browsers, (b"origin", b"http://127.0.0.1:14620")):
        assert judge(scope_of(HOST, *typed, told, path="/api/chat"), loose) is not None
