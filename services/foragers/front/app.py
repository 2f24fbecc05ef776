"""The front's ASGI application: what each route answers."""

import logging
from collections.abc import Awaitable, Callable

import orjson

from foragers.core.anthropic import models as anthropic_models
from foragers.core.anthropic.dialect import MESSAGES
from foragers.core.anthropic.requests import count_body
from foragers.core.checks import read_object
from foragers.core.dialect import Asked, Dialect
from foragers.core.errors import ApiError
from foragers.core.ollama import models as ollama_models
from foragers.core.ollama.requests import model_name
from foragers.core.openai import models as openai_models
from foragers.front.catalogue import Catalogue
from foragers.front.description import description
from foragers.front.exchanges import CLIENT_GONE, Exchanges
from foragers.front.keys import Keys
from foragers.front.replies import TEXT, answer, answer_error, with_id
from foragers.front.requests import (
    KEY,
    REQUEST_ID,
    Bodies,
    ClientGone,
    Room,
    asked_of,
    mint_request_id,
)
from foragers.front.routes import Route, Serves, dialect_at, not_found, route_of
from nest.guard import Receive, Refusal, Scope, Send
from nest.metrics import Registry
from nest.version import HUM_VERSION

GREETING = b"Ollama is running"
"""What clients of that dialect look for; the others take any answer."""
ANTHROPIC_VERSION = b"anthropic-version"
"""The header by which a client asks for models in the Anthropic dialect."""

log = logging.getLogger(__name__)

_OPEN = frozenset({Serves.GREETING, Serves.HEALTH, Serves.READINESS})
"""What is told to anyone, key or not."""

_Handler = Callable[[Route, Scope, Receive, Send], Awaitable[int]]


