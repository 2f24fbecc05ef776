"""hum.json: what the user decides. Every key is optional; unknown ones are refused at every level.

`load` reads the file, then the environment of this run:

- `HUM_ROOTS`: more `fs.roots`, separated like `PATH`; `=ro` behind one makes it read-only.
- `HUM_LOG_LEVEL`: beats `logLevel`.
- `OPENAI_BASE_URL`, `ANTHROPIC_BASE_URL`, `OLLAMA_HOST`: `baseUrl` of that kind of worker where the
  file has none. Our own front is not meant.
- `OPENAI_API_KEY`, `ANTHROPIC_API_KEY`, `OLLAMA_API_KEY`: the key of that service, unless the file
  names another place (`service_key`).

What is wrong comes as one `SettingsRefused`: a line for each violation with file, path, what was
there and what was wanted. The process exits 78 and has changed nothing.
"""

from nest.settings.load import (
    ENVIRONMENT_NAMES,
    SERVICE_KINDS,
    key_label,
    load,
    read_file,
    service_key,
)
from nest.settings.model import (
    Alias,
    AnchorSettings,
    AnthropicSettings,
    ClaudeSettings,
    FrontSettings,
    FsSettings,
    FurtherService,
    HumdSettings,
    LogLevel,
    ModelSettings,
    NestSettings,
    OllamaSettings,
    OpenaiSettings,
    Price,
    Root,
    ServiceKind,
    ServiceSettings,
    Settings,
    ShellSettings,
    SidecarSettings,
    ThehumSettings,
    WorkersSettings,
    is_loopback,
    json_schema,
)
from nest.settings.programs import claude_program

__all__ = [
    "ENVIRONMENT_NAMES",
    "SERVICE_KINDS",
    "Alias",
    "AnchorSettings",
    "AnthropicSettings",
    "ClaudeSettings",
    "FrontSettings",
    "FsSettings",
    "FurtherService",
    "HumdSettings",
    "LogLevel",
    "ModelSettings",
    "NestSettings",
    "OllamaSettings",
    "OpenaiSettings",
    "Price",
    "Root",
    "ServiceKind",
    "ServiceSettings",
    "Settings",
    "ShellSettings",
    "SidecarSettings",
    "ThehumSettings",
    "WorkersSettings",
    "claude_program",
    "is_loopback",
    "json_schema",
    "key_label",
    "load",
    "read_file",
    "service_key",
]
