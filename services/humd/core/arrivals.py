"""What comes into the core, and what comes out of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from thrum import frames
from thrum.errors import Qualifier
from thrum.frames import Header
from thrum.tones import Body

ClientId = str
"""A bus bee's instance, or `<door's instance>/<name>` for a client behind a door."""


class Arrival:
    """One event: a tone from `client`, or one that humd says itself (`client` is None).

    `seq` and `at_ms` are its place and time in the log, so that replay sees what was seen live.
    """

    __slots__ = ("_body", "at_ms", "client", "header", "is_fanned", "raw", "seq")

    def __init__(
        self,
        seq: int,
        at_ms: int,
        client: ClientId | None,
        header: Header,
        raw: bytes,
        *,
        is_fanned: bool = False,
    ) -> None:
        self.seq = seq
        self.at_ms = at_ms
        self.client = client
        self.header = header
        self.raw = raw
        self.is_fanned = is_fanned
        """Read from the log: everyone on the sid heard it though its chi alone does not say so."""
        self._body: Body | None = None

    @property
    def body(self) -> Body:
        """The body, decoded once. Raises `MalformedTone`."""
        if self._body is None:
            self._body = frames.read_body(self.raw)
        return self._body

    def text(self, key: str) -> str | None:
        """The body's value under `key` when it is a string."""
        value = self.body.get(key)
        return value if isinstance(value, str) else None


class Deliver(NamedTuple):
    """Hand this parcel to a client once its event is durable."""

    client: ClientId
    header: Header
    raw: bytes


@dataclass(frozen=True, slots=True)
class Emit:
    """Say this ourselves, as the very next event. In replay it is in the log already."""

    chi: str
    body: Body
    sid: str | None = None
    rid: str | None = None


class Inherit(NamedTuple):
    """`new` is the client that `old` was: what was owed to the one is owed to the other.

    `heard` says for each sid up to which number the client has heard what everyone on it heard;
    None when it does not say.
    """

    old: ClientId
    new: ClientId
    seq: int
    """Of the hello by which it came: what is owed has this number from now on. The new door may
    have seen later events already, and would never be offered earlier ones again."""
    heard: Mapping[str, int] | None


class Forget(NamedTuple):
    """Nothing is owed to this client any more."""

    client: ClientId


class Why(NamedTuple):
    """The reason of a routing decision, for people: kept in the event that caused it."""

    text: str
    is_fanned: bool = False
    """Whether everyone on the sid heard the tone though its chi alone does not say so."""


class CatchUp(NamedTuple):
    """Read to this client, from the log, what was said on a sid; it goes live behind that.

    Heard is what has a number within the sid above `after`. Event `from_seq` has `from_wane`.
    """

    client: ClientId
    sid: str
    from_seq: int
    from_wane: int
    after: int
    seq: int
    """Of the event that asks for it."""
    upto: int = 0
    """Of the last tone that was left out meanwhile, when an earlier humd began it."""


class CaughtUp(NamedTuple):
    """The catch-up of this client on this sid is over, or void."""

    client: ClientId
    sid: str
    begun: int | None = None
    """Seq of the event that asked for it: one that was asked for later goes on. None for any."""


class Timed(NamedTuple):
    """A turn is over: how long each step took (`humd.core.drift`)."""

    record: Body
    is_kept: bool
    """Whether it goes to disk; a cancelled turn says nothing about how long turns take."""


Effect = Deliver | Emit | Inherit | Forget | Why | CatchUp | CaughtUp | Timed


@dataclass(frozen=True, slots=True)
class Refusal:
    """The tone is answered with an `error` and leaves no record."""

    qualifier: Qualifier
    message: str
    retry_ms: int | None = None
    """In how long it may be taken; None when waiting alone does not help, or nobody knows."""
    cause: str | None = None
    """The rid of the tone that was there first."""


class Duplicate:
    """The log has this tone already: settle it, do nothing."""
