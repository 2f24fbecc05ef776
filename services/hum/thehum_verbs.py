"""`hum thehum`: read and verify the signed log from its files, with or without a daemon.

Nothing here writes or takes the writer's lock, but for what changes something while no daemon runs;
a log that grows meanwhile is read up to its last whole line.
"""

import sys
import time
from pathlib import Path
from typing import Any

import click

from hum.forget_verbs import body, forget
from hum.mend_verbs import repair, restore
from hum.proof_verbs import check_proof, prove
from hum.replay_verbs import replay
from hum.rotate_verbs import rotate_key
from hum.segment_verbs import cat

BODY_CHARS = 100
"""Of a body on one line of `tail`."""
JSON = click.option("--json", "as_json", is_flag=True, help="For programs; the fields stay.")


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="For programs; the fields stay.")
@click.pass_context
def thehum(ctx: click.Context, *, as_json: bool) -> object:
    """Read and verify the signed log; without a verb, one line on its health.

    That is: the newest segments are verified, the log is not shorter than is remembered, who holds
    the lock, how old the newest checkpoint is, and whether the log is written. Exits with 1 when
    something is wrong.
    """
    if ctx.invoked_subcommand is not None:
        return None
    from hum.log_files import Files
    from hum.verdicts import print_health

    log = Files()
    return print_health(log, log.audit(newest=2), as_json=as_json)


@thehum.command()
@JSON
def status(*, as_json: bool) -> None:
    """Show whose log it is, how far it goes and who writes it."""
    from hum.log_files import Files, fields_of
    from hum.output import data, data_json, table

    log = Files()
    last = next(iter(log.lines_backwards()), None)
    first_seq, last_seq = log.firsts[0], fields_of(last)["seq"] if last else log.firsts[0] - 1
    facts = {
        "author": log.author.hid,
        "first_seq": first_seq,
        "last_seq": last_seq,
        "events": last_seq - first_seq + 1,
        "bytes": log.disk_bytes(),
        "segments": len(log.firsts),
        "remembered_seq": log.remembered_seq,
        "writer": log.writer(),
        "directory": str(log.root),
        **log.kept(),
        "epoch": log.epoch,
        "key": log.keys.public.hex(),
        "key_since_seq": log.keys.events[-1].seq if log.keys.is_rotated else 1,
        "next_key_is_here": log.paths.humd_next_key.exists(),
        "checkpoint": log.checkpoint(),
        "anchor": log.newest_anchor(),
        "lost": [{"first_seq": gap.first_seq, "last_seq": gap.last_seq} for gap in log.gaps],
        "read_only": log.trouble(),
    }
    if as_json:
        data_json(facts)
        return
    words = {"writer": facts["writer"] or "nobody", **_in_words(facts)}
    data(table((key, f"{words.get(key, value)}") for key, value in facts.items()))


@thehum.command()
@click.option("-n", "count", type=click.IntRange(0), default=20, help="How many events. [20]")
@click.option("-f", "follow", is_flag=True, help="Go on with events as they come.")
@click.option("--chi", help="Only events of this chi.")
@click.option("--sid", help="Only events of this conversation.")
@JSON
def tail(*, count: int, follow: bool, chi: str | None, sid: str | None, as_json: bool) -> None:
    """Show the newest events, one line each: seq, time, chi, sid, rid, body."""
    from hum.log_files import Files

    log = Files(wait=follow)
    place = log.end()
    newest: list[bytes] = []
    for line in log.lines_backwards():
        if len(newest) >= count:
            break
        if _matches(line, chi, sid):
            newest.append(line)
    for line in reversed(newest):
        _print_event(line, as_json=as_json)
    if follow:
        for line in log.follow(*place):
            if _matches(line, chi, sid):
                _print_event(line, as_json=as_json)
                sys.stdout.flush()


@thehum.command("range")
@click.option("--author", help="Whose events; only this humd's own are kept here.")
@click.option("--from", "from_seq", type=click.IntRange(1), required=True, help="First seq.")
@click.option("--to", "to_seq", type=click.IntRange(1), help="Last seq. [the newest]")
@JSON
def range_(*, author: str | None, from_seq: int, to_seq: int | None, as_json: bool) -> None:
    """Show the events from one seq to another."""
    from hum.log_files import Files

    if to_seq is not None and to_seq < from_seq:
        raise click.UsageError(f"--to {to_seq} is before --from {from_seq}")
    log = Files()
    if author not in (None, log.author.hid):
        raise click.UsageError(f"no events of {author} are kept here, only of {log.author.hid}")
    for seq, line in log.lines_from(from_seq):
        if to_seq is not None and seq > to_seq:
            break
        _print_event(line, as_json=as_json)


