"""The bus and the disk around the core."""
