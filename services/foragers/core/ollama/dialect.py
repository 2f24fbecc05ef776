"""The dialect of the Ollama API."""

from foragers.core.dialect import Dialect
from foragers.core.ollama.errors import error_body, error_line
from foragers.core.ollama.requests import read_chat, read_generate

CHAT = Dialect(name="ollama/chat", read=read_chat, error_body=error_body, error_event=error_line)
GENERATE = Dialect(
    name="ollama/generate", read=read_generate, error_body=error_body, error_event=error_line
)
