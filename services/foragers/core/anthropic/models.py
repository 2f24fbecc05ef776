"""The list of models, in the Anthropic dialect's shape."""

from collections.abc import Sequence

import orjson

from foragers.core.errors import ApiError, no_worker

LIMIT = 20
LIMIT_MAX = 1_000
"""Models on a page, unasked and at the most."""
CREATED_AT = "1970-01-01T00:00:00Z"
"""Nobody tells when a model was made; the dialect's word for unknown."""


def models_body(
    models: Sequence[str],
    *,
    limit: int = LIMIT,
    after: str | None = None,
    before: str | None = None,
) -> bytes:
    """A page of them: those behind `after`, or the last ones in front of `before`."""
    listed = list(models)
    if before in listed:
        upto = listed.index(before)
        page, more = listed[max(0, upto - limit) : upto], upto > limit
    else:
        start = listed.index(after) + 1 if after in listed else 0
        page, more = listed[start : start + limit], len(listed) > start + limit
    body = {
        "data": [_entry(model) for model in page],
        "has_more": more,
        "first_id": page[0] if page else None,
        "last_id": page[-1] if page else None,
    }
    return orjson.dumps(body)


def model_body(model: str, models: tuple[str, ...]) -> bytes:
    """One of them; raises `ApiError` when there is no such model."""
    if model not in models:
        raise ApiError(404, no_worker(model, models).message, param="model")
    return orjson.dumps(_entry(model))


def _entry(model: str) -> dict[str, object]:
    return {"type": "model", "id": model, "display_name": model, "created_at": CREATED_AT}
