"""No file contains a hazard, and each hazard would be found (reliability, banned by name)."""

import pytest
from tests.shape.hazards import HAZARDS, Hazard
from tests.shape.tree import ALLOWED, Source, sources

EACH = pytest.mark.parametrize("hazard", HAZARDS, ids=lambda hazard: hazard.what)


def found(hazard: Hazard, source: Source) -> list[int]:
    """The lines where the hazard stands without a reason."""
    nodes = [node for node in hazard.find(source) if not source.allows(node)]
    return sorted({getattr(node, "lineno", 0) for node in nodes})


@EACH
def test_no_file_contains(hazard: Hazard) -> None:
    places = [
        f"{source.path}:{line}"
        for source in sources(*hazard.folders)
        if str(source.path) not in hazard.exempt
        for line in found(hazard, source)
    ]

    assert not places, f"{hazard.what}: {hazard.instead}\n" + "\n".join(places)


@EACH
def test_would_find(hazard: Hazard) -> None:
    missed = [text for text in hazard.caught if not found(hazard, Source.of("bad.py", text))]

    assert not missed


@EACH
def test_would_not_find_its_neighbours(hazard: Hazard) -> None:
    wrong = [text for text in hazard.passes if found(hazard, Source.of("good.py", text))]

    assert not wrong


def test_a_reason_beside_it_allows_a_hazard_and_an_empty_one_does_not() -> None:
    pickle = next(hazard for hazard in HAZARDS if hazard.what.startswith("pickle"))
    beside = f"import pickle  {ALLOWED}reads our own file"
    above = f"{ALLOWED}reads our own file\nimport pickle"
    empty = f"import pickle  {ALLOWED}"

    assert [found(pickle, Source.of("a.py", text)) for text in (beside, above, empty)] == [
        [],
        [],
        [1],
    ]


def test_no_reason_stands_where_nothing_needs_one() -> None:
    needless = []
    for source in sources("services", "benchmarks", "scripts"):
        hazards = [hazard for hazard in HAZARDS if source.path.parts[0] in hazard.folders]
        lines = {getattr(node, "lineno", 0) for hazard in hazards for node in hazard.find(source)}
        for at, text in enumerate(source.text.splitlines(), start=1):
            if ALLOWED in text and not lines & {at, at + 1}:
                needless.append(f"{source.path}:{at}")

    assert not needless
