"""`humfs_read`: a file, a directory or a glob, whole or by symbol, query or pattern."""

import base64
import hashlib
from collections.abc import Mapping

from humfs.core import anchors, paths, views
from humfs.core.args import ReadArgs, read_args
from humfs.core.languages import extension_of, language_of
from humfs.core.languages.language import ParseStopped
from humfs.core.memory import WHOLE, Memory
from humfs.core.symbols import Outline
from humfs.core.text import Text, decode, is_binary
from humfs.edge import files
from humfs.edge.reader import Reader
from humfs.edge.roots import Opened, Roots, refused_by_system
from humfs.edge.targets import Resolved, resolve
from humfs.edge.walks import Target
from humfs.edge.watch import Watch
from humfs.errors import Code, Refusal
from humfs.tools.hits import show_pattern
from humfs.tools.names import show_query, show_symbol
from humfs.tools.sources import SYMBOL_BYTES_MAX, Sources
from humfs.tools.tool import Call, Result
from humfs.tools.windows import lines_of, show_lines
from thrum.tones import Body

COUNTED_BYTES_MAX = 20 * 1024 * 1024
"""Largest file whose lines a listing counts."""
LEVELS = 2
"""Directory levels told apart when there are too many files to list."""
HEAD_BYTES = 64 * 1024
"""Read of a file that is too large to be read whole, for its first lines."""

