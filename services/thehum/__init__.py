"""thehum: the signed, append-only log. Nothing takes effect before this process has it on disk.

It owns `$XDG_STATE_HOME/hum/thehum/` (segments of NDJSON, one signed hash chain, one writer) and
one socket: a DEALER to humd's bus, which it joins as role `log` with the humd's own key. humd
offers batches (`append`), thehum answers `durable` once they are on disk; anyone humd lets through
reads pages of events (`backfill`).

    core/events     one event: its bytes, its hash, its line
    core/bodies     parcels of the bus become bodies of events, and back
    core/groups     a commit group: chained, its last event signed
    core/offers     batches by name, each taken exactly once
    core/verify     walk a chain and name the first event that is wrong, and how
    core/recovery   what is behind the last signed group: nothing, a torn tail, or damage
    core/pages      cut pages out of segments
    core/sealed     a segment that is full, compressed
    core/columns    lines as columns, of which little has to be kept
    core/retention  what of a log goes when it has a bound
    core/snapshots  which snapshots of the router's state stay, and what they need
    core/cursors    how far those who follow the log have come
    core/base       where a log begins, once its oldest events went
    core/tiles      which hashes of the tree (`thrum.merkle`) are stored, and how the others follow
    core/notes      checkpoints: signed roots
    core/proofs     one event with its proof, in one file
    core/witness    decide about heads of other logs: sign, keep as evidence, or neither
    edge/directory  the folder: lock, author, remembered head, segments, quarantine
    edge/segment    the segment being written, and the spare that comes after it
    edge/log        open and recover, append a group, read back
    edge/tiles      the stored hashes
    edge/retention  drops the oldest segments
    edge/checkpoints  the tree follows the log; its root is signed now and then
    commits         offers become one commit group: written, synced, answered
    backfills       pages of events for whoever asks
    states          humd's questions about snapshots of its state
    questions       signed roots, and signatures below those of others
    service         the poll loop

Read `core/events` first. Offline tools (`hum thehum ...`) use `core` alone.
"""
