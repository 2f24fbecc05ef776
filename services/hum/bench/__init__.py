"""`hum bench`: two addresses of the OpenAI dialect, compared on this machine.

`probe` asks over plain sockets, `figures` says what the times add up to, `command` takes turns
between the two and prints.
"""
