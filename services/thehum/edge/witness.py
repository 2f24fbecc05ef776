"""Signs for the heads of other logs, and keeps what others sign for ours.

To sign for a head: decide, have the log say that we hold it, wait until that is durable, put the
head into its file, sign. What a crash leaves is behind the log, never ahead of it; who asked asks
again. Without its folder everything is read from the log again, a page at a time, and until that
is done nothing is signed.
"""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from nest.private import read_private, replace_private
from thehum.core import names
from thehum.core.cosigned import Cosigned, dump_cosigned, newer, read_cosigned, witness_name
from thehum.core.notes import BadNote
from thehum.core.pages import PageLimits
from thehum.core.witness import Conflict, Head, Unproven, cosignature
from thehum.core.witnessing import (
    Asked,
    Record,
    Sign,
    Witnessed,
    dump_conflict,
    dump_head,
    dump_keys,
    read_asked,
    read_record,
)
from thehum.edge.disk import make_folder, sync_folder, told_apart
from thehum.edge.log import Log
from thehum.errors import DiskFull
from thrum.canonical import dumps
from thrum.chi import Chi
from thrum.errors import Qualifier
from thrum.tones import Body, Tone

RECORD_KEYS = ("origin", "size", "root", "note", "conflict", "pubkey", "keys")
COSIGNED_MAX = 64
"""Witnesses whose signature below our checkpoint is kept."""
_NEEDLE = b',"chi":' + dumps(Chi.WITNESSED) + b',"prev_hash":"'

log = logging.getLogger(__name__)

Say = Callable[[Tone], int]
"""Hands a tone to humd; its link number, 0 when it is never logged."""


