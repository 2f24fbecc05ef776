"""The language between processes: tones, their two encodings, identifiers and errors.

Pure: bytes and values in, bytes and values out. Nothing here opens a socket or a file, reads a
clock or draws a random number; whatever needs one gets it as an argument.

Read next: `tones` (what travels), `frames` (its form on the bus), `lines` (its form at the door),
`ids` (who and which), `errors` (what can go wrong and whose fault it is). `chi` is generated from
`registry.json` by `scripts/codegen`. The wire itself is described in `docs/wire.md`.
"""
