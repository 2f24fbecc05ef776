"""What humfs decides from bytes and text alone: outlines, symbol paths, ranks, patterns, views.

No disk, clock or process in here: the edge reads, the core answers. Start with `symbols` (what an
outline is), then `languages` (who makes one), `lookup` (who finds a place in one) and `views` (who
shows it).
"""
