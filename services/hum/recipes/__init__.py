"""`hum recipes`: ready configurations, each a small file of settings with what to do besides.

A recipe is `<name>.json` in this folder: `about`, `settings` as they stand in hum.json, and `then`,
what to type. Read next: `merging` (how one is laid into a hum.json that is there), `verbs`.
"""
