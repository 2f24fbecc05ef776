"""`humfs_do_noncode`: edit text and configuration by word, phrase, sentence or paragraph."""

from collections.abc import Mapping
from dataclasses import dataclass

from humfs.core import anchors, scopes, views
from humfs.core.anchors import Anchor
from humfs.core.edit_args import Operation, TextArgs, text_args
from humfs.core.edits import report
from humfs.core.edits.code import no_change
from humfs.core.languages import is_code
from humfs.core.memory import WHOLE
from humfs.core.scopes import Drafted, Found
from humfs.core.text import Encoding, Span, Text
from humfs.edge.watch import Watch
from humfs.edge.writes import Held
from humfs.errors import Code, Refusal
from humfs.tools.changes import Changes, answer, rewritten, sha256, to_bytes
from humfs.tools.tool import Call, Result
from thrum.tones import Body

BYTES_MAX = 20 * 1024 * 1024
"""Largest file that is edited by scope."""
WANTED_CHARS_MAX = 80
"""Of the text looked for, as answers repeat it."""

DESCRIPTION = """\
Edit files that are not code (JSON, YAML, TOML, INI, env, Markdown, any text) by scope. Comments,
quotes, order and blank lines outside the place stay as they are; a result that is not well-formed
any more is refused. Prefer this over any built-in editing of such files.

Give at most one scope with the text to look for, and replace; without replace the place is deleted:
- word: the text where no neighbour continues the word
- phrase: a name the format knows, else exact text. JSON and YAML: the value at a path of keys,
  "server.port", "tags[1]". TOML and INI: "[server]" for the lines of a section, "server.port" for a
  value. env: a name. Markdown: a heading as written, "## Setup", for the text below it, or for the
  heading when replace begins with one of that level
- sentence: the smallest unit with the text: JSON member, YAML line with what is below, TOML or INI
  entry, line, list item; in plain text the block
- paragraph: the block with the text: JSON object or array, YAML key with its block, section with
  its header, block between blank lines

With several matches the first is edited; "text#2" asks for the second. Without a scope, replace
becomes the whole file. operation move (to new_path, where nothing is yet) and remove take the
whole file."""

INPUT_SCHEMA: Mapping[str, object] = {
    "type": "object",
    "properties": {
        "file_path": {
            "type": "string",
            "description": "File that is not code; relative to the session's directory.",
        },
        "word": {"type": "string", "description": "A whole word to edit."},
        "phrase": {"type": "string", "description": "A structural name, or exact text."},
        "sentence": {"type": "string", "description": "Text inside the smallest unit to edit."},
        "paragraph": {"type": "string", "description": "Text inside the block to edit."},
        "replace": {
            "type": "string",
            "description": "The new text; left out or empty, the place is deleted.",
        },
        "operation": {
            "type": "string",
            "enum": ["replace", "move", "remove"],
            "description": "replace when left out.",
        },
        "new_path": {"type": "string", "description": "Where move puts the file."},
    },
    "required": ["file_path"],
}


@dataclass(frozen=True, slots=True)
class _Edit:
    """One edit by scope, on its way."""

    args: TextArgs
    held: Held
    content: bytes
    text: Text
    found: Found
    drafted: Drafted


