"""A bee's side of the bus protocol, as a value machine (docs/wire.md, section 1).

No socket, clock or randomness: the shell (`nest.bee`, or a poll loop) opens connections, hands in
the frames that arrive and sends the frames that `take` returns. The rules kept here:

- A parcel gets its link number once and keeps it for the life of the instance. It stays in
  `unsettled` until humd says that its event is on disk (or that it was refused), and is offered
  again on every new connection.
- Nothing but the greeting is sent before humd has answered the hello.
- What arrives is counted, and its highest log seq remembered, so that humd can resume where we
  stopped.
- What was missed on a sid, asked for by an `attach` with `wane`, may come twice after a loss: what
  has no higher number than the last one of that sid is dropped.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

from thrum import frames
from thrum.chi import LOGGED, Chi, LinkChi
from thrum.errors import FrameTooLarge, MalformedTone, PeerError
from thrum.frames import BODY_BYTES_MAX, Header
from thrum.ids import Hid
from thrum.keys import SigningKey
from thrum.tones import Body, Tone

UNSETTLED_PARCELS_MAX = 4_096
"""Parcels kept until they are settled; then a sender waits."""
FOLLOWED_MAX = 16_384
"""Sids whose last number is remembered, over all clients; the one attached first is forgotten."""
CREDIT_EVERY = 256
"""Parcels received before we say so, unless something is sent anyway."""
FRAME_PARCELS_MAX = 1_024
FRAME_BYTES_SOFT_MAX = 1024 * 1024
"""A frame is closed once it is this large; a larger single parcel goes alone."""
HELLO_CONTEXT = "hum-bus-hello-v1"
"""First words of what a hello signs, so that the signature serves no other purpose."""

_LINK: frozenset[str] = frozenset(LinkChi)
_NEVER_LOGGED: frozenset[str] = frozenset({*Chi, *LinkChi}) - LOGGED


class HelloRefused(PeerError):
    """humd does not accept this bee's identity."""


@dataclass(frozen=True, slots=True)
class Joined:
    """humd answered the hello: parcels flow."""

    epoch: str
    client: str
    humd: str
    settled: int
    """Everything up to this link number is on disk."""
    is_resumed: bool
    """Whether humd still knew this instance. If not, whatever it drove or served is over."""


@dataclass(frozen=True, slots=True)
class Settled:
    """Every parcel up to this link number is on disk or refused."""

    upto: int
    refused: dict[int, str]
    """Link number to reason."""


@dataclass(frozen=True, slots=True)
class Reset:
    """humd ended this connection: make a new one."""

    reason: str


Event = Joined | Settled | Reset | Tone


class _State(Enum):
    DOWN = auto()
    GREETING = auto()
    PROVING = auto()
    JOINED = auto()


@dataclass(slots=True)
class _Offer:
    number: int
    header: Header
    body: bytes


