"""The private keys of the log: the one that signs, the next one, and the one after that.

Nobody but thehum reads these files. A change of key goes so, each step durable before the next:

1. the seed of the key after the next is in `humd.following.key`;
2. the event `key-rotate` is in the log, signed by the old key and by the next one;
3. the event is in `keys.ndjson`;
4. `humd.next.key` takes the name `humd.key`, and the old key is gone;
5. `humd.following.key` takes the name `humd.next.key`.

The log alone says which key signs, so a start after a crash at any step finds that out and does the
steps that are left. Before 2 nothing has changed; from 2 on every file that is needed is there.
"""

import logging
import os
import secrets
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson

from nest.identity import SEED_BYTES, Identity, load_identity, load_or_mint_identity
from nest.paths import Paths, ensure_private
from nest.private import mint_private, read_private, replace_private
from thehum.core import names
from thehum.core.bodies import VIA, draft
from thehum.core.keys import (
    BadKeyEvent,
    KeyChain,
    commit_body,
    hash_of_key,
    is_key_line,
    read_chain,
    rotate_body,
)
from thehum.core.recovery import whole_lines
from thehum.core.sealed import unpack
from thehum.edge.directory import AUTHOR, segments_in
from thehum.edge.disk import sync_folder, told_apart
from thehum.edge.log import Log
from thehum.edge.sealed import read_segment
from thehum.errors import DiskFull, KeyNotHere, WriteFailed
from thrum.chi import Chi
from thrum.errors import SettingsRefused
from thrum.ids import HUMID_RANDOM_BYTES, Hid, hid_of, mint_humid
from thrum.keys import SigningKey

KEYS_BYTES_MAX = 64 * 1024 * 1024
"""Of `keys.ndjson`."""
PREFIX = "humd"

log = logging.getLogger(__name__)