class DoNoncode:
    """The tool."""

    name = "humfs_do_noncode"
    description = DESCRIPTION
    input_schema = INPUT_SCHEMA

    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    def run(self, call: Call, watch: Watch) -> Result:
        """See `Tool.run`."""
        args = text_args(call.args)
        place = self._changes.roots.writable(args.file_path, call.cwd)
        self._changes.require_unleased(call, args.file_path, place.path)
        if args.new_path:
            target = self._changes.roots.writable(args.new_path, call.cwd).path
            self._changes.require_unleased(call, args.new_path, target)
        for path in (place.path, *([args.new_path] if args.new_path else [])):
            if is_code(path):
                raise Refusal(
                    Code.WRONG_TOOL,
                    f"{path} is a code file; nothing was written.",
                    hint="Use humfs_do_code.",
                )
        if not place.exists and args.operation is Operation.REPLACE and not args.scope:
            return self._create(args, call)
        with self._changes.writer.held(args.file_path, call.cwd, watch) as held:
            if args.operation is Operation.MOVE:
                return self._changes.move(call, held, args.new_path)
            if args.operation is Operation.REMOVE:
                return self._changes.remove(call, held, watch)
            content, text = self._changes.content(held, bytes_max=BYTES_MAX)
            if not args.scope:
                return self._overwrite(args, call, held, content, text)
            return self._scoped(args, call, held, content, text)

    def _scoped(self, args: TextArgs, call: Call, held: Held, content: bytes, text: Text) -> Result:
        to_bytes(args.replace, text)
        path = held.place.path
        found = scopes.find(scopes.scopes_of(path, text), text, args.scope, args.wanted)
        key, span = _known(path, text, args, found)
        self._changes.require_fresh(call, held, key, text, span)
        drafted = scopes.draft(path, text, found, args.replace.encode())
        if drafted.source == text.source:
            raise no_change(args.file_path)
        new = text.encoded(drafted.source)
        self._changes.write(call, held, key, content, new)
        self._remember(call, path, key, Text(drafted.source, text.encoding))
        return _answer(_Edit(args, held, content, text, found, drafted), new)

    def _remember(self, call: Call, path: str, key: str, text: Text) -> None:
        """The session knows the anchor it wrote."""
        for one in anchors.anchors_of(path, text):
            if one.label == key:
                written = text.source[one.span.start : one.span.end]
                self._changes.memory.showed(call.sid, path, key, written)

    def _create(self, args: TextArgs, call: Call) -> Result:
        source = args.replace.encode()
        text = Text(source, Encoding.UTF8)
        fault = scopes.scopes_of(args.file_path, text).fault()
        kind = anchors.format_of(args.file_path)
        notes = (f"this is not well-formed {kind}: {fault}",) if fault else ()
        place = self._changes.create(call, args.file_path, source)
        return answer(
            f"Created {args.file_path} ({len(source)} bytes)",
            notes=notes,
            title=args.file_path,
            metadata=_metadata(args, place.path, source) | {"existed": False},
        )

    def _overwrite(
        self, args: TextArgs, call: Call, held: Held, content: bytes, text: Text
    ) -> Result:
        self._changes.require_fresh_file(call, held, content, text)
        path = held.place.path
        source, notes = rewritten(args.replace, text)
        after = Text(source, text.encoding)
        fault = scopes.scopes_of(path, after).fault()
        if fault and not scopes.scopes_of(path, text).fault():
            raise scopes.corrupt(path, fault)
        notes = (*notes, scopes.unchecked(path)) if fault else notes
        if source == text.source:
            raise no_change(args.file_path)
        new = text.encoded(source)
        self._changes.write(call, held, WHOLE, content, new)
        return answer(
            f"Overwrote {args.file_path} ({len(new)} bytes)",
            diff=report.diff(text, after, report.line_change(text.source, source)),
            notes=notes,
            title=args.file_path,
            metadata=_metadata(args, path, new) | {"existed": True},
        )


def _known(path: str, text: Text, args: TextArgs, found: Found) -> tuple[str, Span]:
    """By what a session knows a place: the anchor it is, else what was looked for."""
    anchor = _anchor(path, text, args, found)
    if anchor is not None:
        return anchor.label, anchor.span
    wanted = f"{args.scope}:{args.wanted}".replace(".", "\0")
    return wanted, found.unit.span


def _anchor(path: str, text: Text, args: TextArgs, found: Found) -> Anchor | None:
    if args.scope != "phrase":
        return None
    for one in anchors.find(anchors.anchors_of(path, text), found.wanted):
        unit = found.unit.span
        if one.span.start <= unit.start and unit.end <= max(one.span.end + 2, unit.start):
            return one
    return None


def _answer(edit: _Edit, new: bytes) -> Result:
    args, found, unit = edit.args, edit.found, edit.found.unit
    wanted = views.clean_name(args.wanted)
    wanted = wanted if len(wanted) <= WANTED_CHARS_MAX else wanted[:WANTED_CHARS_MAX] + "…"
    verb, where = ("Replaced", "in") if args.replace else ("Deleted", "from")
    noun = "" if unit.noun in ("text", args.scope) else f" ({unit.noun})"
    first = f"{verb} {args.scope} '{wanted}'{noun} {where} {args.file_path} ({len(new)} bytes)"
    notes = edit.drafted.notes
    if found.matches > 1 and not found.is_numbered:
        more = f"{found.matches} matches: the first was edited; "
        notes = (f"{more}'{wanted}#N' asks for the N-th", *notes)
    after = Text(edit.drafted.source, edit.text.encoding)
    metadata = _metadata(args, edit.held.place.path, new)
    return answer(
        first,
        diff=report.diff(edit.text, after, edit.drafted.change),
        notes=notes,
        title=args.file_path,
        metadata=metadata | {"scope": args.scope, "matches": found.matches},
    )


def _metadata(args: TextArgs, path: str, content: bytes) -> Body:
    metadata: Body = {
        "path": views.clean_name(path),
        "format": anchors.format_of(path),
        "size": len(content),
        "sha256": sha256(content),
    }
    if args.ignored:
        metadata["ignoredArgs"] = list(args.ignored)
    return metadata
