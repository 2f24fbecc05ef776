"""The arguments of `humfs_read`, from whatever a model sent."""

from collections.abc import Mapping
from dataclasses import dataclass

from humfs.errors import Code, Refusal

MODIFIERS = ("symbol", "query", "pattern")
HALF_CHARACTER = "holds half a character (a lone surrogate)"
NAME_CHARS_MAX = 4_000
"""Longest `symbol` and `query`: no outline has longer ones, and a refusal says them back."""
ARGS_MAX = 64
"""Argument names looked at; and named back when unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadArgs:
    """What to read. At most one of the last three is not empty."""

    file_path: str
    symbol: str = ""
    query: str = ""
    pattern: str = ""
    ignored: tuple[str, ...] = ()
    """Arguments this tool does not know."""

    @property
    def title(self) -> str:
        """The short label of the call."""
        for name in MODIFIERS:
            if value := getattr(self, name):
                return f"{name}:{value}"
        return self.file_path


def read_args(args: object) -> ReadArgs:
    """Check the arguments; raises `Refusal` (`bad_args`) that names them."""
    if not isinstance(args, Mapping):
        raise _bad(
            "args must be an object with file_path, and optionally symbol, query or pattern."
        )
    texts = {}
    for name in ("file_path", *MODIFIERS):
        value = args.get(name)
        if value is not None and not isinstance(value, str):
            raise _bad(f"{name} must be a string.")
        if name in MODIFIERS and not is_encodable(value or ""):
            raise _bad(f"{name} {HALF_CHARACTER}.")
        if name in ("symbol", "query") and len(value or "") > NAME_CHARS_MAX:
            raise _bad(f"{name} is longer than {NAME_CHARS_MAX} characters.")
        texts[name] = value or ""
    if not texts["file_path"]:
        raise _bad("file_path is missing: give a file, a directory or a glob.")
    given = [name for name in MODIFIERS if texts[name]]
    if len(given) > 1:
        raise _bad(f"{' and '.join(given)} exclude each other: give one of them.")
    known = {"file_path", *MODIFIERS}
    ignored = sorted(str(name)[:64] for name in args if name not in known)[:ARGS_MAX]
    return ReadArgs(**texts, ignored=tuple(ignored))


def is_encodable(text: str) -> bool:
    """Whether a text can be written to a file."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _bad(message: str) -> Refusal:
    return Refusal(
        Code.BAD_ARGS, message, hint='Example: {"file_path": "src/app.py", "symbol": "App.run"}'
    )
