"""`humfs_do_code`: edit code by symbol; every result is parsed before it is written."""

from collections.abc import Mapping, Sequence

from humfs.core import lookup, views
from humfs.core.edit_args import CodeArgs, Operation, code_args
from humfs.core.edits import code, gate, report
from humfs.core.edits.draft import CodeFile, Draft, Parse
from humfs.core.edits.importing import create_imports
from humfs.core.edits.inserting import insert
from humfs.core.edits.removing import delete
from humfs.core.languages import extension_of, is_code, language_of
from humfs.core.languages.language import Language, ParseStopped, Revision
from humfs.core.lookup import Match
from humfs.core.memory import WHOLE
from humfs.core.symbols import Outline
from humfs.core.text import Encoding, Span, Text
from humfs.edge.watch import Watch
from humfs.edge.writes import Held
from humfs.errors import Code, Refusal
from humfs.tools.changes import Changes, answer, line_range, rewritten, sha256, to_bytes
from humfs.tools.sources import SYMBOL_BYTES_MAX
from humfs.tools.tool import Call, Result
from thrum.tones import Body

CANDIDATES_MAX = 40
"""Candidates named when a path is ambiguous."""

DESCRIPTION = """\
Edit code by symbol. Every result is parsed before it is written; one with a new syntax error is
refused and the file stays as it is. Prefer this over any built-in editing of code.

operation (default replace):
- create: a new file with new_source; missing directories are made
- replace: the symbol with new_source, with its decorators and comments as humfs_read shows it;
  without symbol the whole file
- insert_before, insert_after: new_source beside the symbol, on lines of its own
- delete: the symbol
- move: the whole file to new_path, where nothing is yet; remove: the whole file

symbol is a path as in the outline of humfs_read: "App.run", "name#2", "imports"; go inside with
body, when, otherwise, loop, try, return, call: "work.loop#2.body". It must mean one place.
Indentation is fitted: give new_source as shown, or dedented."""

INPUT_SCHEMA: Mapping[str, object] = {
    "type": "object",
    "properties": {
        "file_path": {
            "type": "string",
            "description": "Code file; relative to the session's directory.",
        },
        "operation": {
            "type": "string",
            "enum": [one.value for one in Operation],
            "description": "What to do; replace when left out.",
        },
        "symbol": {"type": "string", "description": "Exact symbol path."},
        "new_source": {"type": "string", "description": "The new text."},
        "new_path": {"type": "string", "description": "Where move puts the file."},
    },
    "required": ["file_path"],
}


