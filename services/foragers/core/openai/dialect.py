"""The dialects of the OpenAI API."""

from foragers.core.dialect import Dialect
from foragers.core.openai.errors import error_body, error_event
from foragers.core.openai.requests import read_chat

CHAT = Dialect(name="openai/chat", read=read_chat, error_body=error_body, error_event=error_event)