@dataclass
class Link:
    """See the module. `hello` is asked for the body of each hello anew, because it may change."""

    hid: Hid
    key: SigningKey
    instance: str
    hello: Callable[[], Body]
    cursor: int = 0
    """Highest log seq received, over all connections."""
    takes_more: bool = True
    """While False humd gets no credit, and stops once a window of parcels is on its way."""
    credits_handled: bool = False
    """humd gets credit for what was handled (`handled`), and at once, instead of for what was
    received: for a door, which hands parcels on. Whatever is credited is lost to its clients should
    it be killed before, and what it handed on and did not credit they are told again."""
    unreadable: int = 0
    """Tones skipped because their body could not be read: another bee's doing, not humd's."""
    unsettled: deque[_Offer] = field(default_factory=deque)
    _unsent: deque[_Offer] = field(default_factory=deque)
    _followed: OrderedDict[tuple[str | None, str | None], int] = field(default_factory=OrderedDict)
    """By client and sid: the number of the last tone heard, where one asked for what it missed."""
    _control: list[bytes] = field(default_factory=list)
    _state: _State = _State.DOWN
    _number: int = 0
    _received: int = 0
    _credited: int = 0
    _handled: int = 0
    _connections: int = 0

    @property
    def is_joined(self) -> bool:
        return self._state is _State.JOINED

    @property
    def has_room(self) -> bool:
        """Whether one more parcel may be offered."""
        return len(self.unsettled) < UNSETTLED_PARCELS_MAX

    def opened(self) -> None:
        """A new connection: greet, and be ready to offer everything unsettled again."""
        self._state = _State.GREETING
        self._received = self._credited = self._handled = 0
        self._connections += 1
        self._unsent.clear()
        self._control = [frames.pack(Header(Chi.HELLO), {"hid": str(self.hid)})]

    def closed(self) -> None:
        """The connection is gone. What is unsettled stays."""
        self._state = _State.DOWN
        self._control.clear()
        self._unsent.clear()

    def offer(self, tone: Tone) -> int:
        """Queue `tone`; return its link number, 0 for what is never logged.

        The caller has seen `has_room`. A tone that is never logged is sent once, if at all: while
        there is no connection it is dropped.
        """
        if tone.chi in _NEVER_LOGGED:
            if self._state is _State.JOINED:
                header = frames.header_of(tone)._replace(seq=0)
                self._control.append(frames.pack_header(header) + frames.pack_body(tone.body))
            return 0
        body = frames.pack_body(tone.body)
        if len(body) > BODY_BYTES_MAX:
            raise FrameTooLarge(f"a body of {len(body)} bytes; at most {BODY_BYTES_MAX} can travel")
        if len(body) > frames.ITEMS_MAX:
            frames.read_body(body)
        if tone.chi in (Chi.ATTACH, Chi.DETACH):
            self._follow(tone)
        self._number += 1
        offer = _Offer(self._number, frames.header_offered(tone, self._number), body)
        self.unsettled.append(offer)
        if self._state is _State.JOINED:
            self._unsent.append(offer)
        return offer.number

    def _follow(self, tone: Tone) -> None:
        key = (tone.client, tone.sid)
        self._followed.pop(key, None)
        if tone.chi == Chi.ATTACH and tone.wane is not None:
            self._followed[key] = tone.wane
            if len(self._followed) > FOLLOWED_MAX:
                self._followed.popitem(last=False)

    def _is_known(self, header: Header) -> bool:
        """Whether this tone of a sid was received before."""
        last = self._followed.get((header.client, header.sid))
        if last is None or header.wane is None:
            return False
        if header.wane <= last:
            return True
        self._followed[header.client, header.sid] = header.wane
        return False

    @property
    def owes_credit(self) -> bool:
        """Whether humd may be told of parcels that it still keeps for us."""
        return self.is_joined and self._owed > 0

    @property
    def mark(self) -> tuple[int, int]:
        """What was received so far; hand it to `handled` once all of that is done with."""
        return self._connections, self._received

    def handled(self, mark: tuple[int, int]) -> None:
        """Everything received before `mark` was taken is done with."""
        connection, count = mark
        if connection == self._connections:
            self._handled = count

    @property
    def _owed(self) -> int:
        """Parcels that humd may be given credit for."""
        done = self._handled if self.credits_handled else self._received
        return done - self._credited if self.takes_more else 0

    def take(self, *, is_late: bool = False) -> bytes | None:
        """The next frame to send; None when there is nothing to say.

        Credit goes with whatever else goes, or for many parcels; by itself once it `is_late`, or
        where it is for what was handled.
        """
        parts, self._control = self._control, []
        if self._state is _State.JOINED:
            size = 0
            while self._unsent and len(parts) < FRAME_PARCELS_MAX and size < FRAME_BYTES_SOFT_MAX:
                offer = self._unsent.popleft()
                parts.append(frames.pack_header(offer.header))
                parts.append(offer.body)
                size += len(offer.body)
            is_due = is_late or self.credits_handled
            if (owed := self._owed) and (parts or is_due or owed >= CREDIT_EVERY):
                parts.append(self._credit())
        return b"".join(parts) if parts else None

    def receive(self, frame: bytes) -> list[Event]:
        """What a frame from humd means.

        Raises `MalformedTone` for a frame that is none, `HelloRefused` when humd does not know our
        key.
        """
        events: list[Event] = []
        for parcel in frames.read_frame(frame):
            header = parcel[0]
            if header.chi in _LINK or self._is_handshake(header):
                event = self._link_tone(parcel)
                if event is not None:
                    events.append(event)
            else:
                self._received += 1
                self.cursor = max(self.cursor, header.seq)
                if self._followed and header.fan and self._is_known(header):
                    continue
                try:
                    events.append(frames.read_tone(parcel))
                except MalformedTone:
                    self.unreadable += 1
        return events

    def _is_handshake(self, header: Header) -> bool:
        return not self.is_joined and header.chi in (Chi.BREATH, Chi.ERROR)

    def _link_tone(self, parcel: frames.Parcel) -> Event | None:
        header, raw = parcel
        if header.chi == LinkChi.CREDIT:
            return self._settle(frames.read_body(raw))
        if header.chi == LinkChi.RESET:
            self.closed()
            return Reset(str(frames.read_body(raw).get("reason", "")))
        if header.chi == Chi.ERROR:
            body = frames.read_body(raw)
            raise HelloRefused(
                f"humd refused the hello of {self.hid.short}: {body.get('message')}",
                hint="one process per identity: remove the key file to mint a new one",
            )
        if header.chi == Chi.BREATH:
            return self._breath(frames.read_body(raw))
        return frames.read_tone(parcel)

    def _breath(self, body: Body) -> Event | None:
        if self._state is _State.GREETING:
            self._state = _State.PROVING
            text = f"{HELLO_CONTEXT}:{self.hid}:{body.get('nonce')}".encode()
            proof = {
                **self.hello(),
                "hid": str(self.hid),
                "pubkey": self.key.public.hex(),
                "instance": self.instance,
                "cursor": self.cursor,
                "signature": self.key.sign(text).hex(),
            }
            self._control.append(frames.pack(Header(Chi.HELLO, sender=str(self.hid)), proof))
            return None
        if self._state is not _State.PROVING:
            return None
        self._state = _State.JOINED
        settled = int(body.get("settled", 0))
        self._drop_settled(settled)
        self._unsent = deque(self.unsettled)
        self._control.append(self._credit())  # it heard the answer: humd may call it gone now
        epoch, client, humd = (str(body[key]) for key in ("epoch", "client", "humd"))
        return Joined(epoch, client, humd, settled, body.get("resumed") is True)

    def _settle(self, body: Body) -> Settled:
        upto = int(body["upto"])
        refused = {int(number): str(reason) for number, reason in body.get("refused", {}).items()}
        self._drop_settled(upto)
        return Settled(upto, refused)

    def _drop_settled(self, upto: int) -> None:
        while self.unsettled and self.unsettled[0].number <= upto:
            self.unsettled.popleft()

    def _credit(self) -> bytes:
        self._credited += self._owed
        return frames.pack(Header(LinkChi.CREDIT), {"count": self._credited, "cursor": self.cursor})
