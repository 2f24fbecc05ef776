"""The list of models, as `/v1/models` gives it."""

import orjson

from foragers.core.errors import ApiError, no_worker


def models_body(models: tuple[str, ...]) -> bytes:
    """All of them."""
    return orjson.dumps({"object": "list", "data": [_entry(model) for model in models]})


def model_body(model: str, models: tuple[str, ...]) -> bytes:
    """One of them; raises `ApiError` when there is no such model."""
    if model not in models:
        raise ApiError(404, no_worker(model, models).message, param="model", code="model_not_found")
    return orjson.dumps(_entry(model))


def _entry(model: str) -> dict[str, object]:
    return {"id": model, "object": "model", "created": 0, "owned_by": "hum"}
