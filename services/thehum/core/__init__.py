"""Everything thehum decides, over bytes and values; no disk, clock, socket or randomness."""
