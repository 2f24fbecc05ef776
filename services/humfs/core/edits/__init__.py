"""What an edit makes of a file, from bytes alone: a draft of the new content, or a refusal.

lines       line ends, indentation, blank lines
fitting     new text in the indentation of the place it goes to
gate        whether the new content may be written: no error that was not there before
statements  whether changed statements of a Python module compile alone
code        replace, insert and delete by symbol
report      what changed, as a diff

Nothing outside the spans of an edit ever changes; a draft says which span of the old content became
which span of the new one.
"""
