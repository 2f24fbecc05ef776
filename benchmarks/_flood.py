"""Bees so light that the router is what is measured: workers stream, askers count.

They speak the bus as it is (`nest.link` says the hellos and the prompts). What a worker streams is
written before the clock starts, and an asker reads headers only. A worker keeps to its window, an
asker gives credit for each frame, so that nothing is bounded by what a real bee would not do.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.peer import Peer

from nest.link import UNSETTLED_PARCELS_MAX
from nest.sockets import Poll
from thrum import frames
from thrum.chi import Chi, LinkChi
from thrum.frames import Header
from thrum.tones import Body, Tone

FRAME_PARCELS = 64
"""Tones in a frame that a worker sends: what 64 streams say in one turn of its loop."""
STALL_SECONDS = 30.0
"""Without a tone for so long, the flood has failed."""
HELD_PARCELS = 32_768
"""What all workers together have on its way at most: past twice that humd sends bees away."""


class FloodFailed(Exception):
    """A tone was lost, doubled or refused, or nothing moved for long."""


@dataclass
class Worker:
    """A bee that streams frames which are written already."""

    peer: Peer
    model: str
    window: int
    script: list[bytes] = field(default_factory=list)
    sent: int = 0
    """Link number of the last parcel that was sent."""
    settled: int = 0
    prompts: int = 0

    def write(self, sids: Sequence[str], tones: int) -> None:
        """Write the next stream: so many tones over these sids in turn."""
        number, parcels = self.sent, []
        body = frames.pack_body(_chunk("tok "))
        for index in range(tones):
            number += 1
            header = Header(Chi.CHUNK, sid=sids[index % len(sids)], seq=number)
            parcels.append(frames.pack_header(header) + body)
        self.script = [
            b"".join(parcels[start : start + FRAME_PARCELS])
            for start in range(0, tones, FRAME_PARCELS)
        ][::-1]

    def step(self) -> None:
        """Take credit; send as far as the window goes."""
        while (frame := self.peer.socket.receive()) is not None:
            for header, raw in frames.read_frame(frame):
                if header.chi == LinkChi.CREDIT:
                    told = frames.read_body(raw)
                    if told["refused"]:
                        raise FloodFailed(f"refused: {told['refused']}")
                    self.settled = told["upto"]
                elif header.chi == Chi.PROMPT:
                    self.prompts += 1
        while self.script and self.sent - self.settled + FRAME_PARCELS <= self.window:
            if not self.peer.socket.send(self.script[-1]):
                return
            self.script.pop()
            self.sent += FRAME_PARCELS


@dataclass
class Asker:
    """A bee that prompts, and counts what it hears."""

    peer: Peer
    heard: int = 0
    received: int = 0
    cursor: int = 0

    def prompt(self, sids: Sequence[str], model: str) -> None:
        for sid in sids:
            body = {"content": "go", "modelId": model}
            self.peer.link.offer(Tone(chi=Chi.PROMPT, sid=sid, body=body))
        self.peer.flush()

    def step(self) -> None:
        """Count what came, in order; give credit for it."""
        before = self.received
        while (frame := self.peer.socket.receive()) is not None:
            for span in frames.read_spans(frame):
                header = span.header
                if not header.seq:
                    continue
                self.received += 1
                if header.chi != Chi.CHUNK or header.seq <= self.cursor:
                    raise FloodFailed(f"{header} after {self.cursor}")
                self.cursor = header.seq
                self.heard += 1
        if self.received > before:
            told = {"count": self.received, "cursor": self.cursor}
            self.peer.socket.send(frames.pack(Header(LinkChi.CREDIT), told))


class Flood:
    """Pairs of a worker and an asker on one bus, each pair with its own sids."""

    def __init__(self, endpoint: str, *, pairs: int, sids: int) -> None:
        self._poll = Poll()
        self._workers: list[Worker] = []
        self._askers: list[Asker] = []
        self._sids = [[f"flood-{pair}-{number}" for number in range(sids)] for pair in range(pairs)]
        window = min(UNSETTLED_PARCELS_MAX, HELD_PARCELS // pairs)
        for pair in range(pairs):
            model = f"flood-{pairs}-{sids}-{pair}"
            about = {"bee": ["worker"], "hive": "flood", "models": [model]}
            self._workers.append(Worker(Peer(endpoint, self._poll, about), model, window))
            about = {"bee": ["asker"], "hive": "count"}
            self._askers.append(Asker(Peer(endpoint, self._poll, about)))
        for bee in self._bees:
            bee.peer.join()
        self._begin_turns()

    @property
    def _bees(self) -> list[Worker | Asker]:
        return [*self._workers, *self._askers]

    def _begin_turns(self) -> None:
        """One turn on each sid, which never ends."""
        for worker, asker, sids in zip(self._workers, self._askers, self._sids, strict=True):
            asker.prompt(sids, worker.model)
        wanted = sum(map(len, self._sids))
        self._until(lambda: sum(worker.prompts for worker in self._workers) == wanted)

    def run(self, tones: int) -> float:
        """Stream about so many tones over all pairs; the seconds it took, all heard."""
        each = max(1, tones // len(self._workers) // FRAME_PARCELS) * FRAME_PARCELS
        for worker, sids in zip(self._workers, self._sids, strict=True):
            worker.write(sids, each)
        wanted = each * len(self._workers) + self.heard
        started = time.monotonic()
        self._until(lambda: self.heard == wanted)
        return time.monotonic() - started

    @property
    def heard(self) -> int:
        """Tones that arrived at all askers."""
        return sum(asker.heard for asker in self._askers)

    def close(self) -> None:
        for bee in self._bees:
            bee.peer.leave()

    def _until(self, holds: Callable[[], bool]) -> None:
        moved, at = -1, time.monotonic()
        while not holds():
            for bee in self._bees:
                bee.step()
            state = self.heard + sum(worker.settled for worker in self._workers)
            if state != moved:
                moved, at = state, time.monotonic()
                continue
            if time.monotonic() - at > STALL_SECONDS:
                raise FloodFailed(f"nothing moved for {STALL_SECONDS:.0f} s after {self.heard}")
            self._poll.wait(1)


def cpu_seconds(pid: int) -> float:
    """What a process has spent, its threads included."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def _chunk(delta: str) -> Body:
    part = {"type": "text", "text": delta}
    return {"chunkType": "text_delta", "blockIdx": 0, "delta": delta, "part": part}
