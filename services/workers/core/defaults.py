"""What settings say of single models: what is asked of them when the asker does not say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from thrum.tones import Body


@dataclass(frozen=True, slots=True)
class Defaults:
    """For the models that a pattern fits."""

    model: str
    parameters: Body = field(default_factory=dict)
    """By the name that a request has for them."""
    answer_tokens_max: int | None = None
    """No answer may be longer, whatever the asker says."""


def with_defaults(request: Mapping[str, Any], rules: Sequence[Defaults]) -> Body:
    """The request with what the first rule says that fits its model; the asker's word stands."""
    model, body = str(request["model"]), dict(request)
    for rule in rules:
        if fnmatchcase(model, rule.model):
            for name, value in rule.parameters.items():
                body.setdefault(name, value)
            if rule.answer_tokens_max is not None:
                asked = body.get("max_tokens")
                bound = rule.answer_tokens_max
                body["max_tokens"] = min(asked, bound) if type(asked) is int else bound
            break
    return body