class DoCode:
    """The tool."""

    name = "humfs_do_code"
    description = DESCRIPTION
    input_schema = INPUT_SCHEMA

    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    def run(self, call: Call, watch: Watch) -> Result:
        """See `Tool.run`."""
        args = code_args(call.args)
        place = self._changes.roots.writable(args.file_path, call.cwd)
        self._changes.require_unleased(call, args.file_path, place.path)
        if args.new_path:
            target = self._changes.roots.writable(args.new_path, call.cwd).path
            self._changes.require_unleased(call, args.new_path, target)
        for path in (place.path, *([args.new_path] if args.new_path else [])):
            if not is_code(path):
                raise Refusal(
                    Code.WRONG_TOOL,
                    f"{path} is no code file; nothing was written.",
                    hint="Use humfs_do_noncode.",
                )
        if args.operation is Operation.CREATE:
            return self._create(args, call, watch)
        if not place.exists:
            raise Refusal(
                Code.NOT_FOUND,
                f"{args.file_path} does not exist (not found).",
                hint='Make it with "operation": "create".',
            )
        with self._changes.writer.held(args.file_path, call.cwd, watch) as held:
            return self._existing(args, call, watch, held)

    def _existing(self, args: CodeArgs, call: Call, watch: Watch, held: Held) -> Result:
        if args.operation is Operation.MOVE:
            return self._move(args, call, watch, held)
        if args.operation is Operation.REMOVE:
            return self._changes.remove(call, held, watch)
        content, text = self._changes.content(held, bytes_max=SYMBOL_BYTES_MAX)
        language = language_of(held.place.path, text.source)
        if not args.symbol:
            return self._rewrite(args, call, watch, held, content, text, language)
        if language is None:
            raise Refusal(
                Code.WRONG_TOOL,
                f"{args.file_path} is code that is not parsed here: it has no symbols.",
                hint="Replace the whole file: leave symbol out.",
            )
        parse = _parser(args.file_path, language, watch)
        outline = parse(text.source, words=lookup.words_of(args.symbol))
        file = CodeFile(args.file_path, text, language, outline, parse)
        return self._symbol(args, call, held, file, content)

    def _symbol(
        self, args: CodeArgs, call: Call, held: Held, file: CodeFile, content: bytes
    ) -> Result:
        matches = lookup.find(file.outline, args.symbol)
        new = to_bytes(args.new_source, file.text)
        if not matches and args.operation is not Operation.DELETE:
            made = create_imports(file, args.symbol, new)
            if made is not None:
                return self._land(args, call, held, file, content, made, None)
        match = _one(matches, args, file)
        if args.operation in (Operation.REPLACE, Operation.DELETE):
            self._changes.require_fresh(call, held, match.path, file.text, match.span)
        if args.operation is Operation.REPLACE:
            draft = code.replace(file, match, new)
        elif args.operation is Operation.DELETE:
            draft = delete(file, match)
        else:
            before = args.operation is Operation.INSERT_BEFORE
            draft = insert(file, match, new, before=before)
        return self._land(args, call, held, file, content, draft, match)

    def _land(
        self,
        args: CodeArgs,
        call: Call,
        held: Held,
        file: CodeFile,
        content: bytes,
        draft: Draft,
        match: Match | None,
    ) -> Result:
        """Check a draft, write it, remember and answer."""
        is_replaced = args.operation is Operation.REPLACE
        declares = is_replaced and match is not None and match.symbol is not None
        note = code.check(file, draft, declares=declares)
        new = file.text.encoded(draft.source)
        after = Text(draft.source, file.text.encoding)
        key = match.path if match is not None else args.symbol
        self._changes.write(call, held, key, content, new)
        is_beside = args.operation in (Operation.INSERT_BEFORE, Operation.INSERT_AFTER)
        self._remember(call, held, None if is_beside and match else key, draft)
        region = draft.region if draft.region.end > draft.region.start else draft.change.new
        metadata = _metadata(held.place.path, args, file.language.name, new)
        metadata |= {"symbol": args.symbol, "after": line_range(after, region)}
        old = match.span if match is not None else draft.change.old
        if match is not None:
            metadata |= {"before": line_range(file.text, old)}
        return answer(
            _first_line(args, file.text, old, after, region),
            diff=report.diff(file.text, after, draft.change),
            notes=(*draft.notes, *([note] if note else [])),
            title=args.file_path,
            metadata=metadata,
        )

    def _remember(self, call: Call, held: Held, key: str | None, draft: Draft) -> None:
        """The session knows what it wrote, under the paths it is found by."""
        source, path = draft.source, held.place.path
        for one in draft.symbols:
            written = source[one.full.start : one.full.end]
            self._changes.memory.showed(call.sid, path, one.address, written)
        if key is not None:
            written = source[draft.region.start : draft.region.end]
            self._changes.memory.showed(call.sid, path, key, written)

    def _create(self, args: CodeArgs, call: Call, watch: Watch) -> Result:
        source = args.new_source.encode()
        _require_small(args.file_path, source)
        language = language_of(args.file_path, source)
        text = Text(source, Encoding.UTF8)
        if language is not None:
            _require_clean(args.file_path, text, language, watch)
        place = self._changes.create(call, args.file_path, source)
        return answer(
            f"Created {args.file_path} ({len(source)} bytes)",
            title=args.file_path,
            metadata=_metadata(place.path, args, language.name if language else "", source),
        )

    def _rewrite(
        self,
        args: CodeArgs,
        call: Call,
        watch: Watch,
        held: Held,
        content: bytes,
        text: Text,
        language: Language | None,
    ) -> Result:
        """Replace a whole file; its mark and its line ends stay."""
        self._changes.require_fresh_file(call, held, content, text)
        source, notes = rewritten(args.new_source, text)
        _require_small(args.file_path, source)
        new_language = language_of(held.place.path, source)
        after = Text(source, text.encoding)
        if new_language is not None:
            note = _require_no_worse(args.file_path, text, after, new_language, watch)
            notes = (*notes, *([note] if note else []))
        if source == text.source:
            raise code.no_change(args.file_path)
        new = after.encoded(source)
        self._changes.write(call, held, WHOLE, content, new)
        return answer(
            f"Rewrote {args.file_path} ({len(new)} bytes)",
            diff=report.diff(text, after, report.line_change(text.source, source)),
            notes=notes,
            title=args.file_path,
            metadata=_metadata(held.place.path, args, language.name if language else "", new),
        )

    def _move(self, args: CodeArgs, call: Call, watch: Watch, held: Held) -> Result:
        """Move a file; one that becomes another language must be clean in that."""
        if extension_of(args.new_path) != extension_of(held.place.path):
            _, text = self._changes.content(held, bytes_max=SYMBOL_BYTES_MAX)
            language = language_of(args.new_path, text.source)
            if language is not None:
                _require_clean(args.new_path, text, language, watch)
        return self._changes.move(call, held, args.new_path)