class Front:
    """One ASGI application. Whatever goes wrong in a request is answered and logged here."""

    def __init__(
        self, keys: Keys, exchanges: Exchanges, catalogue: Catalogue, metrics: Registry
    ) -> None:
        self._keys = keys
        self._exchanges = exchanges
        self._catalogue = catalogue
        self._bodies = Bodies()
        self._requests = metrics.counter(
            "hum_front_requests_total", "Requests answered.", ("route", "status")
        )
        self._handlers: dict[Serves, _Handler] = {
            Serves.TURN: self._turn,
            Serves.MODELS: self._models,
            Serves.MODEL: self._model,
            Serves.COUNT: self._count,
            Serves.TAGS: self._tags,
            Serves.SHOW: self._show,
            Serves.RUNNING: self._running,
            Serves.VERSION: self._version,
            Serves.ABSENT: self._absent,
            Serves.GREETING: self._greet,
            Serves.DESCRIPTION: self._describe,
            Serves.HEALTH: self._healthz,
            Serves.READINESS: self._readyz,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request that the guard let through."""
        route, status = route_of(scope["path"]), 500
        request_id = scope[REQUEST_ID] = mint_request_id()
        try:
            status = await self._serve(route, scope, receive, send)
        except ApiError as refusal:
            status = await answer_error(send, refusal, _dialect(scope), request_id=request_id)
        except ClientGone:
            status = CLIENT_GONE
        except Exception as problem:
            extra = {"path": scope["path"], "request": request_id}
            log.error("front.bug", extra=extra, exc_info=problem)
            # When the answer has begun already, this raises, and the server closes the connection.
            bug = ApiError(500, "a bug in the front; its log says more")
            await answer_error(send, bug, _dialect(scope), request_id=request_id)
        finally:
            self._requests.labels(route.path if route else "other", str(status)).inc()

    async def _serve(self, route: Route | None, scope: Scope, receive: Receive, send: Send) -> int:
        if route is None:
            raise not_found(scope["path"])
        if route.serves not in _OPEN:
            scope[KEY] = self._keys.admit(dict(scope["headers"]))
        if scope["method"] not in route.methods:
            allow = ", ".join(route.methods)
            refusal = ApiError(405, f"{route.path} takes {allow}", code="method_not_allowed")
            headers = [(b"allow", allow.encode())]
            return await answer_error(
                send, refusal, route.dialect, request_id=scope[REQUEST_ID], headers=headers
            )
        if route.serves is not Serves.TURN:
            send = with_id(send, _dialect(scope), scope[REQUEST_ID])
        return await self._handlers[route.serves](route, scope, receive, send)

    async def _turn(self, route: Route, scope: Scope, receive: Receive, send: Send) -> int:
        return await self._exchanges.post(route.dialect, scope, receive, send)

    async def _greet(self, route: Route, scope: Scope, receive: Receive, send: Send) -> int:
        await answer(send, GREETING, kind=TEXT)
        return 200

    async def _describe(self, route: Route, scope: Scope, receive: Receive, send: Send) -> int:
        await answer(send, description(HUM_VERSION))
        return 200

    async def _healthz(self, route: Route, scope: Scope, receive: Receive, send: Send) -> int:
        await answer(send, b'{"status":"ok"}')
        return 200

    async def _readyz(self, route: Route, scope: Scope, receive: Receive, send: Send) -> int:
        trouble = await self._catalogue.trouble()
        status = 503 if trouble else 200
        await answer(send, orjson.dumps({"status": trouble or "ready"}), status=status)
        return status

    async def _models(self, route: Route, scope: Scope, receive: Receive, send: Send) -> int:
        models, asked = await self._models_for(scope), asked_of(scope)
        if ANTHROPIC_VERSION in asked.headers:
            after, before = asked.query.get("after_id"), asked.query.get("before_id")
            body = anthropic_models.models_body(
                models, limit=_limit(asked), after=after, before=before
            )
        else:
            body = openai_models.models_body(models)
        await answer(send, body)
        return 200

    async def _model(self, route: Route, scope: Scope, receive: Receive, send: Send) -> int:
        model = scope["path"].removeprefix(route.path)
        models = await self._models_for(scope)
        is_anthropic = _dialect(scope) is MESSAGES
        shape = anthropic_models.model_body if is_anthropic else openai_models.model_body
        await answer(send, shape(model, models))
        return 200

    async def _count(self, route: Route, scope: Scope, receive: Receive, send: Send) -> int:
        await answer(send, count_body(await self._read(receive)))
        return 200

    async def _tags(self, route: Route, scope: Scope, receive: Receive, send: Send) -> int:
        await answer(send, ollama_models.tags_body(await self._models_for(scope)))
        return 200

    async def _running(self, route: Route, scope: Scope, receive: Receive, send: Send) -> int:
        await answer(send, ollama_models.running_body(await self._models_for(scope)))
        return 200

    async def _show(self, route: Route, scope: Scope, receive: Receive, send: Send) -> int:
        asked = read_object(await self._read(receive))
        model = model_name(asked.get("model") or asked.get("name"))
        await answer(send, ollama_models.show_body(model, await self._models_for(scope)))
        return 200

    async def _version(self, route: Route, scope: Scope, receive: Receive, send: Send) -> int:
        await answer(send, ollama_models.version_body())
        return 200

    async def _absent(self, route: Route, scope: Scope, receive: Receive, send: Send) -> int:
        raise ApiError(501, f"{route.path} has no meaning here: models are those of the workers")

    async def _models_for(self, scope: Scope) -> tuple[str, ...]:
        """The models that the request's key opens."""
        models, key = await self._catalogue.models(), scope[KEY]
        return models if key is None else tuple(filter(key.opens, models))

    async def _read(self, receive: Receive) -> bytes:
        room = Room(self._bodies)
        try:
            return await room.read(receive)
        finally:
            room.close()


def refusal_body(refusal: Refusal, path: str) -> bytes:
    """What the guard says, in the shape of the dialect at a path."""
    error = ApiError(refusal.status, refusal.message, code=refusal.code)
    return dialect_at(path).error_body(error, "")


def _dialect(scope: Scope) -> Dialect:
    """Whose shape a refusal has."""
    dialect = dialect_at(scope["path"])
    if scope["path"].startswith("/v1/models") and ANTHROPIC_VERSION in dict(scope["headers"]):
        return MESSAGES
    return dialect


def _limit(asked: Asked) -> int:
    """How many models a page has; what makes no sense is as if it were not there."""
    told = asked.query.get("limit", "")
    limit = int(told) if told.isdecimal() and len(told) < 9 else anthropic_models.LIMIT
    return min(max(limit, 1), anthropic_models.LIMIT_MAX)
