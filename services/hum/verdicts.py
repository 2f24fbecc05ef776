"""What a verification says, on one line or as JSON; and the exit status."""

from dataclasses import asdict

import click

from hum.log_files import Files
from hum.output import data, data_json
from thehum.core.audit import Report
from thehum.core.beside import BodiesReport

EXIT_DAMAGED = 1
SHOWN_MAX = 10
"""Events that a line names."""


def print_verdict(
    log: Files, report: Report, bodies: BodiesReport | None = None, *, as_json: bool
) -> int:
    """Say what an audit found, in a line or two; the exit status."""
    damage = report.damage
    if as_json:
        data_json(
            {
                "ok": damage is None and (bodies is None or bodies.is_good),
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
                "bodies": bodies and asdict(bodies),
            }
        )
        return _status(report, bodies)
    if damage is None:
        data(click.style(f"{report.events:,} events, chain ok, signatures ok", fg="green"))
        if bodies is not None:
            _print_bodies(bodies)
        return _status(report, bodies)
    data(click.style(f"damaged at {damage}", fg="red"))
    data(
        f"{report.events:,} events before it are good; nothing was changed; "
        f"copies of damaged bytes are kept in {log.root / 'quarantine'}"
    )
    return EXIT_DAMAGED


def _status(report: Report, bodies: BodiesReport | None) -> int:
    is_good = report.damage is None and (bodies is None or bodies.is_good)
    return 0 if is_good else EXIT_DAMAGED


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
