"""What every hum process stands on, and nothing that belongs to one service.

Read in this order: `paths` (every file hum touches), `settings` (hum.json), `private` (0600 files),
`identity` (who we are on the bus), `lifecycle` (how a process starts and ends), `logs`, `metrics`;
then `sockets`, `link` and `bee`, the way onto the bus; `cells`, process trees that end whole. nest
imports `thrum` and no process package.
"""
