"""humfs: file tools for models, inside the directories their owner configured.

A forager bee of kind `humfs` that provides `fs`. It reads by structure: outlines, symbols, fuzzy
queries, patterns, anchors. It owns no socket but its link to humd and no file but its key; what it
may touch is `fs.roots` and `fs.denied` of hum.json, fixed when it starts.

edge/roots      the only way to a file: decided, then opened below a root's handle core/
what is decided from bytes alone: outlines, symbol paths, ranks, patterns, views tools/          one
file for each tool desk            one result for each call, replays, cancels service         wiring

Read `edge/roots` first, then `tools/read`.
"""
