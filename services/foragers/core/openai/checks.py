"""What every check of a request says when a value is wrong."""

from foragers.core.errors import ApiError

SHOWN_CHARS_MAX = 80
"""Of a wrong value, the characters that a refusal repeats."""


def wrong(path: str, wanted: str) -> ApiError:
    """The value at `path` has the wrong type."""
    return ApiError(400, f"{path} is wrong: it takes {wanted}.", param=path, code="invalid_type")


def text_at(path: str, value: object) -> str:
    """The value at `path`, which must be text with something in it; raises `ApiError`."""
    if type(value) is not str or not value:
        raise wrong(path, "a non-empty string")
    return value


def shown(value: object) -> str:
    """A wrong value, as far as a refusal repeats it."""
    text = repr(value)
    return text if len(text) <= SHOWN_CHARS_MAX else f"{text[:SHOWN_CHARS_MAX]}..."