class Witness:
    """See the module. `say` is for what the log has to say, and for answers."""

    def __init__(self, opened: Log, root: Path, *, say: Say) -> None:
        self._log, self._root, self._say = opened, root, say
        self._folder = root / names.WITNESSED_DIR
        self._witnessed = Witnessed(opened.author)
        self._waiting: dict[int, tuple[Tone, Head, bytes]] = {}
        """By link number: who waits for a head to be recorded."""
        self._scan_from = 0
        """The next event to look at while the folder is made anew; 0 when that is done."""
        self._cosigned: dict[str, int] = {}
        """By witness, how many events it signed for."""
        self._load_cosigned()
        self._records: dict[str, Body] = {}
        """What was read from the log, until it is in files."""
        if self._folder.is_dir():
            self._load()
        elif opened.read_only is not None:
            pass
        elif opened.head.seq:
            self._scan_from = opened.first_seq
        else:
            self._scan_from = 1  # there is nothing to find, and room for the folder may be lacking

    @property
    def conflicts(self) -> int:
        """How many logs were caught with two histories."""
        return len(self._witnessed.conflicts)

    @property
    def held(self) -> int:
        """Of how many logs we hold a head."""
        return len(self._witnessed.held)

    # --- signing for others

    def cosign(self, tone: Tone, *, at_seconds: int) -> None:
        """Answer a request to sign for a head, now or once the head is recorded."""
        if self._log.read_only is not None or self._scan_from:
            reason = self._log.read_only or "the heads that we hold are being read; try again"
            self._decline(tone, Qualifier.LOG_UNAVAILABLE, reason)
            return
        try:
            asked = read_asked(tone.body)
            verdict = self._witnessed.ask(asked)
        except BadNote as problem:
            self._decline(tone, Qualifier.TONE_MALFORMED, problem.message)
            return
        if isinstance(verdict, Record):
            number = self._record(dump_head(asked.head, asked.public))
            self._waiting[number] = (tone, asked.head, asked.public)
        elif isinstance(verdict, Sign):
            self._sign(tone, verdict.head, at_seconds)
        elif isinstance(verdict, Conflict):
            self._accuse(tone, verdict, asked)
        elif isinstance(verdict, Unproven):
            self._answer(tone, {"size": verdict.size, "reason": verdict.reason})
        else:
            self._decline(tone, Qualifier.QUEUE_OVERFLOW, verdict.reason)

    def settled(self, upto: int, *, at_seconds: int) -> None:
        """Everything that was said up to this link number is in the log."""
        for number in [number for number in self._waiting if number <= upto]:
            tone, head, public = self._waiting.pop(number)
            if head.checkpoint.author in self._witnessed.conflicts:
                self._decline(tone, Qualifier.AUTH_DENIED, "that log has two histories")
                continue
            self._witnessed.recorded(head)
            try:
                self._write(head.checkpoint.author, dump_head(head, public))
            except DiskFull as problem:  # the log has it; who asks again gets a signature
                self._decline(tone, Qualifier.LOG_UNAVAILABLE, problem.message)
            else:
                self._sign(tone, head, at_seconds)

    def _sign(self, tone: Tone, head: Head, at_seconds: int) -> None:
        name = witness_name(self._log.author)
        line = cosignature(head, self._log.key, name=name, at_seconds=at_seconds)
        checkpoint = head.checkpoint
        body: Body = {
            "origin": checkpoint.origin,
            "size": checkpoint.size,
            "note": head.note,
            "cosignature": line,
            "witness": self._log.author,
            **dump_keys(self._log.public, self._log.keys),
        }
        self._answer(tone, body)

    def _accuse(self, tone: Tone, conflict: Conflict, asked: Asked) -> None:
        """Keep two heads that contradict each other, for ever, and show both."""
        author = conflict.first.checkpoint.author
        body = dump_conflict(conflict, asked.public)
        if not (self._folder / names.record_name(author, is_conflict=True)).exists():
            log.error("log.two_histories", extra={"author": author})
            self._write(author, body, is_conflict=True)
            self._record(body)
        self._answer(tone, {**body, "qualifier": str(Qualifier.AUTH_DENIED)})

    def _record(self, body: Body) -> int:
        return self._say(Tone(chi=Chi.WITNESSED, body=body))

    # --- what others sign for us

    def adopt(self, tone: Tone) -> None:
        """Keep a signature below a checkpoint of ours, if it is one and newer than what we have."""
        try:
            cosigned = self._cosigned_in(tone.body)
            kept = self._keep(cosigned)
        except BadNote as problem:
            self._decline(tone, Qualifier.TONE_MALFORMED, problem.message)
            return
        self._answer(tone, {"witness": kept.witness, "size": kept.size})

    def cosigned(self, size: int) -> str | None:
        """A witness who signed for at least `size` events; None when there is none."""
        signed = (witness for witness, events in self._cosigned.items() if events >= size)
        return next(signed, None)

    def _cosigned_in(self, body: Body) -> Cosigned:
        keys = self._log.keys
        return read_cosigned(body, public=keys.first, later=keys.events)

    def _load_cosigned(self) -> None:
        folder = self._root / names.COSIGNED_DIR
        for name in filter(names.is_record, os.listdir(folder) if folder.is_dir() else ()):
            try:
                body = orjson.loads(read_private(folder / name))
                found = self._cosigned_in(body)
            except (BadNote, orjson.JSONDecodeError) as problem:
                log.error("log.bad_record", extra={"where": name, "reason": str(problem)})
                continue
            self._cosigned[found.witness] = found.size

    def _keep(self, cosigned: Cosigned) -> Cosigned:
        folder = self._root / names.COSIGNED_DIR
        make_folder(folder)
        path = folder / names.record_name(cosigned.witness)
        if path.exists():
            held = self._cosigned_in(orjson.loads(read_private(path)))
            if not cosigned.witness_keys.continues(held.witness_keys):
                raise BadNote(f"{cosigned.witness} names other keys than it did before")
            if newer(held, cosigned) is held:
                return held
        elif len(os.listdir(folder)) >= COSIGNED_MAX:
            raise BadNote(f"signatures of {COSIGNED_MAX} witnesses are kept already")
        with told_apart(f"writing {path}"):
            replace_private(path, dumps(dump_cosigned(cosigned)) + b"\n")
        self._cosigned[cosigned.witness] = cosigned.size
        return cosigned

    # --- files

    def advance(self, *, is_idle: bool) -> bool:
        """Read another page of the log for heads that we held; whether there is more of it."""
        if not self._scan_from or not is_idle:
            return self._scan_from > 0
        page = self._log.page(self._scan_from, PageLimits.bulk())
        for line in page.lines:
            if _NEEDLE in line:
                self._found(orjson.loads(line))
        is_over = page.next_seq <= self._scan_from or page.next_seq > self._log.head.seq
        self._scan_from = 0 if is_over else page.next_seq
        if is_over:
            self._begin()
            for author, body in self._records.items():
                self._write(author, body, is_conflict="conflict" in body)
            self._records.clear()
        return not is_over

    def _found(self, event: dict[str, Any]) -> None:
        """What an event says of a head; only what this humd itself says counts."""
        body = event["body"]
        if event["chi"] != Chi.WITNESSED or body.get("@via", {}).get("client") is not None:
            return
        author = self._take(body, where=f"event {event['seq']}")
        if author is not None and "conflict" not in self._records.get(author, {}):
            self._records[author] = {key: body[key] for key in RECORD_KEYS if key in body}

    def _take(self, body: dict[str, Any], *, where: str) -> str | None:
        """Hold what a record says; the author it is about, None when it says nothing."""
        try:
            record = read_record(body)
        except BadNote as problem:
            log.error("log.bad_record", extra={"where": where, "reason": problem.message})
            return None
        if isinstance(record, Conflict):
            author = record.first.checkpoint.author
            self._witnessed.caught(author, record)
            return author
        self._witnessed.recorded(record)
        return record.checkpoint.author

    def _load(self) -> None:
        for name in sorted(os.listdir(self._folder)):
            if names.is_record(name):
                try:
                    body = orjson.loads(read_private(self._folder / name))
                except orjson.JSONDecodeError:
                    body = {}
                self._take(body, where=name)

    def _begin(self) -> None:
        make_folder(self._folder)
        sync_folder(self._root)

    def _write(self, author: str, body: Body, *, is_conflict: bool = False) -> None:
        path = self._folder / names.record_name(author, is_conflict=is_conflict)
        with told_apart(f"writing {path}"):
            replace_private(path, dumps(body) + b"\n")

    # --- answering

    def _answer(self, tone: Tone, body: Body) -> None:
        self._say(Tone(chi=tone.chi, rid=tone.rid, to=tone.sender, body={"answer": True, **body}))

    def _decline(self, tone: Tone, qualifier: Qualifier, message: str) -> None:
        self._answer(tone, {"qualifier": str(qualifier), "message": message})
