"""What humfs refuses, as codes a model can act on.

A `Refusal` says what was wrong in one sentence, then what to do instead. It changes nothing on disk
and becomes a `tool-result` with `isError` true; nothing else about it leaves the process.
"""

from enum import StrEnum

from thrum.errors import LocalError, PeerError


class Code(StrEnum):
    """`metadata.error` of a refused call."""

    BAD_ARGS = "bad_args"
    UNKNOWN_TOOL = "unknown_tool"
    OUTSIDE_ROOTS = "outside_roots"
    DENIED = "denied"
    READ_ONLY = "read_only"
    NOT_REGULAR = "not_regular"
    NOT_FOUND = "not_found"
    EXISTS = "exists"
    LINKED = "linked"
    RESERVED = "reserved"
    WRONG_TOOL = "wrong_tool"
    SYMBOL_NOT_FOUND = "symbol_not_found"
    SYMBOL_AMBIGUOUS = "symbol_ambiguous"
    NOT_A_DECLARATION = "not_a_declaration"
    SYNTAX = "syntax"
    CORRUPT = "corrupt"
    STALE = "stale"
    NO_CHANGE = "no_change"
    ENCODING = "encoding"
    TOO_LARGE = "too_large"
    BAD_PATTERN = "bad_pattern"
    ROUTED = "routed"
    SANDBOX = "sandbox"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    IO = "io"


class Refusal(PeerError):
    """A call answered with an error: `code` for programs, `message` and `hint` for models."""

    def __init__(self, code: Code, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class PathsKeepChanging(LocalError):
    """A path was swapped under us each time we looked: somebody races us, so we refuse."""
