"""What clients of the Ollama dialect ask about models."""

from collections.abc import Iterable

import orjson

from foragers.core.errors import ApiError, no_worker

VERSION = "0.12.6"
"""The version of the dialect that we say we are; clients compare it with what they need."""
MODIFIED_AT = "1970-01-01T00:00:00Z"
"""Nobody tells when a model was made."""
CAPABILITIES = ("completion", "tools", "vision", "thinking")

_DETAILS = {
    "parent_model": "", "format": "hum", "family": "hum", "families": ["hum"],
    "parameter_size": "", "quantization_level": "",
}  # fmt: skip


def tags_body(models: Iterable[str]) -> bytes:
    """All models."""
    return orjson.dumps({"models": [_entry(model) for model in models]})


def running_body(models: Iterable[str]) -> bytes:
    """Models in memory: whatever a worker offers is ready."""
    running = [{**_entry(model), "expires_at": MODIFIED_AT, "size_vram": 0} for model in models]
    return orjson.dumps({"models": running})


def show_body(model: str, models: tuple[str, ...]) -> bytes:
    """One model; raises `ApiError` when there is no such model."""
    if model not in models:
        raise ApiError(404, no_worker(model, models).message)
    body = {
        "modified_at": MODIFIED_AT, "details": _DETAILS, "template": "", "parameters": "",
        "model_info": {"general.architecture": "hum"}, "capabilities": CAPABILITIES,
    }  # fmt: skip
    return orjson.dumps(body)


def version_body() -> bytes:
    """The version of the dialect."""
    return orjson.dumps({"version": VERSION})


def _entry(model: str) -> dict[str, object]:
    return {
        "name": model, "model": model, "modified_at": MODIFIED_AT,
        "size": 0, "digest": "", "details": _DETAILS,
    }  # fmt: skip
