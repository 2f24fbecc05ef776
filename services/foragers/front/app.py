"""The front's ASGI application: which path is what, and what a wrong one should have been."""

import logging
from collections.abc import Awaitable, Callable

from foragers.core.dialect import Dialect
from foragers.core.errors import ApiError
from foragers.core.openai.dialect import CHAT as OPENAI_CHAT
from foragers.core.openai.errors import error_body
from foragers.core.openai.models import model_body, models_body
from foragers.front.bus import Bus
from foragers.front.catalogue import Catalogue
from foragers.front.exchanges import CLIENT_GONE, Exchanges
from foragers.front.replies import TEXT, answer, answer_error
from foragers.front.requests import ClientGone
from nest.guard import Receive, Refusal, Scope, Send
from nest.metrics import Registry

CHAT = "/v1/chat/completions"
MODELS = "/v1/models"
MODEL = "/v1/models/"

GREETING = b"hum is running\n"

log = logging.getLogger(__name__)

_Handler = Callable[[Scope, Receive, Send], Awaitable[int]]


class Front:
    """One ASGI application. Whatever goes wrong in a request is answered and logged here."""

    def __init__(
        self, bus: Bus, exchanges: Exchanges, catalogue: Catalogue, metrics: Registry
    ) -> None:
        self._bus = bus
        self._exchanges = exchanges
        self._catalogue = catalogue
        self._requests = metrics.counter(
            "hum_front_requests_total", "Requests answered.", ("route", "status")
        )
        self._routes: dict[str, tuple[tuple[str, ...], _Handler]] = {
            "/": (("GET", "HEAD"), self._greet),
            "/healthz": (("GET", "HEAD"), self._healthz),
            "/readyz": (("GET", "HEAD"), self._readyz),
            CHAT: (("POST",), self._chat),
            MODELS: (("GET", "HEAD"), self._models),
            MODEL: (("GET", "HEAD"), self._model),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request that the guard let through."""
        route = _route_of(scope["path"])
        status = 500
        try:
            status = await self._serve(route, scope, receive, send)
        except ApiError as refusal:
            status = await answer_error(send, refusal, _dialect_of(route))
        except ClientGone:
            status = CLIENT_GONE
        except Exception as problem:
            log.error("front.bug", extra={"route": route}, exc_info=problem)
            # When the answer has begun already, this raises, and the server closes the connection.
            bug = ApiError(500, "a bug in the front; its log says more")
            await answer_error(send, bug, _dialect_of(route))
        finally:
            self._requests.labels(route, str(status)).inc()

    async def _serve(self, route: str, scope: Scope, receive: Receive, send: Send) -> int:
        known = self._routes.get(route)
        if known is None:
            raise not_found(scope["path"])
        methods, handler = known
        if scope["method"] not in methods:
            allow = ", ".join(methods)
            refusal = ApiError(405, f"{route} takes {allow}", code="method_not_allowed")
            headers = [(b"allow", allow.encode())]
            return await answer_error(send, refusal, _dialect_of(route), headers=headers)
        return await handler(scope, receive, send)

    async def _chat(self, scope: Scope, receive: Receive, send: Send) -> int:
        return await self._exchanges.post(OPENAI_CHAT, scope, receive, send)

    async def _greet(self, scope: Scope, receive: Receive, send: Send) -> int:
        await answer(send, GREETING, kind=TEXT)
        return 200

    async def _healthz(self, scope: Scope, receive: Receive, send: Send) -> int:
        await answer(send, b'{"status":"ok"}')
        return 200

    async def _readyz(self, scope: Scope, receive: Receive, send: Send) -> int:
        if self._bus.is_connected:
            await answer(send, b'{"status":"ready"}')
            return 200
        await answer(send, b'{"status":"humd cannot be reached"}', status=503)
        return 503

    async def _models(self, scope: Scope, receive: Receive, send: Send) -> int:
        await answer(send, models_body(await self._catalogue.models()))
        return 200

    async def _model(self, scope: Scope, receive: Receive, send: Send) -> int:
        model = scope["path"].removeprefix(MODEL)
        await answer(send, model_body(model, await self._catalogue.models()))
        return 200


def refusal_body(refusal: Refusal) -> bytes:
    """What the guard says, in the dialect's shape."""
    return error_body(ApiError(refusal.status, refusal.message, code=refusal.code))


def not_found(path: str) -> ApiError:
    """There is nothing at `path`: say what may have been meant."""
    meant = next((known for known in (CHAT, MODELS) if _may_mean(path, known)), None)
    if meant is not None:
        message = f"nothing is here; you may mean {meant}: base URLs end in /v1"
    else:
        message = f"nothing is here; there are POST {CHAT} and GET {MODELS}"
    return ApiError(404, message, code="unknown_url")


def _route_of(path: str) -> str:
    """The name of a path's route, also for metrics; `other` when there is none."""
    if path.startswith(MODEL) and path != MODEL:
        return MODEL
    if path in _PATHS:
        return path
    stripped = path.rstrip("/")
    return stripped if stripped in _PATHS else "other"


_PATHS = frozenset({"/", "/healthz", "/readyz", CHAT, MODELS})


def _dialect_of(route: str) -> Dialect:
    """Whose shape a refusal at this route has."""
    return OPENAI_CHAT


def _may_mean(path: str, known: str) -> bool:
    return path.rstrip("/").endswith(known.removeprefix("/v1"))
