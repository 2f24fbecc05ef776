"""The Anthropic dialect: messages, their token count, and the list of models.

- `requests` reads what a client sent, with `conversation` for its messages.
- `answers` renders a turn for the client; `models` the list of models.
- `errors` is the shape of every refusal.
"""
