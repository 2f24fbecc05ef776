"""Who a process is on the bus: an Ed25519 seed of 32 raw bytes in a 0600 file."""

import secrets
from dataclasses import dataclass, field
from pathlib import Path

from nest.paths import ensure_private
from nest.private import mint_private, read_private, require_private
from thrum.errors import SettingsRefused
from thrum.ids import Hid, hid_of
from thrum.keys import SigningKey

SEED_BYTES = 32


@dataclass(frozen=True, slots=True)
class Identity:
    """A hid and the key that proves it."""

    hid: Hid
    key: SigningKey = field(repr=False)


def load_identity(path: Path, *, prefix: str) -> Identity:
    """Read the seed at `path` and return who it makes us; `prefix` is `humd`, `wbee` or `fbee`.

    Never mints and never changes anything. Raises `FileNotFoundError` when there is no seed,
    `SettingsRefused` when others may read it or it does not have `SEED_BYTES` bytes.
    """
    seed = read_private(path)
    if len(seed) != SEED_BYTES:
        raise _no_seed(path, len(seed))
    key = SigningKey.from_seed(seed)
    return Identity(hid_of(prefix, key.public), key)


def require_seed(path: Path) -> None:
    """Raise `SettingsRefused` where `load_identity` would, without reading the seed."""
    size = require_private(path)
    if size != SEED_BYTES:
        raise _no_seed(path, size)


def _no_seed(path: Path, size: int) -> SettingsRefused:
    return SettingsRefused(
        f"{path} has {size} bytes; a key has {SEED_BYTES}",
        hint=f"a new identity is minted once this one is out of the way: mv {path} {path}.bad",
    )


def load_or_mint_identity(path: Path, *, prefix: str) -> Identity:
    """Like `load_identity`, but mint a seed where there is none; then it is on disk."""
    try:
        return load_identity(path, prefix=prefix)
    except FileNotFoundError:
        ensure_private(path.parent)
        mint_private(path, secrets.token_bytes(SEED_BYTES))
        return load_identity(path, prefix=prefix)
