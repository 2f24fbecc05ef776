"""Who may talk to a listener on this machine: a guard in front of any ASGI application.

A browser reaches loopback for every page it shows, so loopback alone protects nothing. The guard
decides on the `scope`, before anything is routed:

- `Host` is there once and is exactly one of ours: no name that was rebound to 127.0.0.1 gets in.
- `Origin`, when there is one, is exactly one of ours; `null` is nobody's.
- `Sec-Fetch-Site`, when there is one, is `same-origin` or `none` (typed, or a bookmark).
- What has a body is `application/json`, so that a browser has to ask first, and gets a no. Below
  the `loose` paths the type may be missing or a form's, as command-line clients send it, when
  neither `Origin` nor any `Sec-Fetch` header shows a browser.
- A body is not compressed.
- Headers and bodies have a bound, also where a body does not say its length.
- Websockets are not spoken.

There is no CORS and there are no cookies. A refusal is small and goes out in the listener's own
dialect; nothing of the request is repeated in it.
"""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import orjson

BODY_BYTES_MAX = 32 * 1024 * 1024
"""Bytes of a request's body."""
HEADERS_MAX = 100
HEADER_BYTES_MAX = 32 * 1024
"""Header lines of a request, and the bytes of all of them together."""
TARGET_BYTES_MAX = 8 * 1024
"""Bytes of path and query."""

JSON = b"application/json"

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS", "DELETE"})
_LOOSE = frozenset({b"", b"application/x-www-form-urlencoded"})
"""What some command-line clients say of the JSON they send."""
_OUR_SITES = frozenset({b"same-origin", b"none"})
_LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not served."""

    status: int
    code: str
    """For machines: `host`, `origin`, `site`, `content_type`, `content_encoding`, `body_too_large`,
    `headers`."""
    message: str


@dataclass(frozen=True, slots=True)
class Allowed:
    """The names under which this listener is asked."""

    hosts: frozenset[bytes]
    origins: frozenset[bytes]
    body_bytes_max: int = BODY_BYTES_MAX
    loose: str | None = None
    """Beginning of the paths where the type of a body may be missing or a form's."""


def allowed_at(
    *ports: int,
    hosts: Iterable[str] = (),
    body_bytes_max: int = BODY_BYTES_MAX,
    loose: str | None = None,
) -> Allowed:
    """The names of this machine's loopback at `ports`, and of `hosts` beside them."""
    every = (*_LOCAL_NAMES, *hosts)
    names = [f"{host}:{port}".encode() for host in every for port in ports]
    origins = frozenset(b"http://" + name for name in names)
    return Allowed(frozenset(names), origins, body_bytes_max, loose)


