"""The code itself: what it may not contain, how it is laid out, what is documented."""
