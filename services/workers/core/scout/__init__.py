"""scout's mind: what a question asks for, which files to look at next, what to answer.

Read in this order: `requests` (text to request), `views` (what the file tool printed, as values),
`plans` (request and what was seen to the next looks, or the answer), `answers` (the words).
"""
