"""Who is on the other end of a connection, until its hello is believed.

The exchange is in docs/wire.md, section 1.1.
"""

import hmac
from dataclasses import dataclass, field

from nest.bucket import Bucket
from thrum import keys
from thrum.errors import MalformedId, PeerError
from thrum.ids import Hid, hid_of, parse_hid, parse_humid
from thrum.tones import Body

HELLO_CONTEXT = "hum-bus-hello-v1"
QUESTIONS_PER_SECOND = 100.0
QUESTIONS_BURST = 1_000.0
"""How often one bee may ask all the others how they are."""
NOT_LOGGED = ("signature", "cursor", "instance", "pubkey")
"""Fields of a bus hello that prove it, and say nothing later."""


@dataclass(slots=True)
class Connection:
    """One connection to the bus."""

    id: bytes
    nonce: str
    opened_at: float
    instance: str | None = None
    """Set once the hello was believed."""
    is_joined: bool = False
    """Set once the hello is durable and answered."""
    is_heard: bool = False
    """Whether its bee said anything after its hello was answered: if not, it may have given up
    waiting, and live."""
    is_log: bool = False
    is_door: bool = False
    is_ensemble: bool = False
    """Whether the others that it speaks for are humds."""
    is_guest: bool = False
    """Whether it joined while the log is read-only: it may ask, and is in no state and no log."""
    visits_as: frozenset[str] | None = None
    """Roles of one that only asks something and goes: it never joins."""
    is_resumed: bool = False
    """Whether humd still knew the instance when it said hello."""
    feeds: str | None = None
    """A congested instance that this connection sent something to."""
    refused: dict[int, str] = field(default_factory=dict)
    """Link numbers refused since the last credit, and why."""
    settled: int = 0
    """Highest link number that is settled, and of those the bee was told."""
    credited: int = 0
    questions: Bucket = field(default_factory=lambda: Bucket(QUESTIONS_PER_SECOND, QUESTIONS_BURST))
    control: list[bytes] = field(default_factory=list)
    """Link tones to send before anything else."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A hello whose hid is proven."""

    hid: Hid
    instance: str
    cursor: int
    roles: frozenset[str]
    body: Body
    """What is logged of it."""


class NotProven(PeerError):
    """A hello that does not prove its hid."""


def believe(body: Body, nonce: str) -> Proof:
    """Check a hello against the nonce of its connection; raises `NotProven`."""
    try:
        hid = parse_hid(str(body["hid"]))
        instance = parse_humid(str(body["instance"]))
        public = bytes.fromhex(str(body["pubkey"]))
        signature = bytes.fromhex(str(body["signature"]))
        cursor = int(body.get("cursor", 0))
    except (KeyError, TypeError, ValueError, OverflowError, MalformedId) as problem:
        raise NotProven(f"a hello without a usable {problem}") from problem
    if not hmac.compare_digest(str(hid_of(hid.prefix, public)), str(hid)):
        raise NotProven("the hid is not the hash of the key")
    if not keys.verify(public, f"{HELLO_CONTEXT}:{hid}:{nonce}".encode(), signature):
        raise NotProven("the signature does not fit the nonce")
    roles = body.get("bee")
    return Proof(
        hid=hid,
        instance=instance,
        cursor=cursor,
        roles=frozenset(role for role in roles if isinstance(role, str))
        if isinstance(roles, list)
        else frozenset(),
        body={key: value for key, value in body.items() if key not in NOT_LOGGED},
    )
