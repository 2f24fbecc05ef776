"""Offers of batches become one commit group: written, synced, answered."""

import logging
import secrets
import time
from dataclasses import dataclass, field
from itertools import pairwise

from thehum.core.bodies import Draft, read_drafts
from thehum.core.forgetting import Order, may_order, orders_in
from thehum.core.groups import GroupBuilder
from thehum.core.keeping import Aside, Keep
from thehum.core.keys import BadKeyEvent, body_of, is_key_draft, may_name_keys
from thehum.core.offers import Answer, BatchName, Offer, judge, read_offer
from thehum.edge.forgetting import Forgetting
from thehum.edge.keys import Keyring
from thehum.edge.log import Log
from thehum.edge.witness import Say
from thehum.errors import DiskFull, KeyNotHere, LogReadOnly
from thehum.metrics import Metrics
from thrum.chi import LinkChi
from thrum.errors import LocalError, MalformedTone, Qualifier
from thrum.ids import HUMID_RANDOM_BYTES, HumId, mint_humid
from thrum.tones import Tone

log = logging.getLogger(__name__)


def mint() -> HumId:
    """A new id, for an event that came without one."""
    return mint_humid(time.time_ns() // 1_000_000, secrets.token_bytes(HUMID_RANDOM_BYTES))


@dataclass(slots=True)
class _Group:
    """What goes into one commit group, beside its lines."""

    last: BatchName | None
    taken: list[Offer] = field(default_factory=list)
    asides: list[Aside] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    has_keys: bool = False
    """Whether there is a change of key in it."""
    is_known: bool = False
    """Whether something was offered that is on disk already."""


class Commits:
    """See the module. Call `take` for each offer, then `commit`."""

    def __init__(
        self,
        opened: Log,
        keyring: Keyring,
        keep: Keep,
        forgetting: Forgetting,
        metrics: Metrics,
        say: Say,
    ) -> None:
        self._log, self._keyring, self._keep, self._forgetting = opened, keyring, keep, forgetting
        self._metrics, self._say = metrics, say
        self._offers: list[Offer] = []

    def forget(self) -> None:
        """The connection is over: what was offered on it will be offered again."""
        self._offers.clear()

    def take(self, tone: Tone) -> None:
        """Take an offer, or refuse one that is none."""
        try:
            self._offers.append(read_offer(tone.body))
        except MalformedTone as problem:
            log.error("log.malformed_append", extra={"reason": problem.message})
            epoch, batch = tone.body.get("epoch"), tone.body.get("batch")
            self._refuse(epoch, batch, Qualifier.TONE_MALFORMED, problem.message)

    def commit(self) -> None:
        """Make one group of every offer, put it on disk, then answer.

        A change of key ends a group: what is behind it is another one, signed by the new key.
        """
        offers, self._offers = self._offers, []
        if not offers:
            return
        began, problem = time.monotonic(), None
        builder, group = self._log.builder(), _Group(self._log.last_batch)
        for place, offer in enumerate(offers):
            drafts = self._wanted(offer, group, builder.next_seq)
            for part in _parts(drafts) if group.has_keys else filter(None, (drafts,)):
                builder.add(part, offer.at_ms)
                if group.has_keys and is_key_draft(part[-1]):
                    problem = self._append(builder, group, began, has_keys=True)
                    builder = self._log.builder()
                if problem is not None:
                    break
            if problem is not None:
                self._refuse_all(offers[place + 1 :], problem)
                break
        if builder.size:
            self._append(builder, group, began)
        if group.taken or group.is_known:
            self._confirm(group.last)

    def _wanted(self, offer: Offer, group: "_Group", next_seq: int) -> list[Draft]:
        """What is to be written of an offer; nothing when it was refused or is on disk already."""
        verdict = judge(offer, last=group.last, next_seq=next_seq)
        if verdict is Answer.ALREADY_DURABLE:
            group.is_known = True
            return []
        name = offer.name
        if verdict is Answer.OUT_OF_STEP:
            reason = f"it begins with event {offer.first_seq}, we go on with {next_seq}"
            self._refuse(name.epoch, name.number, Qualifier.TONE_MALFORMED, reason)
            return []
        try:
            drafts = self._drafts(offer, group, upto_seq=next_seq)
        except (MalformedTone, BadKeyEvent, KeyNotHere) as problem:
            self._refuse(name.epoch, name.number, Qualifier.TONE_MALFORMED, problem.message)
            return []
        group.last = name
        group.taken.append(offer)
        return drafts[verdict.skip :]

    def _append(
        self, builder: GroupBuilder, group: "_Group", began: float, *, has_keys: bool = False
    ) -> LocalError | None:
        """Put the group on disk, or refuse what is in it and say why."""
        before, upto = self._log.head.seq, builder.next_seq
        asides = [aside for aside in group.asides if aside.seq < upto]
        orders = [order for order in group.orders if order.seq < upto]
        try:
            self._forgetting.note(orders)
            if has_keys:
                self._log.append_keys(builder.seal(), group.last, asides)
                self._keyring.take_over(self._log)
            else:
                self._log.append(builder.seal(), group.last, asides)
        except (DiskFull, LogReadOnly) as problem:
            self._forgetting.withdraw(orders)
            self._refuse_all(group.taken, problem)
            group.taken, group.last = [], self._log.last_batch
            return problem
        group.asides = group.asides[len(asides) :]
        group.orders = group.orders[len(orders) :]
        self._forgetting.ordered(orders)
        events = self._log.head.seq - before
        self._metrics.committed(events, len(group.taken), time.monotonic() - began)
        self._metrics.aside(asides)
        return None

    def _drafts(self, offer: Offer, group: "_Group", *, upto_seq: int) -> list[Draft]:
        """The drafts of an offer; what they bring beside the log, from `upto_seq` on, is noted."""
        drafts: list[Draft] = []
        asides, orders = list[Aside](), list[Order]()
        for section in offer.sections:
            first_seq = offer.first_seq + len(drafts)
            made, beside = read_drafts(
                section.parcels,
                via=offer.via(section),
                mint=mint,
                keep=self._keep,
                first_seq=first_seq,
            )
            drafts += made
            asides += beside
            if may_order(section.parcels):
                orders += orders_in(made, first_seq)
            if may_name_keys(section.parcels):
                self._check_keys(made, group)
        if len(drafts) != offer.count:
            raise MalformedTone(f"batch {offer.name} holds {len(drafts)} parcels, not its count")
        group.asides += [aside for aside in asides if aside.seq >= upto_seq]
        group.orders += [order for order in orders if order.seq >= upto_seq]
        return drafts

    def _check_keys(self, drafts: list[Draft], group: "_Group") -> None:
        """Raise `BadKeyEvent` for events about keys, but for a change of key that we asked for."""
        for one in filter(is_key_draft, drafts):
            self._keyring.require_ours(self._log, body_of(one))
            group.has_keys = True

    def _confirm(self, last: BatchName | None) -> None:
        """Say that everything up to `last` is on disk."""
        if last is not None:
            head = self._log.head
            body = {
                "epoch": last.epoch,
                "batch": last.number,
                "head_seq": head.seq,
                "head_hash": head.hash,
            }
            self._say(Tone(chi=LinkChi.DURABLE, body=body))

    def _refuse_all(self, offers: list[Offer], problem: LocalError) -> None:
        for offer in offers:
            self._refuse(
                offer.name.epoch, offer.name.number, Qualifier.LOG_UNAVAILABLE, problem.message
            )

    def _refuse(self, epoch: object, batch: object, why: Qualifier, reason: str) -> None:
        log.error("log.refused", extra={"batch": batch, "qualifier": why, "reason": reason})
        self._metrics.refused.labels(why).inc()
        body = {"epoch": epoch, "batch": batch, "refused": str(why), "reason": reason}
        self._say(Tone(chi=LinkChi.DURABLE, body=body))


def _parts(drafts: list[Draft]) -> list[list[Draft]]:
    """Drafts cut behind each one that is about keys."""
    ends = [at for at, one in enumerate(drafts, 1) if is_key_draft(one)]
    cuts = [0, *ends, len(drafts)] if ends else [0, len(drafts)]
    return [drafts[begin:end] for begin, end in pairwise(cuts) if begin < end]