@thehum.command()
@click.option("--full", is_flag=True, help="Check every signature and every stored hash.")
@click.option(
    "--witness",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A note about this log that somebody else kept: does the log still continue it?",
)
@JSON
def verify(*, full: bool, witness: Path | None, as_json: bool) -> int:
    """Walk the whole chain; name the first event that is wrong, and what is wrong with it.

    What was signed for the log, by itself and by witnesses, is compared with it, and so are the
    bodies beside it.
    """
    from hum.heads import check_heads, keys_flaw, read_heads
    from hum.log_files import Files
    from hum.verdicts import Findings, print_verdict

    signed, log = read_heads(witness), Files()
    report = log.audit(every=full)
    if report.damage is not None:
        return print_verdict(log, report, as_json=as_json)
    found = Findings(
        heads=check_heads(log, report, signed),
        keys=keys_flaw(log, report),
        tile=log.audit_tiles(report) if full else None,
        bodies=log.audit_bodies(report.head.seq),
    )
    return print_verdict(log, report, found, as_json=as_json)


@thehum.command()
@JSON
def anchors(*, as_json: bool) -> int:
    """List the receipts for roots that were made known elsewhere, each checked without the network.

    A receipt holds when its note is genuine, the log still leads to it, and what was committed is
    that root. Exits with 1 when one does not.
    """
    from hum.heads import check_receipts
    from hum.log_files import Files
    from hum.output import data, data_json, printable, table

    found = check_receipts(Files())
    if as_json:
        data_json([{**fields, "ok": reason is None, "reason": reason} for fields, reason in found])
    else:
        rows = [
            (_clock(int(fields.get("at_ms", 0))), printable(str(fields.get("backend"))),
             f"{fields.get('size')} events", printable(str(fields.get("ref"))),
             "ok" if reason is None else printable(reason))
            for fields, reason in found
        ]  # fmt: skip
        data(table(rows) if rows else "nothing was anchored yet")
    return 1 if any(reason is not None for _, reason in found) else 0


@thehum.command()
@JSON
def witnessed(*, as_json: bool) -> int:
    """Show the logs that this one witnesses; 1 when one of them has two histories."""
    from hum.log_files import Files
    from hum.output import data, data_json, printable, table

    found = Files().witnessed()
    if as_json:
        data_json(found)
    else:
        rows = [
            (printable(one["origin"]), f"{one['size']:,} events", "TWO HISTORIES" if one["conflict"]
             else "ok")
            for one in found
        ]  # fmt: skip
        data(table(rows) if rows else "no other log is witnessed here")
    return 1 if any(one["conflict"] for one in found) else 0


thehum.add_command(replay)
thehum.add_command(cat)
thehum.add_command(prove)
thehum.add_command(check_proof)
thehum.add_command(forget)
thehum.add_command(body)
thehum.add_command(rotate_key)
thehum.add_command(repair)
thehum.add_command(restore)


def _in_words(facts: dict[str, Any]) -> dict[str, str]:
    """The facts of `status` that are no plain values, for people."""
    from hum.output import printable

    checkpoint, anchor, trouble = facts["checkpoint"], facts["anchor"], facts["read_only"]
    return {
        "checkpoint": f"{checkpoint['size']:,} events, {checkpoint['age_seconds']} s old"
        if checkpoint
        else "none yet",
        "anchor": printable(f"{anchor['backend']} {anchor['ref']}") if anchor else "none",
        "lost": ", ".join(f"{gap['first_seq']}-{gap['last_seq']}" for gap in facts["lost"])
        or "nothing",
        "read_only": printable(f"{trouble['kind']}: {trouble['reason']} ({trouble['hint']})")
        if trouble
        else "no",
    }


def _matches(line: bytes, chi: str | None, sid: str | None) -> bool:
    if chi is None and sid is None:
        return True
    from hum.log_files import fields_of

    fields = fields_of(line)
    return (chi is None or fields.get("chi") == chi) and (sid is None or fields.get("sid") == sid)


def _print_event(line: bytes, *, as_json: bool) -> None:
    from hum.output import data, printable
    from thehum.core.events import MalformedEvent, read_event

    if as_json:
        data(line.decode())
        return
    try:
        event = read_event(line)
    except MalformedEvent:
        data("(not an event) " + printable(line[:BODY_CHARS].decode(errors="replace")))
        return
    words = "  ".join(printable(word) for word in (event.chi, event.sid or "-", event.rid))
    data(f"{event.seq:>8}  {_clock(event.ts_ms)}  {words}  {_short(event.body)}")


def _short(body: bytes) -> str:
    """The start of a body, without how it came."""
    import orjson

    from hum.log_files import fields_of
    from hum.output import printable

    shown = {key: value for key, value in fields_of(body).items() if key != "@via"}
    text = printable(orjson.dumps(shown).decode())
    return text if len(text) <= BODY_CHARS else text[: BODY_CHARS - 1] + "…"


def _clock(ts_ms: int) -> str:
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(ts_ms // 1000))
    return f"{stamp}.{ts_ms % 1000:03d}"
