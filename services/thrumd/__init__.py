"""The door: any language joins with a Unix socket and one JSON object per line.

thrumd listens on `paths.thrum_socket` and is one bee on the bus; every accepted connection is a
client with an id of its own, and what it says travels to humd with that id beside it. The door
checks who connects and what a line is, and renders what humd sends; it routes nothing and keeps
nothing. It owns the socket, the links to it and `runtime.json`.

Read next: `docs/wire.md` section 2 (the contract), `core.inbound` (what becomes of a line),
`core.outbound` (how a tone becomes lines), `edge.door` (how clients and humd meet), `service` (how
it starts and ends).
"""
