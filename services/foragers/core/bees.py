"""Who is connected, as humd tells it: one manifest for each bee."""

from collections.abc import Iterable, Mapping
from typing import Any


def models_of(manifests: object) -> tuple[str, ...]:
    """The models of connected workers, each once, sorted. What is malformed is left out."""
    if not isinstance(manifests, list):
        return ()
    return tuple(sorted({model for manifest in manifests for model in _models(manifest)}))


def _models(manifest: object) -> Iterable[str]:
    if not isinstance(manifest, Mapping) or not _works(manifest):
        return ()
    models = manifest.get("models")
    listed = models if isinstance(models, list) else []
    return (model for model in listed if isinstance(model, str) and model)


def _works(manifest: Mapping[str, Any]) -> bool:
    roles = manifest.get("bee")
    return isinstance(roles, list) and "worker" in roles and manifest.get("connected") is not False
