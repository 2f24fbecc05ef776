"""The files of one search: read one after the other, until the time is over."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from humfs.core import views
from humfs.core.languages import is_parsed, language_of
from humfs.core.languages.language import Language, ParseStopped
from humfs.core.symbols import Outline
from humfs.core.text import Text, decode, is_binary
from humfs.edge import copies, files
from humfs.edge.copies import Said, processors
from humfs.edge.reader import Reader
from humfs.edge.roots import Roots, refused_by_system
from humfs.edge.targets import Resolved
from humfs.edge.walks import Target
from humfs.edge.watch import Watch
from humfs.errors import Code, Refusal
from thrum.tones import Body

SYMBOL_BYTES_MAX = 5 * 1024 * 1024
"""Largest file that is parsed, or read for anchors."""
FILES_PER_QUESTION = 8
"""Files read between two questions whether the time is over."""
SHARED_FILES_MIN = 500
"""Fewer are not worth a copy of this process."""
PARTS = 8
"""Of shared work, for each processor: some files take much longer than others."""


class Binary(Exception):
    """A file has no text."""


@dataclass(slots=True)
class Sources:
    """What a search reads, and what it had to leave out."""

    roots: Roots
    reader: Reader
    resolved: Resolved
    watch: Watch
    skipped: set[str] = field(default_factory=set)
    """Binary, unreadable or too large files."""
    out_of_time: str = ""
    left: int = 0
    """Files left when the time was over."""
    shown: list[tuple[Target, str, bytes]] = field(default_factory=list)
    """What the answer shows in full: a file, the path of a place in it, and its bytes."""

    @property
    def targets(self) -> list[Target]:
        """The files."""
        return self.resolved.targets

    @property
    def stopped(self) -> str:
        """Why the search is not complete; empty when it is."""
        return self.out_of_time or self.resolved.found.stopped

    def each(self, part: range | None = None) -> Iterator[int]:
        """The positions of the files, or of a part of them, until the time is over."""
        positions = range(len(self.targets)) if part is None else part
        for number, at in enumerate(positions):
            if number % FILES_PER_QUESTION == 0 and self.watch.is_over:
                self.ran_out(len(positions) - number)
                return
            yield at

    def ran_out(self, left: int) -> None:
        """Note that the time was over with so many files left."""
        self.left += left
        self.out_of_time = f"[incomplete: out of time with {self.left} file(s) left]"

    def require_text(self, what: str, argument: str) -> None:
        """Raise `Refusal` when `what` was not found in one file because that has no text."""
        if self.resolved.is_single and self.skipped:
            raise Refusal(
                Code.SYMBOL_NOT_FOUND,
                views.clean(f"{what} was not found: the file is binary, so it has none."),
                hint=f'Read the file without "{argument}" for its first bytes.',
            )

    def shared(self, positions: range, work: Callable[["Sources", range], Said]) -> list[Said]:
        """What `work` brings for the parts of some positions, by several processes if many.

        Each works with sources of its own; what they had to leave out is noted here.
        """
        every = processors() if len(positions) >= SHARED_FILES_MIN else 1
        count = every * PARTS if every > 1 else 1
        size = -(-len(positions) // count) or 1
        parts = [positions[at : at + size] for at in range(0, len(positions), size)]

        def one(part: range) -> Said:
            with Reader(self.roots) as reader:
                own = Sources(self.roots, reader, self.resolved, self.watch)
                said = work(own, part)
            return [said, list(own.skipped), own.left, own.out_of_time]

        brought = []
        for said, skipped, left, out_of_time in copies.shared(
            parts, one, keep=self.roots.handles, watch=self.watch
        ):
            brought.append(said)
            self.skipped.update(skipped)
            if left:
                self.ran_out(left)
            self.out_of_time = self.out_of_time or out_of_time
        return brought

    def is_out_of_time(self, target: Target) -> bool:
        """Whether the time is over in the middle of a file; then the answer says so."""
        if self.watch.is_over:
            self.out_of_time = f"[incomplete: out of time in {views.clean_name(target.path)}]"
        return bool(self.out_of_time)

    def text(self, target: Target) -> Text | None:
        """A file's text; None when it is binary, too large or cannot be read.

        Of a single file the latter two are refusals.
        """
        try:
            return self.decoded(target)
        except OSError as trouble:
            if self.resolved.is_single:
                raise refused_by_system(target.path, trouble) from trouble
        except Refusal:
            if self.resolved.is_single:
                raise
        except Binary:
            pass
        self.skipped.add(target.path)
        return None

    def decoded(self, target: Target) -> Text:
        """A file's text; raises `Binary`, `OSError`, or `Refusal` when it is too large."""
        content = self.reader.head(target.place)
        if is_binary(content):
            raise Binary
        if len(content) == files.BLOCK_BYTES:
            with self.roots.open_place(target.place) as opened:
                content = files.read_whole(opened, bytes_max=SYMBOL_BYTES_MAX)
        return decode(content)

    def parsed(self) -> Iterator[tuple[Target, Text, Language]]:
        """The files of a language that is parsed; `outline` parses one."""
        for at in self.each():
            target = self.targets[at]
            text = self.text(target) if is_parsed(target.path) else None
            language = language_of(target.path, text.source) if text is not None else None
            if language is not None and text is not None:
                yield target, text, language

    def outline(
        self, target: Target, text: Text, language: Language, *, words: Sequence[bytes] = ()
    ) -> Outline:
        """Parse a file; empty, and the answer says so, when the time is over in the middle of it.

        With `words` symbols that these do not lead to may be missing (see `Language.outline`).
        Raises `Refusal` when the call is cancelled, or when it is about this file alone.
        """
        try:
            return language.outline(text.source, self.watch.wants_stop, words=words)
        except ParseStopped:
            self.watch.check()
            if self.resolved.is_single:
                message = f"The search ran out of time while parsing {target.path}."
                raise Refusal(Code.TIMEOUT, message) from None
            reason = f"[incomplete: out of time in {views.clean_name(target.path)}]"
            self.out_of_time = self.out_of_time or reason
            return Outline(language.name)

    def end(self, page: views.Page, hits: int) -> tuple[views.Page, Body]:
        """Say what was left out; the answer and its metadata."""
        metadata: Body = {"hits": hits, "targets": len(self.targets)}
        if self.stopped:
            page.note(self.stopped)
        if self.skipped:
            metadata["skipped"] = len(self.skipped)
            page.add(f"[{len(self.skipped)} binary, unreadable or too large file(s) skipped]")
        if self.resolved.is_single:
            metadata["path"] = views.clean_name(self.targets[0].place.path)
        return page, metadata