class Keyring:
    """See the module. `settle` it with the log that was opened with `identity` and `chain`."""

    def __init__(self, paths: Paths) -> None:
        """Read or mint the keys. Raises `SettingsRefused` for files that cannot be used."""
        self._paths = paths
        self._file = paths.thehum / names.KEYS
        self.key = load_or_mint_identity(paths.humd_key, prefix=PREFIX).key
        """The key in `humd.key`."""
        self._is_written = False
        """Whether `keys.ndjson` says what `chain` does."""
        self._is_known = False
        """Whether all events about keys are known, as they are unless many have gone."""
        self.chain = self._known()
        """The keys as far as `keys.ndjson` says."""

    @property
    def identity(self) -> Identity:
        """The log's name, and the key in `humd.key`."""
        return Identity(self._author(), self.key)

    def settle(self, opened: Log) -> None:
        """Do what is left of a change of key that the log has; then `opened` signs with its key.

        A log without a word about its next key gets one, at the next start when there is no room
        for it now. Raises `SettingsRefused` when the key that
        the log was last signed with is not here, `DiskFull`, `WriteFailed`.
        """
        if opened.read_only is not None:
            return
        current = opened.keys.public
        if opened.keys.lines != self.chain.lines or not self._is_written:
            self._write(opened.keys)
        if self.key.public != current:
            self._promote(opened)
        opened.key = self.key
        if opened.keys.next_hash is None and self._is_known:
            try:
                self._commit(opened)
            except DiskFull as problem:
                log.warning("log.next_key_not_named", extra={"reason": problem.message})
        self._keep_next(opened.keys)

    def take_over(self, opened: Log) -> None:
        """As `settle`, right behind the event that changed the key.

        Raises `WriteFailed` where it cannot be done: then end, and the next start does the rest.
        """
        try:
            self.settle(opened)
        except DiskFull as problem:
            raise WriteFailed(problem.message, hint=problem.hint) from problem

    # --- changing the key

    def prepare(self, opened: Log) -> dict[str, Any]:
        """The body of the event by which the next key takes over; nothing has changed yet.

        Raises `KeyNotHere` when the seed of the next key is kept elsewhere.
        """
        following = self._mint(self._paths.humd_following_key)
        return rotate_body(opened.author, self.key.public, self._next(opened), following.public)

    def require_ours(self, opened: Log, body: Mapping[str, Any]) -> None:
        """Raise `BadKeyEvent` unless the body is what `prepare` made and the files are here."""
        following = _load(self._paths.humd_following_key)
        if following is None or body.get("next") != hash_of_key(following.public):
            raise BadKeyEvent("not a change of key that was asked for here")
        made = rotate_body(opened.author, self.key.public, self._next(opened), following.public)
        if {key: body.get(key) for key in made} != made:
            raise BadKeyEvent("not a change of key that was asked for here")

    def rotate(self, opened: Log) -> int:
        """Change the key of a log that nobody else writes to; the seq of the event."""
        self._append(opened, Chi.KEY_ROTATE, self.prepare(opened))
        self.take_over(opened)
        return opened.head.seq

    def _next(self, opened: Log) -> SigningKey:
        found = _load(self._paths.humd_next_key)
        if found is None or hash_of_key(found.public) != opened.keys.next_hash:
            raise KeyNotHere(
                f"the next key is not in {self._paths.humd_next_key}",
                hint="bring back the file that was there before; the log says which key comes next",
            )
        return found

    def _promote(self, opened: Log) -> None:
        following = _load(self._paths.humd_next_key)
        if following is None or following.public != opened.keys.public:
            raise SettingsRefused(
                f"{opened.author} is signed with another key than the one in "
                f"{self._paths.humd_key}",
                hint="bring back the humd.key of that log, or begin anew: "
                f"mv {self._paths.thehum} {self._paths.thehum}.old",
            )
        with told_apart(f"writing {self._paths.humd_key}"):
            os.replace(self._paths.humd_next_key, self._paths.humd_key)
        sync_folder(self._paths.humd_key.parent)
        self.key = following
        log.warning("log.key_changed", extra={"public": following.public.hex()})

    def _keep_next(self, keys: KeyChain) -> None:
        """Let the key after the next one become the next one, once the log says so."""
        following = _load(self._paths.humd_following_key)
        if following is not None and hash_of_key(following.public) == keys.next_hash:
            with told_apart(f"writing {self._paths.humd_next_key}"):
                os.replace(self._paths.humd_following_key, self._paths.humd_next_key)
            sync_folder(self._paths.humd_key.parent)

    # --- events

    def _commit(self, opened: Log) -> None:
        """Have the log say which key comes next."""
        following = self._mint(self._paths.humd_next_key)
        self._append(opened, Chi.KEY_COMMIT, orjson.loads(commit_body(self.key, following.public)))
        self._write(opened.keys)

    def _append(self, opened: Log, chi: str, body: dict[str, Any]) -> None:
        now_ms = time.time_ns() // 1_000_000
        batch = str(opened.last_batch) if opened.last_batch else None
        said = {**body, VIA: {"batch": batch, "client": None, "peer": None}}
        rid = mint_humid(now_ms, secrets.token_bytes(HUMID_RANDOM_BYTES))
        builder = opened.builder()
        text = orjson.dumps(said, option=orjson.OPT_SORT_KEYS)
        builder.add([draft(chi=chi, rid=rid, sid=None, body=text)], now_ms)
        opened.append_keys(builder.seal(), None)

    # --- files

    def _mint(self, path: Path) -> SigningKey:
        """The key in a file, which is made when it is missing."""
        with told_apart(f"writing {path}"):
            ensure_private(path.parent)
            mint_private(path, secrets.token_bytes(SEED_BYTES))
        return load_identity(path, prefix=PREFIX).key

    def _write(self, keys: KeyChain) -> None:
        with told_apart(f"writing {self._file}"):
            replace_private(self._file, "".join(f"{line}\n" for line in keys.lines).encode())
        self.chain, self._is_known, self._is_written = keys, True, True

    def _author(self) -> Hid:
        return hid_of(PREFIX, self.chain.first)

    def _known(self) -> KeyChain:
        """The keys by `keys.ndjson`, or by the log itself where that is lost."""
        first = self._first()
        try:
            lines = read_private(self._file, bytes_max=KEYS_BYTES_MAX).decode().splitlines()
            chain = read_chain(first, lines)
            self._is_known = self._is_written = True
            return chain
        except FileNotFoundError:
            pass
        except (BadKeyEvent, UnicodeDecodeError) as problem:
            log.error("log.bad_record", extra={"where": names.KEYS, "reason": str(problem)})
        firsts = segments_in(self._paths.thehum) if self._paths.thehum.is_dir() else []
        self._is_known = not firsts or firsts[0] == 1
        chain = KeyChain(first)
        for line in self._key_lines(firsts):
            try:
                chain = chain.grown(line)
            except BadKeyEvent as problem:
                log.error("log.bad_record", extra={"where": "log", "reason": problem.message})
                break
        return chain

    def _first(self) -> bytes:
        """The first key of the log: that of its folder, or ours when there is none."""
        try:
            return bytes.fromhex(orjson.loads(read_private(self._paths.thehum / AUTHOR))["pubkey"])
        except (FileNotFoundError, orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            return self.key.public

    def _key_lines(self, firsts: Iterable[int]) -> Iterable[bytes]:
        for first_seq in firsts:
            plain, _ = unpack(read_segment(self._paths.thehum, first_seq))
            if b'"key-' in plain:
                yield from filter(is_key_line, whole_lines(plain)[0])


def _load(path: Path) -> SigningKey | None:
    try:
        return load_identity(path, prefix=PREFIX).key
    except FileNotFoundError:
        return None
