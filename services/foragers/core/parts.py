"""Parts of a message as a prompt has them, whatever dialect they came in.

`{type: text, text}`, `{type: image_url, image_url: {url}}`, `{type: file, file: {url, filename}}`.
A `url` is `data:` with base64, or `https:`, `http:`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from foragers.core.checks import text_at, wrong
from foragers.core.errors import ApiError
from thrum.tones import Body

PLACES = ("data:", "https://", "http://")
"""How the address of an image or a file begins."""
FILE_NAME_CHARS_MAX = 256
UNNAMED_FILE = "document"


def text(value: str) -> Body:
    """A piece of text."""
    return {"type": "text", "text": value}


def image(path: str, value: object) -> Body:
    """An image by its URL, alone or in an object. Raises `ApiError`."""
    told = value if type(value) is dict else {"url": value}
    url = told.get("url")
    if type(url) is not str:
        raise wrong(path, "an object with a url, or a URL")
    if not url.startswith(PLACES):
        raise wrong(f"{path}.url" if told is value else path, "a data:, https: or http: URL")
    held: Body = {"url": url}
    if type(detail := told.get("detail")) is str:
        held["detail"] = detail
    return {"type": "image_url", "image_url": held}


def file(path: str, told: Mapping[str, Any]) -> Body:
    """A file by its base64, with or without `data:` in front, or its URL. Raises `ApiError`."""
    if told.get("file_id") is not None:
        raise ApiError(
            400, f"{path}.file_id: files are not kept here; send file_data.",
            param=f"{path}.file_id", code="unsupported_value",
        )  # fmt: skip
    name = told.get("filename")
    name = name[:FILE_NAME_CHARS_MAX] if type(name) is str and name else UNNAMED_FILE
    url = text_at(f"{path}.file_data", told.get("file_data") or told.get("file_url"))
    if not url.startswith(PLACES):
        media = "application/pdf" if name.lower().endswith(".pdf") else "application/octet-stream"
        url = f"data:{media};base64,{url}"
    return {"type": "file", "file": {"url": url, "filename": name}}


def is_plain(parts: Sequence[Body]) -> bool:
    """Whether there is nothing but text."""
    return all(part["type"] == "text" for part in parts)


def plain(content: object) -> str:
    """A message's text; parts that are no text are left out."""
    if type(content) is str:
        return content
    parts = content if type(content) is list else []
    return "\n".join(part["text"] for part in parts if part["type"] == "text")
