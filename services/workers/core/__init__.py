"""What workers decide without I/O: catalogues, conversations, stream parsing, scout's plans."""