def judge(scope: Scope, allowed: Allowed) -> Refusal | None:
    """None when the request may be served. Reads the scope and nothing else."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    if len(headers) > HEADERS_MAX:
        return _TOO_MANY_HEADERS
    size = 0
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        size += len(name) + len(value)
        if name in _SINGLE:
            if name in found:
                return Refusal(400, "headers", f"the {name.decode()} header is there twice")
            found[name] = value
    if (
        size > HEADER_BYTES_MAX
        or len(scope["raw_path"]) + len(scope["query_string"]) > TARGET_BYTES_MAX
    ):
        return _TOO_MANY_HEADERS
    if (host := found.get(b"host")) not in allowed.hosts:
        return _NO_HOST if host is None else _WRONG_HOST
    if (origin := found.get(b"origin")) is not None and origin not in allowed.origins:
        return _WRONG_ORIGIN
    if (site := found.get(b"sec-fetch-site")) is not None and site not in _OUR_SITES:
        return _WRONG_SITE
    if scope["method"] not in _WITHOUT_BODY:
        kind = found.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if kind != JSON and not (kind in _LOOSE and _is_loose(scope, allowed)):
            return _WRONG_TYPE
        if found.get(b"content-encoding", b"identity").strip().lower() != b"identity":
            return _ENCODED
    return _judge_length(found, allowed)


def _is_loose(scope: Scope, allowed: Allowed) -> bool:
    """Whether a body without a type of its own is taken: no browser can have sent it."""
    if allowed.loose is None or not scope["path"].startswith(allowed.loose):
        return False
    return not any(
        name == b"origin" or name.startswith(b"sec-fetch-") for name, _ in scope["headers"]
    )


def _judge_length(found: dict[bytes, bytes], allowed: Allowed) -> Refusal | None:
    length = found.get(b"content-length")
    if length is None:
        return None
    if b"transfer-encoding" in found or not length.isdigit():
        return Refusal(400, "headers", "the length of the body is told in two ways, or in none")
    return _too_large(allowed) if int(length) > allowed.body_bytes_max else None


def _too_large(allowed: Allowed) -> Refusal:
    return Refusal(413, "body_too_large", f"a body has at most {allowed.body_bytes_max} bytes")


_SINGLE = frozenset(
    {
        b"host",
        b"origin",
        b"sec-fetch-site",
        b"content-type",
        b"content-encoding",
        b"content-length",
        b"transfer-encoding",
    }
)
"""Headers that decide something; each is there at most once."""
_TOO_MANY_HEADERS = Refusal(431, "headers", "the headers or the address are too large")
_NO_HOST = Refusal(400, "host", "there is no Host header")
_WRONG_HOST = Refusal(
    403, "host", "this Host is not one of ours: use 127.0.0.1, localhost or [::1], with the port"
)
_WRONG_ORIGIN = Refusal(403, "origin", "pages of other origins are not served")
_WRONG_SITE = Refusal(403, "site", "pages of other sites are not served")
_WRONG_TYPE = Refusal(
    415, "content_type", "send the body as JSON, with the header Content-Type: application/json"
)
_ENCODED = Refusal(
    415, "content_encoding", "send the body as it is: it is not taken with a Content-Encoding"
)


def plain_body(refusal: Refusal, path: str) -> bytes:
    """The body of a refusal for listeners without a dialect of their own."""
    return orjson.dumps({"error": {"code": refusal.code, "message": refusal.message}})


async def refuse(send: Send, status: int, body: bytes) -> None:
    """Answer with a JSON body and close the connection: an unread body may still be coming."""
    headers = [
        (b"content-type", JSON),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@dataclass(frozen=True, slots=True)
class Guard:
    """An ASGI application that lets through what `judge` lets through."""

    app: App
    allowed: Allowed
    render: Callable[[Refusal, str], bytes] = plain_body
    """Makes the JSON body of a refusal, in the listener's dialect at a path."""
    on_refused: Callable[[Refusal], None] = field(default=lambda _: None)
    """Told of every refusal, to count it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refusal = judge(scope, self.allowed)
        if refusal is not None:
            await self._refuse(scope, send, refusal)
        elif _is_chunked(scope):
            await self._measured(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _refuse(self, scope: Scope, send: Send, refusal: Refusal) -> None:
        self.on_refused(refusal)
        await refuse(send, refusal.status, self.render(refusal, scope["path"]))

    async def _measured(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request whose body does not say how long it is, as long as it is not too long.

        Past the bound the application sees a client that has gone, and what it says is dropped.
        """
        size = 0
        has_begun = is_refused = False

        async def counted() -> Message:
            nonlocal size, is_refused
            message = await receive()
            size += len(message.get("body", b""))
            if size <= self.allowed.body_bytes_max:
                return message
            if not has_begun and not is_refused:
                is_refused = True
                await self._refuse(scope, send, _too_large(self.allowed))
            return {"type": "http.disconnect"}

        async def unless_refused(message: Message) -> None:
            nonlocal has_begun
            if not is_refused:
                has_begun = True
                await send(message)

        await self.app(scope, counted, unless_refused)


def _is_chunked(scope: Scope) -> bool:
    return any(name == b"transfer-encoding" for name, _ in scope["headers"])
