"""`hum thehum replay`: what the router's state is, by its log alone."""

import click

EXIT_DIFFERENT = 1


@click.command()
@click.option("--to", "to_seq", type=click.IntRange(1), help="Up to this event. [the newest]")
@click.option(
    "--from-snapshot", is_flag=True, help="Begin with the newest snapshot, not the first event."
)
@click.option("--json", "as_json", is_flag=True, help="For programs; the fields stay.")
def replay(*, to_seq: int | None, from_snapshot: bool, as_json: bool) -> int:
    """Compute the router's state anew and compare it with every snapshot that the log tells of.

    Needs no daemon and writes nothing. Exits with 1 when a snapshot says another root than the
    events before it lead to.
    """
    from hum.log_files import Files, progress_over
    from hum.output import data, data_json, table
    from hum.replaying import replay as replay_log

    log = Files()
    with progress_over(log) as progress:
        done = replay_log(log, to_seq=to_seq, from_snapshot=from_snapshot, progress=progress)
    if as_json:
        data_json(
            {
                "from_seq": done.from_seq,
                "to_seq": done.to_seq,
                "root": done.root,
                "leaves": done.leaves,
                "compared": len(done.compared),
                "different": [
                    {
                        "event_seq": one.event_seq,
                        "at_seq": one.at_seq,
                        "said": one.said,
                        "found": one.found,
                    }
                    for one in done.different
                ],
            }
        )
        return EXIT_DIFFERENT if done.different else 0
    begun = f"the snapshot of event {done.from_seq}" if done.from_seq else "the first event"
    rows = [
        ("from", begun),
        ("to", f"event {done.to_seq}"),
        ("root", done.root),
        ("leaves", ", ".join(f"{count} {kind}" for kind, count in sorted(done.leaves.items()))),
        ("snapshots", f"{len(done.compared)} compared, {len(done.different)} different"),
    ]
    data(table(rows))
    for one in done.different[:1]:
        data(
            f"DIFFERENT: event {one.event_seq} says that after event {one.at_seq} the root is "
            f"{one.said}; the events lead to {one.found}"
        )
    return EXIT_DIFFERENT if done.different else 0
