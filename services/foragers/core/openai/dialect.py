"""The dialects of the OpenAI API."""

from foragers.core.dialect import Dialect
from foragers.core.openai.embeddings import read_embeddings
from foragers.core.openai.errors import error_body, error_event
from foragers.core.openai.requests import read_chat
from foragers.core.openai.responses import read_response

CHAT = Dialect(name="openai/chat", read=read_chat, error_body=error_body, error_event=error_event)
EMBEDDINGS = Dialect(
    name="openai/embeddings",
    read=read_embeddings,
    error_body=error_body,
    error_event=error_event,
)
RESPONSES = Dialect(
    name="openai/responses", read=read_response, error_body=error_body, error_event=error_event
)