def _parser(path: str, language: Language, watch: Watch) -> Parse:
    def parse(source: bytes, since: Revision | None = None, words: Sequence[bytes] = ()) -> Outline:
        try:
            return language.outline(source, watch.wants_stop, since=since, words=words)
        except ParseStopped:
            watch.check()
            message = f"{path} takes too long to parse; nothing was written."
            raise Refusal(Code.TIMEOUT, message) from None

    return parse


def _one(matches: list[Match], args: CodeArgs, file: CodeFile) -> Match:
    """The one place a path means; raises `Refusal` with the candidates, or with what is near."""
    if len(matches) == 1:
        return matches[0]
    if matches:
        listed = [f"{one.path} ({views.place(file.text, one.span)})" for one in matches]
        more = f"; and {len(listed) - CANDIDATES_MAX} more" if len(listed) > CANDIDATES_MAX else ""
        raise Refusal(
            Code.SYMBOL_AMBIGUOUS,
            views.clean(
                f"symbol {args.symbol!r} means {len(matches)} places in {args.file_path}: "
                f"{'; '.join(listed[:CANDIDATES_MAX])}{more}. Nothing was written."
            ),
            hint="Ask for one of them by its full path with #N.",
        )
    known = [
        (one.name, f"{one.described} ({views.place(file.text, one.full)})")
        for one in file.parse(file.source)
    ]
    first = [described for _, described in known[: lookup.NEAREST_MAX]]
    near = lookup.nearest(args.symbol, known) or first
    hint = f"Nearest: {'; '.join(near)}" if near else "The file has no symbols."
    raise Refusal(
        Code.SYMBOL_NOT_FOUND,
        views.clean(
            f"symbol {args.symbol!r} was not found in {args.file_path}; nothing was written."
        ),
        hint=views.clean(hint),
    )


def _require_small(path: str, source: bytes) -> None:
    if len(source) > SYMBOL_BYTES_MAX:
        raise Refusal(
            Code.TOO_LARGE,
            f"{path} would be larger than {SYMBOL_BYTES_MAX} bytes; nothing was written.",
            hint="Divide it into several files.",
        )


def _require_clean(path: str, text: Text, language: Language, watch: Watch) -> None:
    faults = gate.faults(_parser(path, language, watch)(text.source).trees)
    if faults:
        raise gate.refusal(faults[0], text, path)
    if language.name == "python" and (fault := gate.compiled(text.source)) is not None:
        raise gate.refusal(fault, text, path, by="the Python compiler says")


def _require_no_worse(path: str, old: Text, new: Text, language: Language, watch: Watch) -> str:
    """As `_require_clean`, unless the whole file had errors before; then a note about them."""
    parse = _parser(path, language, watch)
    faults = gate.faults(parse(new.source).trees)
    if faults:
        before = gate.faults(parse(old.source).trees)
        change = report.line_change(old.source, new.source)
        worse = gate.new_faults(before, faults, change)
        if worse:
            raise gate.refusal(worse[0], new, path)
        return f"the file had {len(before)} syntax error(s) before; it has {len(faults)} now"
    if language.name == "python" and (fault := gate.compiled(new.source)) is not None:
        if gate.compiled(old.source) is None:
            raise gate.refusal(fault, new, path, by="the Python compiler says")
        return "the file did not compile before, and it does not now"
    return ""


def _metadata(path: str, args: CodeArgs, language: str, content: bytes) -> Body:
    metadata: Body = {
        "path": views.clean_name(path),
        "operation": args.operation.value,
        "language": language,
        "bytes": len(content),
        "sha256": sha256(content),
    }
    if args.ignored:
        metadata["ignoredArgs"] = list(args.ignored)
    return metadata


def _first_line(args: CodeArgs, old: Text, was: Span, new: Text, now: Span) -> str:
    symbol, path = args.symbol, args.file_path
    before, after = "L{}-L{}".format(*report.lines_of(old, was)), views.place(new, now)
    if args.operation is Operation.REPLACE:
        return f"Replaced symbol '{symbol}' in {path} ({before} → {after})"
    if args.operation is Operation.DELETE:
        return f"Deleted symbol '{symbol}' from {path} ({before})"
    first, last = report.lines_of(new, now)
    side = "before" if args.operation is Operation.INSERT_BEFORE else "after"
    lines = "1 line" if first == last else f"{last - first + 1} lines"
    return f"Inserted {lines} {side} '{symbol}' in {path} ({after})"
