"""Every refusal in the Anthropic dialect: `{"type": "error", "error": {type, message}}`."""

from collections.abc import Mapping

import orjson

from foragers.core.errors import ApiError

OVERLOADED = 529
"""The dialect's own status for a service that has no room now."""

_TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    OVERLOADED: "overloaded_error",
}


def status_of(status: int) -> int:
    """The dialect's status for ours."""
    return OVERLOADED if status == 503 else status


def error_body(error: ApiError, request_id: str = "") -> bytes:
    """The JSON object, with the request's id when there is one.

    What a service of this dialect said is passed on word for word: clients read it.
    """
    if error.told is not None and error.told[0] == "anthropic":
        return error.told[1].encode()
    fallback = "api_error" if error.status >= 500 else "invalid_request_error"
    inner = {"type": _TYPES.get(error.status, fallback), "message": error.message}
    body: dict[str, object] = {"type": "error", "error": inner}
    if request_id:
        body["request_id"] = request_id
    return orjson.dumps(body)


def error_event(error: ApiError, request_id: str = "") -> bytes:
    """The same as the last event of a stream that had begun."""
    return b"event: error\ndata: " + error_body(error, request_id) + b"\n\n"
