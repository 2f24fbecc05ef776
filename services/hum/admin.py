"""Questions to the sidecar: what the dashboard and the command line both ask."""

import http.client
import os
from typing import Any

import orjson

from hum.bees import address, read_bees
from hum.errors import absent
from hum.output import printable
from nest.paths import Paths
from nest.private import read_token
from nest.settings import load
from thrum.errors import LocalError

ANSWER_SECONDS = 5.0
ANSWER_BYTES_MAX = 16 * 1024 * 1024


def ask_admin(path: str) -> dict[str, Any]:
    """The answer to one question under `/api`. Raises `DaemonAbsent`."""
    body = fetch(path)
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError as problem:
        raise _is_other(f"{problem}") from problem
    if not isinstance(told, dict):
        raise _is_other(f"{type(told).__name__} instead of an object")
    return told


def _is_other(why: str) -> LocalError:
    """The sentence for an answer that no sidecar gives."""
    said = f"what answers at the sidecar's address is no sidecar: {why}"
    return LocalError(said, hint="hum status; another program may have its port: sidecar.port")


def fetch(path: str) -> bytes:
    """What the sidecar answers at a path. Raises `DaemonAbsent`."""
    paths = Paths.from_environment(os.environ)
    settings = load(paths, os.environ).sidecar
    found = address(read_bees(paths).get("sidecar"), settings.host, settings.port)
    try:
        token = read_token(paths.sidecar_token)
        link = http.client.HTTPConnection(found.host, found.port, timeout=ANSWER_SECONDS)
        try:
            link.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            answer = link.getresponse()
            status, body = answer.status, answer.read(ANSWER_BYTES_MAX)
        finally:
            link.close()
    except (OSError, http.client.HTTPException) as problem:
        raise absent(f"the sidecar at {found.url} does not answer: {problem}") from problem
    if status == 422:
        try:
            wrong = orjson.loads(body)["detail"][0]
            said, where = str(wrong["msg"]), wrong["loc"][-1]
        except (orjson.JSONDecodeError, LookupError, TypeError) as problem:
            raise _is_other(f"{problem!r}") from problem
        raise LocalError(said, hint=f"{where} is what to change")
    if status != 200:
        said = f"the sidecar answers {status}{_detail(body)}"
        raise LocalError(said, hint="hum status; hum logs sidecar")
    return body


def _detail(body: bytes) -> str:
    """Why, when the answer says it."""
    try:
        detail = orjson.loads(body)["detail"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""
    return f": {printable(str(detail))}"
