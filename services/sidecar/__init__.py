"""sidecar: health, metrics and administration over HTTP, on loopback (docs/operating.md).

A bee like every other: it asks the bus for what it shows and keeps nothing. `/healthz`, `/readyz`,
`/metrics` and
`/openapi.json` are open on this machine; everything under `/api` wants the token in
`sidecar.token`.

Read next: `app` (the routes), `bus` (what it asks), `exposition` (Prometheus text from snapshots).
"""
