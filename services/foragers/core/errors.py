"""Why a request gets no answer, or no more of one; each dialect has a shape of its own for it.

The status of an `error` tone comes from its qualifier, else from the status that the model's
service gave, else it is 502: somebody behind us failed.
"""

from collections.abc import Mapping
from typing import Any

from thrum.errors import PeerError, Qualifier

RETRY_SECONDS = 1
"""What we suggest as `Retry-After` when trying again soon may help."""
MESSAGE_CHARS_MAX = 8_192
"""Characters of a worker's message that are passed on."""
MODELS_NAMED_MAX = 40
"""Models named in a refusal; the rest are counted."""
MODEL_CHARS_MAX = 256
"""Of the name of a model that is not there, in what is said of it."""

_STATUS: Mapping[str, int] = {
    Qualifier.AUTH_DENIED: 403,
    Qualifier.BUDGET_NO_PRICE: 403,
    Qualifier.BUDGET_SPENT: 429,
    Qualifier.FRAME_TOO_LARGE: 413,
    Qualifier.LOG_UNAVAILABLE: 503,
    Qualifier.OVERFLOW_NO_ROUTE: 503,
    Qualifier.PROMPT_NO_WORKER: 404,
    Qualifier.PROMPT_QUEUE_FULL: 429,
    Qualifier.QUEUE_OVERFLOW: 503,
    Qualifier.RATE_LIMITED: 429,
    Qualifier.TONE_MALFORMED: 400,
    Qualifier.WORKER_BUSY: 429,
    Qualifier.WORKER_LOST: 502,
}
_WORTH_RETRYING = frozenset({429, 503})


class ApiError(PeerError):
    """A request that gets no answer: status, reason, and the parameter that is wrong."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_seconds: int | None = None,
        told: tuple[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.told = told
        """What a model's service said itself: its dialect, and its words."""
        self.status = status
        self.param = param
        self.code = code
        self._retry_seconds = retry_seconds

    @property
    def retry_seconds(self) -> int | None:
        """When to try again; None when that would not help."""
        if self._retry_seconds is not None or self.code == Qualifier.BUDGET_SPENT:
            return self._retry_seconds
        return RETRY_SECONDS if self.status in _WORTH_RETRYING else None

    @property
    def is_final(self) -> bool:
        """Whether a client that tries again by itself would only be refused again."""
        return self.code == Qualifier.BUDGET_SPENT


def error_of(body: Mapping[str, Any]) -> ApiError:
    """What the client is told about an `error` tone."""
    qualifier, code = body.get("qualifier"), body.get("code")
    message = body.get("message")
    text = message if isinstance(message, str) and message else "the turn failed without a reason"
    name = qualifier if isinstance(qualifier, str) else code if isinstance(code, str) else None
    retry = body.get("retryMs")
    return ApiError(
        _status_of(qualifier, body),
        text[:MESSAGE_CHARS_MAX],
        code=name,
        retry_seconds=-(-retry // 1_000) if type(retry) is int and retry >= 0 else None,
        told=_told(body.get("told")),
    )


def _told(value: object) -> tuple[str, str] | None:
    wire, words = (value.get("wire"), value.get("body")) if type(value) is dict else (None, None)
    return (wire, words) if type(wire) is str and type(words) is str else None


def no_worker(model: str | None, models: tuple[str, ...]) -> ApiError:
    """Nobody answers for `model`: say who does, or how to get someone."""
    if not models:
        return ApiError(
            503,
            "no worker is connected, so no model can answer. Start one: hum up; then: hum bee list",
            code="no_worker",
        )
    name = model and model[:MODEL_CHARS_MAX]
    named = ", ".join(models[:MODELS_NAMED_MAX])
    more = f" and {len(models) - MODELS_NAMED_MAX} more" if len(models) > MODELS_NAMED_MAX else ""
    return ApiError(
        404,
        f"The model {name!r} does not exist here. There are: {named}{more}",
        param="model",
        code="model_not_found",
    )


def _status_of(qualifier: object, body: Mapping[str, Any]) -> int:
    known = _STATUS.get(qualifier) if isinstance(qualifier, str) else None
    if known is not None:
        return known
    for key in ("status", "code"):
        value = body.get(key)
        if type(value) is int and 400 <= value <= 599:
            return value
    return 502
