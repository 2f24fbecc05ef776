"""The OpenAI dialect: chat completions and the list of models.

- `requests` reads what a client sent, with `messages` and `parameters`.
- `answers` renders a turn for the client; `models` the list of models.
- `errors` is the shape of every refusal.
"""
