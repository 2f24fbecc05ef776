"""Which path is what, in which dialect, and what a wrong one should have been."""

from dataclasses import dataclass
from enum import Enum, auto

from foragers.core.anthropic.dialect import MESSAGES
from foragers.core.dialect import Dialect
from foragers.core.errors import ApiError
from foragers.core.ollama.dialect import CHAT as OLLAMA_CHAT
from foragers.core.ollama.dialect import EMBED, GENERATE
from foragers.core.ollama.dialect import EMBEDDINGS as OLLAMA_EMBEDDINGS
from foragers.core.openai.dialect import CHAT, EMBEDDINGS, RESPONSES

READING = ("GET", "HEAD")
WRITING = ("POST",)


class Serves(Enum):
    """What a route does."""

    TURN = auto()
    MODELS = auto()
    MODEL = auto()
    COUNT = auto()
    TAGS = auto()
    SHOW = auto()
    RUNNING = auto()
    VERSION = auto()
    ABSENT = auto()
    """A request that clients of the dialect make and that has no meaning here."""
    GREETING = auto()
    DESCRIPTION = auto()
    HEALTH = auto()
    READINESS = auto()


@dataclass(frozen=True, slots=True)
class Route:
    """One path."""

    path: str
    methods: tuple[str, ...]
    serves: Serves
    dialect: Dialect = CHAT


_ABSENT = ("pull", "push", "create", "copy")
ROUTES: dict[str, Route] = {
    route.path: route
    for route in (
        Route("/", READING, Serves.GREETING, OLLAMA_CHAT),
        Route("/openapi.json", READING, Serves.DESCRIPTION),
        Route("/healthz", READING, Serves.HEALTH),
        Route("/readyz", READING, Serves.READINESS),
        Route("/v1/chat/completions", WRITING, Serves.TURN),
        Route("/v1/responses", WRITING, Serves.TURN, RESPONSES),
        Route("/v1/embeddings", WRITING, Serves.TURN, EMBEDDINGS),
        Route("/v1/models", READING, Serves.MODELS),
        Route("/v1/models/", READING, Serves.MODEL),
        Route("/v1/messages", WRITING, Serves.TURN, MESSAGES),
        Route("/v1/messages/count_tokens", WRITING, Serves.COUNT, MESSAGES),
        Route("/api/chat", WRITING, Serves.TURN, OLLAMA_CHAT),
        Route("/api/generate", WRITING, Serves.TURN, GENERATE),
        Route("/api/embed", WRITING, Serves.TURN, EMBED),
        Route("/api/embeddings", WRITING, Serves.TURN, OLLAMA_EMBEDDINGS),
        Route("/api/tags", READING, Serves.TAGS, OLLAMA_CHAT),
        Route("/api/show", WRITING, Serves.SHOW, OLLAMA_CHAT),
        Route("/api/ps", READING, Serves.RUNNING, OLLAMA_CHAT),
        Route("/api/version", READING, Serves.VERSION, OLLAMA_CHAT),
        Route("/api/delete", ("DELETE",), Serves.ABSENT, OLLAMA_CHAT),
        *(Route(f"/api/{name}", WRITING, Serves.ABSENT, OLLAMA_CHAT) for name in _ABSENT),
    )
}
_MODEL = ROUTES["/v1/models/"]
_ADVICE = (
    ("chat/completions", "/v1/chat/completions: base URLs of OpenAI clients end in /v1"),
    ("responses", "/v1/responses: base URLs of OpenAI clients end in /v1"),
    ("models", "/v1/models: base URLs of OpenAI clients end in /v1"),
    ("messages", "/v1/messages: base URLs of Anthropic clients end without /v1"),
    ("count_tokens", "/v1/messages/count_tokens"),
    ("embeddings", "/v1/embeddings, or /api/embed"),
    ("chat", "/api/chat, or /v1/chat/completions"),
    ("generate", "/api/generate"),
    ("tags", "/api/tags"),
)


def route_of(path: str) -> Route | None:
    """The route of a path; None when there is none. A slash at the end changes nothing."""
    if path.startswith(_MODEL.path) and path != _MODEL.path:
        return _MODEL
    return ROUTES.get(path) or ROUTES.get(path.rstrip("/"))


def dialect_at(path: str) -> Dialect:
    """Whose shape a refusal at this path has, also where nothing is."""
    route = route_of(path)
    if route is not None:
        return route.dialect
    if path.startswith("/api"):
        return OLLAMA_CHAT
    return MESSAGES if "/messages" in path else CHAT


def not_found(path: str) -> ApiError:
    """There is nothing at `path`: say what may have been meant."""
    stripped = path.rstrip("/")
    meant = next((advice for end, advice in _ADVICE if stripped.endswith(f"/{end}")), None)
    if meant is not None:
        return ApiError(404, f"nothing is here; you may mean {meant}", code="unknown_url")
    known = "/v1/chat/completions, /v1/responses, /v1/messages, /api/chat, /v1/models"
    return ApiError(404, f"nothing is here; there are {known}", code="unknown_url")
