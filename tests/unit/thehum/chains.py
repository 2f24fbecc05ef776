"""Chains to break: signed groups of events by one key, built by the real builder."""

from collections.abc import Sequence
from typing import Any

from nest.identity import Identity
from thehum.core.bodies import draft
from thehum.core.events import GENESIS, Head
from thehum.core.groups import Group, GroupBuilder, Signing
from thehum.core.keeping import SALT_BYTES, Keep
from thehum.core.offers import BatchName
from thehum.core.verify import Walk
from thehum.edge.log import Log
from thrum.canonical import dumps
from thrum.ids import hid_of
from thrum.keys import SigningKey

KEY = SigningKey.from_seed(bytes(range(32)))
AUTHOR = str(hid_of("humd", KEY.public))
START_MS = 1_700_000_000_000


def group(
    count: int,
    head: Head = GENESIS,
    *,
    at_ms: int = START_MS,
    signing: Signing = Signing.GROUP,
    key: SigningKey = KEY,
    author: str = AUTHOR,
    **body: Any,
) -> Group:
    """A group of `count` events behind `head`."""
    builder = GroupBuilder(author, key, head, signing=signing)
    for seq in range(head.seq + 1, head.seq + 1 + count):
        text = dumps({"delta": f"token {seq}", **body})
        builder.add([draft(chi="chunk", rid=f"r{seq}", sid="hum-X", body=text)], at_ms)
    return builder.seal()


def groups(counts: Sequence[int], **options: Any) -> tuple[bytes, list[Group]]:
    """The bytes of a segment with a group of each size, and the groups."""
    made: list[Group] = []
    head = GENESIS
    for number, count in enumerate(counts):
        made.append(group(count, head, at_ms=START_MS + number, **options))
        head = made[-1].head
    return b"".join(one.data for one in made), made


def lines_of(data: bytes) -> list[bytes]:
    return data.split(b"\n")[:-1]


def walk(head: Head = GENESIS, *, every: bool = False) -> Walk:
    return Walk(AUTHOR, KEY.public, head, every=every)


def append(log: Log, count: int, *, batch: BatchName | None = None, **body: Any) -> Group:
    """Append a group of `count` events to an open log, as if it were the batch `batch`."""
    if batch is not None:
        body["@via"] = {"batch": str(batch), "client": None, "peer": None}
    made = group(count, log.head, at_ms=START_MS + log.head.seq, **body)
    log.append(made, batch)
    return made


def identity() -> Identity:
    return Identity(hid_of("humd", KEY.public), KEY)


def keep(**rules: Any) -> Keep:
    """Rules about bodies; every salt is the same."""
    return Keep(mint_salt=lambda: b"s" * SALT_BYTES, **rules)