IMAGES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "bmp": "image/bmp",
    "tiff": "image/tiff",
    "ico": "image/x-icon",
}
_MAGIC = (
    (b"\x7fELF", "application/x-elf"),
    (b"%PDF", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b", "application/gzip"),
    (b"SQLite format 3\0", "application/vnd.sqlite3"),
    (b"\x89PNG", "image/png"),
    (b"\0asm", "application/wasm"),
)

DESCRIPTION = """\
Read code and text files by structure. Prefer this over any built-in file reading or searching.

file_path alone:
- a file: its outline (kinds, names, signatures, line ranges) and, if short enough, all its lines
- a directory or a glob (`*`, `?`, `**`, `{a,b}`): its files with sizes and line counts, or totals

Add at most one of these; they also work on directories and globs, over all their files:
- symbol: exact path as in the outline: "App.run", "name#2", "imports"; in Markdown, JSON, YAML,
  TOML, INI and env files an anchor: "## Setup", "server.port". Go inside with body, when,
  otherwise, loop, try, return, call: "work.loop#2.body". Shows the full source of that place only.
  In a file of any size also lines: "L120-L160"
- query: fuzzy search over symbol names, best first, with source
- pattern: RE2 regular expression over content, line by line; each hit names its enclosing symbol

There is no offset or limit: of a long file read the outline, then ask for the symbols you need.
Answers are bounded and say what they left out."""

INPUT_SCHEMA: Mapping[str, object] = {
    "type": "object",
    "properties": {
        "file_path": {
            "type": "string",
            "description": "File, directory or glob; relative to the session's directory.",
        },
        "symbol": {"type": "string", "description": "Exact symbol path or anchor."},
        "query": {"type": "string", "description": "Fuzzy match on symbol names."},
        "pattern": {"type": "string", "description": "RE2 regular expression; (?i) ignores case."},
    },
    "required": ["file_path"],
}


class Read:
    """The tool. Reads only, and remembers what it showed to whom."""

    name = "humfs_read"
    description = DESCRIPTION
    input_schema = INPUT_SCHEMA

    def __init__(
        self,
        roots: Roots,
        memory: Memory | None = None,
        *,
        output_chars_max: int = views.OUTPUT_CHARS_MAX,
    ) -> None:
        self.roots = roots
        self.memory = memory if memory is not None else Memory()
        self.output_chars_max = output_chars_max

    def run(self, call: Call, watch: Watch) -> Result:
        """See `Tool.run`."""
        args = read_args(call.args)
        is_search = bool(args.symbol or args.query or args.pattern)
        resolved = resolve(
            self.roots, args.file_path, call.cwd, watch=watch, with_sizes=not is_search
        )
        page, metadata = self._answer(args, resolved, call.sid, watch, is_search=is_search)
        if args.ignored:
            metadata["ignoredArgs"] = list(args.ignored)
        metadata["truncated"] = page.truncated
        return Result(output=page.text(), title=views.clean_name(args.title), metadata=metadata)

    def _answer(
        self,
        args: ReadArgs,
        resolved: Resolved,
        sid: str | None,
        watch: Watch,
        *,
        is_search: bool,
    ) -> tuple[views.Page, Body]:
        if not is_search:
            if resolved.is_single:
                return self._file(resolved.targets[0], sid, watch)
            return self._files(resolved, watch)
        with Reader(self.roots) as reader:
            sources = Sources(self.roots, reader, resolved, watch)
            answer = _searched(sources, args, cap=self.output_chars_max)
        for target, key, content in sources.shown:
            self.memory.showed(sid, target.place.path, key, content)
        return answer

    def _file(self, target: Target, sid: str | None, watch: Watch) -> tuple[views.Page, Body]:
        try:
            with self.roots.open_place(target.place) as opened:
                page, metadata = self._view(target, opened, sid, watch)
        except OSError as trouble:
            raise refused_by_system(target.path, trouble) from trouble
        if metadata["sha256"] is not None:
            digest = bytes.fromhex(str(metadata["sha256"]))
            self.memory.showed_digest(sid, target.place.path, WHOLE, digest)
        else:
            page.note("[out of time before its end: no SHA-256, and lines only as far as it came]")
        return page, metadata

    def _view(
        self, target: Target, opened: Opened, sid: str | None, watch: Watch
    ) -> tuple[views.Page, Body]:
        size = opened.status.st_size
        head = files.read_head(opened, HEAD_BYTES)
        mime = IMAGES.get(extension_of(target.path))
        metadata: Body = {"path": views.clean_name(target.place.path), "bytes": size}
        if mime is not None or is_binary(head):
            metadata |= {"sha256": files.digest(opened, watch)[0]}
            return self._binary(target, opened, head, mime=mime, metadata=metadata)
        if size > SYMBOL_BYTES_MAX:
            digest, lines = files.digest(opened, watch)
            text = decode(head[: head.rfind(b"\n") + 1] or head)
            facts = views.FileFacts(path=target.path, size=size, lines=lines)
            page = views.file_view(facts, text, cap=self.output_chars_max)
            page.note(f"[over {SYMBOL_BYTES_MAX} bytes: not parsed]")
            return page, metadata | {"sha256": digest, "lines": lines}
        content = files.read_whole(opened, bytes_max=2 * SYMBOL_BYTES_MAX)
        metadata |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        return self._text(target, content, sid, watch, metadata=metadata)

    def _text(
        self, target: Target, content: bytes, sid: str | None, watch: Watch, *, metadata: Body
    ) -> tuple[views.Page, Body]:
        text = decode(content)
        facts = views.FileFacts(path=target.path, size=len(content), lines=text.lines)
        metadata |= {"lines": text.lines}
        language = language_of(target.path, text.source)
        if language is not None:
            try:
                outline = language.outline(text.source, watch.wants_stop)
            except ParseStopped:
                watch.check()
                raise Refusal(Code.TIMEOUT, f"{target.path} takes too long to parse.") from None
            metadata |= {"language": language.name, "symbols": sum(1 for _ in outline)}
            page = views.file_view(facts, text, outline=outline, cap=self.output_chars_max)
            if not page.truncated:
                self._showed_all(sid, target, text, outline)
            return page, metadata
        found = anchors.anchors_of(target.path, text)
        if found:
            metadata |= {"anchors": len(found)}
        kind = anchors.format_of(target.path)
        page = views.file_view(facts, text, anchors=found, kind=kind, cap=self.output_chars_max)
        if not page.truncated:
            for one in found:
                shown = text.source[one.span.start : one.span.end]
                self.memory.showed(sid, target.place.path, one.label, shown)
        return page, metadata

    def _showed_all(self, sid: str | None, target: Target, text: Text, outline: Outline) -> None:
        """All lines of a file were shown: so was each of its symbols."""
        for one in outline:
            shown = text.source[one.full.start : one.full.end]
            self.memory.showed(sid, target.place.path, one.address, shown)

    def _binary(
        self, target: Target, opened: Opened, head: bytes, *, mime: str | None, metadata: Body
    ) -> tuple[views.Page, Body]:
        size = opened.status.st_size
        page = views.Page(self.output_chars_max)
        if mime is not None:
            line = f"[image:{mime}, {size} bytes]"
            page.add(line)
            encoded = base64.b64encode(head).decode() if size <= len(head) else ""
            if encoded and page.fits(encoded):
                page.add(encoded)
            page.truncated = len(page.parts) == 1
            return page, metadata | {"mime": mime}
        mime = next(
            (kind for magic, kind in _MAGIC if head.startswith(magic)), "application/octet-stream"
        )
        facts = views.FileFacts(path=target.path, size=size, lines=0)
        page.add(views.binary_view(facts, head, mime=mime))
        page.truncated = size > views.HEX_BYTES
        return page, metadata | {"binary": True, "mime": mime}

    def _files(self, resolved: Resolved, watch: Watch) -> tuple[views.Page, Body]:
        targets, stopped = resolved.targets, resolved.found.stopped
        metadata: Body = {"targets": len(targets)}
        if len(targets) > views.LISTED_FILES_MAX:
            counts = _totals(targets, below=resolved.base)
            page = views.totals(
                counts, files=len(targets), stopped=stopped, cap=self.output_chars_max
            )
            return page, metadata
        listed = [
            views.Listed(target.path, target.size, self._lines(target, watch)) for target in targets
        ]
        return views.listing(listed, stopped=stopped, cap=self.output_chars_max), metadata

    def _lines(self, target: Target, watch: Watch) -> int | None:
        if target.size > COUNTED_BYTES_MAX or watch.is_over:
            return None
        try:
            with self.roots.open_place(target.place) as opened:
                digest, lines = files.digest(opened, watch)
                return lines if digest is not None else None
        except OSError:
            return None


def _searched(sources: Sources, args: ReadArgs, *, cap: int) -> tuple[views.Page, Body]:
    lines = lines_of(args.symbol)
    if lines is not None:
        return show_lines(sources, *lines, cap=cap)
    if args.symbol:
        return show_symbol(sources, args.symbol, cap=cap)
    if args.query:
        return show_query(sources, args.query, cap=cap)
    return show_pattern(sources, args.pattern, cap=cap)


def _totals(targets: list[Target], *, below: str) -> dict[str, tuple[int, int]]:
    """Files and bytes of each directory, two levels deep."""
    counts: dict[str, tuple[int, int]] = {}
    for target in targets:
        names = paths.components(target.path[len(below) :])[:-1]
        directory = "/".join([below, *names[:LEVELS]] if below else names[:LEVELS]) or "."
        files_so_far, bytes_so_far = counts.get(directory, (0, 0))
        counts[directory] = (files_so_far + 1, bytes_so_far + target.size)
    return counts
