"""The dialect of the Ollama API."""

from foragers.core.dialect import Dialect
from foragers.core.ollama.embeddings import read_embed, read_embeddings
from foragers.core.ollama.errors import error_body, error_line
from foragers.core.ollama.requests import read_chat, read_generate

CHAT = Dialect(name="ollama/chat", read=read_chat, error_body=error_body, error_event=error_line)
GENERATE = Dialect(
    name="ollama/generate", read=read_generate, error_body=error_body, error_event=error_line
)
EMBED = Dialect(name="ollama/embed", read=read_embed, error_body=error_body, error_event=error_line)
EMBEDDINGS = Dialect(
    name="ollama/embeddings", read=read_embeddings, error_body=error_body, error_event=error_line
)
