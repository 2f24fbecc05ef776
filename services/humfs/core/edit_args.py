"""The arguments of the edit tools, from whatever a model sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from humfs.core.args import HALF_CHARACTER, NAME_CHARS_MAX, is_encodable
from humfs.errors import Code, Refusal

ARGS_MAX = 64
"""Unknown argument names that are named back."""


class Operation(StrEnum):
    """What an edit does."""

    CREATE = "create"
    REPLACE = "replace"
    INSERT_BEFORE = "insert_before"
    INSERT_AFTER = "insert_after"
    DELETE = "delete"
    MOVE = "move"
    REMOVE = "remove"


SCOPES = ("word", "phrase", "sentence", "paragraph")
WHOLE_FILE = (Operation.MOVE, Operation.REMOVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeArgs:
    """What to do with a code file."""

    file_path: str
    operation: Operation
    symbol: str = ""
    new_source: str = ""
    new_path: str = ""
    ignored: tuple[str, ...] = ()
    """Arguments this tool does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextArgs:
    """What to do with a file that is not code."""

    file_path: str
    operation: Operation
    """`replace`, `move` or `remove`."""
    scope: str = ""
    """One of `SCOPES`; empty for the whole file."""
    wanted: str = ""
    """What to look for in the scope."""
    replace: str = ""
    new_path: str = ""
    ignored: tuple[str, ...] = ()


def code_args(args: object) -> CodeArgs:
    """Check the arguments of `humfs_do_code`; raises `Refusal` (`bad_args`) that names them."""
    names = ("file_path", "operation", "symbol", "new_source", "new_path")
    texts = _texts(args, names, example=_CODE_EXAMPLE)
    operation = _operation(texts["operation"] or "replace", tuple(Operation), _CODE_EXAMPLE)
    given = CodeArgs(
        file_path=texts["file_path"] or "",
        operation=operation,
        symbol=texts["symbol"] or "",
        new_source=texts["new_source"] or "",
        new_path=texts["new_path"] or "",
        ignored=_ignored(args, names),
    )
    wrong = _wrong_code(given, has_source=texts["new_source"] is not None)
    if not wrong and operation is Operation.REPLACE and not given.symbol:
        wrong = _unplaced(given.ignored, "symbol")
    if wrong:
        raise _bad(f"{operation.value}: {wrong}", _CODE_EXAMPLE)
    return given


def text_args(args: object) -> TextArgs:
    """Check the arguments of `humfs_do_noncode`; raises `Refusal` (`bad_args`)."""
    names = ("file_path", "operation", *SCOPES, "replace", "new_path")
    texts = _texts(args, names, example=_TEXT_EXAMPLE)
    known = (Operation.REPLACE, *WHOLE_FILE)
    operation = _operation(texts["operation"] or "replace", known, _TEXT_EXAMPLE)
    scopes = [name for name in SCOPES if texts[name] is not None]
    if any(texts[name] == "" for name in scopes):
        raise _bad(f"{' and '.join(scopes)} must not be empty.", _TEXT_EXAMPLE)
    if len(scopes) > 1:
        raise _bad(f"{' and '.join(scopes)} exclude each other: give one of them.", _TEXT_EXAMPLE)
    if operation is Operation.REPLACE and not scopes and texts["replace"] is None:
        message = f"neither a scope ({', '.join(SCOPES)}) nor replace is given."
        raise _bad(message, _TEXT_EXAMPLE)
    wrong = _wrong_move(operation, texts["new_path"] or "")
    if not wrong and operation in WHOLE_FILE and (scopes or texts["replace"]):
        wrong = f"takes the whole file, without {', '.join([*scopes, 'replace'])}."
    ignored = _ignored(args, names)
    if not wrong and operation is Operation.REPLACE and not scopes:
        wrong = _unplaced(ignored, "a scope")
    if wrong:
        raise _bad(f"{operation.value}: {wrong}", _TEXT_EXAMPLE)
    return TextArgs(
        file_path=texts["file_path"] or "",
        operation=operation,
        scope=scopes[0] if scopes else "",
        wanted=(texts[scopes[0]] or "") if scopes else "",
        replace=texts["replace"] or "",
        new_path=texts["new_path"] or "",
        ignored=ignored,
    )


_CODE_EXAMPLE = '{"file_path": "a.py", "symbol": "App.run", "new_source": "def run(self): ..."}'
_TEXT_EXAMPLE = '{"file_path": "app.toml", "phrase": "server.port", "replace": "8080"}'


def _wrong_code(args: CodeArgs, *, has_source: bool) -> str:
    """What is wrong with the arguments of an operation; empty when nothing is."""
    operation = args.operation
    is_insert = operation in (Operation.INSERT_BEFORE, Operation.INSERT_AFTER)
    if operation in WHOLE_FILE and (args.symbol or args.new_source):
        return "takes the whole file, without symbol and new_source."
    if operation is Operation.CREATE and args.symbol:
        return "symbol must be absent: it makes a whole file."
    if operation in (Operation.CREATE, Operation.REPLACE) and not has_source:
        return "new_source is missing."
    if (is_insert or operation is Operation.DELETE) and not args.symbol:
        return "symbol is missing."
    if (is_insert or (operation is Operation.REPLACE and args.symbol)) and not (
        args.new_source.strip()
    ):
        return "new_source must not be blank."
    if operation is Operation.DELETE and args.new_source:
        return "new_source must be absent."
    return _wrong_move(operation, args.new_path)


def _unplaced(ignored: tuple[str, ...], place: str) -> str:
    """What is wrong with an argument we do not have: it may say which part of the file is meant."""
    if not ignored:
        return ""
    return f"there is no argument {ignored[0]!r}, and without {place} the whole file is meant."


def _wrong_move(operation: Operation, new_path: str) -> str:
    if operation is Operation.MOVE and not new_path:
        return "new_path is missing."
    if operation is not Operation.MOVE and new_path:
        return "new_path belongs to move."
    return ""


def _texts(args: object, names: tuple[str, ...], *, example: str) -> dict[str, str | None]:
    if not isinstance(args, Mapping):
        raise _bad(f"args must be an object with {', '.join(names)}.", example)
    texts: dict[str, str | None] = {}
    for name in names:
        value = args.get(name)
        if value is not None and not isinstance(value, str):
            raise _bad(f"{name} must be a string.", example)
        if value is not None and not name.endswith("_path"):
            if not is_encodable(value):
                raise _bad(f"{name} {HALF_CHARACTER}.", example)
            if "\0" in value:
                raise _bad(f"{name} holds a NUL: with it a file is binary, not text.", example)
        if name == "symbol" and len(value or "") > NAME_CHARS_MAX:
            raise _bad(f"{name} is longer than {NAME_CHARS_MAX} characters.", example)
        texts[name] = value
    if not texts["file_path"]:
        raise _bad("file_path is missing: give the file.", example)
    return texts


def _operation(asked: str, known: tuple[Operation, ...], example: str) -> Operation:
    for one in known:
        if asked == one.value:
            return one
    listed = ", ".join(one.value for one in known)
    raise _bad(f"There is no operation {asked[:40]!r}: it is one of {listed}.", example)


def _ignored(args: object, names: tuple[str, ...]) -> tuple[str, ...]:
    unknown = [name for name in args if name not in names] if isinstance(args, Mapping) else []
    return tuple(sorted(str(name)[:64] for name in unknown)[:ARGS_MAX])


def _bad(message: str, example: str) -> Refusal:
    return Refusal(Code.BAD_ARGS, message, hint=f"Example: {example}")
