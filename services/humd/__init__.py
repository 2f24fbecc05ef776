"""humd, the router: every tone to the right place, and none before it is in the log.

One process, one thread, one poll loop (`service`) around a pure core (`core.router`). It owns the
bus socket, the tables of who is connected and who waits for whom, and nothing on disk but
`bees.json`, a projection. It holds no key: thehum signs, and joins like every other bee.

Read next: `service` (the loop and its parts), `core.router` (what happens to a tone),
`core.authority` (who may do what), `edge.ledger` (nothing leaves before it is durable),
`edge.outbox` (nothing is lost between us and a bee).
"""
