"""What `hum doctor` says of the sandbox of commands: the layers that this machine does not give."""

from collections.abc import Iterator, Mapping

from prometheus_client.parser import text_string_to_metric_families

from hum.admin import fetch
from hum.bees import read_bees
from hum.findings import Finding
from humfs.core.sandbox.layers import Layer, Level, Standing
from nest.paths import Paths
from nest.settings import load
from thrum.errors import HumError

LAYER_METRIC = "hum_humfs_sandbox_layer"
_NAMESPACES = (
    "apt install bubblewrap; where it is installed, the kernel must allow user namespaces "
    "(sysctl user.max_user_namespaces kernel.apparmor_restrict_unprivileged_userns)"
)
_CGROUP = (
    "cgroups must be handed down to your user: with systemd, run hum in a user session or a "
    "service with Delegate=yes; in a container, mount /sys/fs/cgroup writable"
)
LACKING: Mapping[Layer, tuple[str, str]] = {
    Layer.BUBBLEWRAP: (
        "nothing keeps a command in",
        _NAMESPACES,
    ),
    Layer.LANDLOCK: (
        "files and TCP have one wall instead of two",
        "a kernel of 5.13 or later with landlock in /sys/kernel/security/lsm (boot with lsm=...)",
    ),
    Layer.SECCOMP: (
        "a command may make every system call: a hole in the kernel is nearer",
        "apt install libseccomp2",
    ),
    Layer.PIDS: ("a command may start processes without a bound", _CGROUP),
    Layer.MEMORY: ("only each process of a command has a bound of memory, not all", _CGROUP),
}
"""What it means that a layer is missing, and what mends it."""


def sandbox(paths: Paths, environ: Mapping[str, str]) -> Iterator[Finding]:
    """The level, and each layer that is missing; nothing where no humfs is connected.

    It is wrong only when commands need more than there is: `fs.shell.requires`.
    """
    if "humfs" not in read_bees(paths):
        return
    try:
        required = Level(load(paths, environ).fs.shell.requires)
        layers = told(fetch("/metrics").decode())
    except HumError as error:
        yield Finding(section="sandbox", what="sandbox", said=f"nobody tells: {error.message}")
        return
    except ValueError as error:
        said = f"what the sidecar answers at /metrics is none: {error}"
        yield Finding(section="sandbox", what="sandbox", said=said, ok=False, mend="hum status")
        return
    if layers:
        yield from judged(layers, required)


def told(metrics: str) -> dict[Layer, bool]:
    """Whether each layer holds, in every humfs that tells it.

    Raises `ValueError` for what are no metrics, or names a layer that there is not.
    """
    found: dict[Layer, bool] = {}
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples if family.name == LAYER_METRIC else ():
            layer = Layer(sample.labels["layer"])
            found[layer] = found.get(layer, True) and sample.value == 1
    return found


def judged(layers: Mapping[Layer, bool], required: Level) -> Iterator[Finding]:
    """What is to be said of these layers when a command needs `required`."""
    standing = Standing(frozenset(layer for layer, holds in layers.items() if holds))
    suffices = standing.suffices(required)
    yield Finding(
        section="sandbox",
        what="sandbox",
        said=f"{standing.level}; humfs_bash {'runs' if suffices else 'runs nothing'} "
        f"(fs.shell.requires is {required})",
        ok=suffices,
        mend="mend what is missing, or set fs.shell.requires in hum.json",
    )
    for layer in (layer for layer in Layer if not layers.get(layer)):
        means, mend = LACKING[layer]
        mend += "; why: hum logs humfs; then: hum ctl restart humfs"
        said = f"missing: {means}" + (f"\n{mend}" if suffices else "")
        yield Finding(section="sandbox", what=layer, said=said, ok=suffices, mend=mend)
