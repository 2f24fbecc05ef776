"""The Ollama dialect: chat and generate as lines of JSON, and what its clients ask about models.

- `requests` reads what a client sent, with `conversation` for its messages.
- `answers` renders a turn; `models` the answers about models.
- `errors` is the shape of every refusal.
"""
