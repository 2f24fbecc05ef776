"""What `hum doctor` says of layers of the sandbox that are missing (reliability 6.2)."""

import pytest

from hum.sandbox import LACKING, judged, told
from humfs.core.sandbox.layers import Layer, Level

FULL = dict.fromkeys(Layer, True)


def test_a_full_sandbox_is_one_line() -> None:
    (only,) = judged(FULL, Level.FULL)

    assert only.ok
    assert only.said == "full; humfs_bash runs (fs.shell.requires is full)"


@pytest.mark.parametrize("layer", Layer)
def test_a_missing_layer_is_named_with_what_it_means_and_what_mends_it(layer: Layer) -> None:
    level, missing = judged({**FULL, layer: False}, Level.FULL)
    means, mend = LACKING[layer]

    assert "runs nothing" in level.said
    assert (level.ok, missing.ok) == (False, False)
    assert (missing.what, missing.said) == (layer, f"missing: {means}")
    assert missing.mend.startswith(mend)


def test_what_is_enough_is_no_finding_and_still_told() -> None:
    level, missing = judged({**FULL, Layer.PIDS: False}, Level.PARTIAL)

    assert (level.ok, missing.ok) == (True, True)
    assert level.said.startswith("partial; humfs_bash runs (")
    assert LACKING[Layer.PIDS][1] in missing.said


def test_without_bubblewrap_a_partial_sandbox_is_not_enough() -> None:
    level, missing = judged({**FULL, Layer.BUBBLEWRAP: False}, Level.PARTIAL)

    assert (level.ok, missing.what) == (False, "bubblewrap")
    assert level.said.startswith("none; ")


def test_a_layer_holds_when_every_humfs_says_so() -> None:
    metrics = (
        "# TYPE hum_humfs_sandbox_layer gauge\n"
        'hum_humfs_sandbox_layer{service="humfs",layer="pids"} 1.0\n'
        'hum_humfs_sandbox_layer{service="humfs-2",layer="pids"} 0.0\n'
        'hum_humfs_sandbox_layer{service="humfs",layer="seccomp"} 1.0\n'
        "# TYPE other gauge\n"
        'other{layer="odd"} 0.0\n'
    )

    assert told(metrics) == {Layer.PIDS: False, Layer.SECCOMP: True}
