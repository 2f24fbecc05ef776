"""The dialect of the Anthropic API."""

from foragers.core.anthropic.errors import error_body, error_event, status_of
from foragers.core.anthropic.requests import read_message_request
from foragers.core.dialect import Dialect

MESSAGES = Dialect(
    name="anthropic/messages",
    read=read_message_request,
    error_body=error_body,
    error_event=error_event,
    request_id=b"request-id",
    status=status_of,
)
