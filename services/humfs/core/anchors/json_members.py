"""JSON and JSONC: members of objects, two levels deep.

Broken files give the members read so far.
"""

import re
from dataclasses import dataclass

from humfs.core.anchors.anchor import Anchor
from humfs.core.text import Span, Text

LEVELS_MAX = 2

_TOKEN = re.compile(
    rb'"(?:[^"\\\n]|\\.)*"|[{}\[\],:]|//[^\n]*|/\*(?:[^*]|\*(?!/))*\*/|[^\s{}\[\],:"/]+', re.DOTALL
)
_ESCAPE = re.compile(r'\\(["\\/])')


@dataclass(slots=True)
class _Member:
    path: str
    start: int
    depth: int
    end: int = 0
    is_block: bool = False


@dataclass(slots=True)
class _Frame:
    """An open object or array."""

    is_object: bool
    path: str | None
    """Where its members are listed; None when they are not."""
    member: _Member | None = None
    """The member whose value comes next."""
    wants_key: bool = True


def anchors(text: Text) -> list[Anchor]:
    """The members, in file order."""
    members: list[_Member] = []
    open_frames: list[_Frame] = []
    for token in _TOKEN.finditer(text.source):
        first = token[0][:1]
        if first == b"/":
            continue
        frame = open_frames[-1] if open_frames else None
        if first in b"{[":
            open_frames.append(_opened(frame, is_object=first == b"{", depth=len(open_frames)))
        elif first in b"}]":
            if frame is None:
                break
            open_frames.pop()
            _end_value(open_frames[-1] if open_frames else None, token.end())
        elif first == b",":
            if frame is not None:
                frame.wants_key, frame.member = True, None
        elif frame is not None and frame.is_object and frame.wants_key and first == b'"':
            frame.wants_key = False
            if frame.path is not None:
                frame.member = _member(frame, token, depth=len(open_frames) - 1)
                members.append(frame.member)
        elif first != b":":
            _end_value(frame, token.end())
    return [
        Anchor(
            target=one.path,
            span=Span(one.start, one.end),
            depth=one.depth,
            is_block=one.is_block,
        )
        for one in members
        if one.end
    ]


def _opened(frame: _Frame | None, *, is_object: bool, depth: int) -> _Frame:
    if frame is None:
        return _Frame(is_object, "" if is_object else None)
    member = frame.member if frame.is_object else None
    if member is not None:
        member.is_block = is_object
    listed = member is not None and is_object and depth < LEVELS_MAX
    return _Frame(is_object, member.path if member and listed else None)


def _member(frame: _Frame, token: re.Match[bytes], *, depth: int) -> _Member:
    key = _ESCAPE.sub(r"\1", token[0][1:-1].decode("utf-8", "replace"))
    return _Member(f"{frame.path}.{key}" if frame.path else key, token.start(), depth)


def _end_value(frame: _Frame | None, end: int) -> None:
    if frame is not None and frame.member is not None:
        frame.member.end = end
