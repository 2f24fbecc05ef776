"""What a verification says, on one line or as JSON; and the exit status."""

import time
from dataclasses import asdict, dataclass, field

import click

from hum.heads import OWN, HeadVerdict
from hum.log_files import Files
from hum.output import data, data_json, printable
from thehum.core.audit import Report
from thehum.core.beside import BodiesReport
from thehum.core.names import KEYS
from thehum.core.tiled import BadTile

EXIT_DAMAGED = 1
SHOWN_MAX = 10
"""Events that a line names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What was compared with the chain."""

    heads: list[HeadVerdict] = field(default_factory=list)
    keys: str | None = None
    """What is wrong with the file that names the keys of the log; None when nothing is."""
    tile: BadTile | None = None
    """The first stored hash that is wrong, when they were looked at."""
    bodies: BodiesReport | None = None
    """None when there are none beside the log."""

    @property
    def is_good(self) -> bool:
        is_one_broken = any(head.reason is not None for head in self.heads)
        return (
            self.keys is None
            and self.tile is None
            and not is_one_broken
            and (self.bodies is None or self.bodies.is_good)
        )


NOTHING = Findings()


def print_verdict(log: Files, report: Report, found: Findings = NOTHING, *, as_json: bool) -> int:
    """Say what an audit found, in a line or two; the exit status."""
    damage = report.damage
    if as_json:
        data_json(
            {
                "ok": damage is None and found.is_good,
                "author": log.author.hid,
                "first_seq": report.first_seq,
                "head_seq": report.head.seq,
                "head_hash": report.head.hash,
                "events": report.events,
                "segments": report.segments,
                "signatures": report.signatures,
                "unfinished_bytes": report.unfinished_bytes,
                "damage": damage
                and {
                    "seq": damage.seq,
                    "flaw": damage.flaw.name.lower(),
                    "reason": str(damage.flaw),
                    "group_first_seq": damage.group_first_seq,
                },
                "heads": [asdict(head) for head in found.heads],
                "key": report.keys.public.hex(),
                "key_since_seq": report.keys.events[-1].seq if report.keys.is_rotated else 1,
                "keys_flaw": found.keys,
                "tile": found.tile and asdict(found.tile),
                "lost": [
                    {"first_seq": gap.first_seq, "last_seq": gap.last_seq} for gap in report.lost
                ],
                "bodies": found.bodies and asdict(found.bodies),
            }
        )
        return _status(report, found)
    if damage is None:
        data(click.style(f"{report.events:,} events, chain ok, signatures ok", fg="green"))
        for gap in report.lost:
            told = f"lost, as a repair says: events {gap.first_seq:,} to {gap.last_seq:,}"
            data(click.style(told, fg="yellow"))
        if report.keys.is_rotated:
            data(
                f"signed by its {len(report.keys.events)}. key since {report.keys.events[-1].seq:,}"
            )
        if found.keys is not None:
            data(click.style(f"{KEYS} is not what the log says: {printable(found.keys)}", fg="red"))
        if found.tile is not None:
            data(click.style(f"a stored hash is wrong: {found.tile}", fg="red"))
        _print_heads(found.heads)
        if found.bodies is not None:
            _print_bodies(found.bodies)
        return _status(report, found)
    data(click.style(f"damaged at {damage}", fg="red"))
    data(
        f"{report.events:,} events before it are good; nothing was changed; "
        f"copies of damaged bytes are kept in {log.root / 'quarantine'}"
    )
    return EXIT_DAMAGED


def print_health(log: Files, report: Report, *, as_json: bool) -> int:
    """Say in one line whether a log is in order, from its files alone; the exit status."""
    trouble, checkpoint, writer = log.trouble(), log.checkpoint(), log.writer()
    is_good = report.damage is None and trouble is None
    if as_json:
        data_json(
            {
                "ok": is_good,
                "verified_events": report.events,
                "head_seq": report.head.seq,
                "remembered_seq": log.remembered_seq,
                "damage": report.damage and str(report.damage),
                "writer": writer,
                "checkpoint": checkpoint,
                "read_only": trouble,
            }
        )
        return 0 if is_good else EXIT_DAMAGED
    parts = [
        f"the newest {report.events:,} events, chain ok, signatures ok"
        if report.damage is None
        else f"damaged at {report.damage}",
        f"writer: pid {writer}" if writer else "no writer",
        f"remembered: {log.remembered_seq:,} of {report.head.seq:,}",
        f"checkpoint: {checkpoint['size']:,} events, {checkpoint['age_seconds']} s ago"
        if checkpoint
        else "no checkpoint yet",
    ]
    if trouble is not None:
        parts.append(f"READ-ONLY ({trouble['kind']}): {printable(trouble['reason'])}")
        parts.append(trouble["hint"])
    data(click.style("; ".join(parts), fg="green" if is_good else "red"))
    return 0 if is_good else EXIT_DAMAGED


def _status(report: Report, found: Findings) -> int:
    return 0 if report.damage is None and found.is_good else EXIT_DAMAGED


def _print_heads(heads: list[HeadVerdict]) -> None:
    for head in heads:
        if head.reason is not None:
            signer = "its checkpoint" if head.by == OWN else f"what {printable(head.by)} signed"
            data(click.style(f"it does not lead to {signer}: {printable(head.reason)}", fg="red"))
        elif head.at_seconds is not None:
            at = time.strftime("%Y-%m-%d %H:%M", time.localtime(head.at_seconds))
            data(f"{head.size:,} events cosigned by {printable(head.by)} at {at}")


def _print_bodies(bodies: BodiesReport) -> None:
    data(
        f"{bodies.kept:,} bodies beside the log, {bodies.kept_bytes:,} bytes; "
        f"{bodies.forgotten:,} forgotten"
    )
    if bodies.changed:
        data(click.style(f"not what was hashed: the bodies of {_listed(bodies.changed)}", fg="red"))
    if bodies.lost:
        text = f"gone though nobody ordered it: the bodies of {_listed(bodies.lost)}"
        data(click.style(text, fg="red"))


def _listed(seqs: list[int]) -> str:
    shown = ", ".join(map(str, seqs[:SHOWN_MAX]))
    return f"events {shown}" + (", …" if len(seqs) > SHOWN_MAX else "")
