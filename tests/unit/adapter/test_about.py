"""What versions tell of themselves reaches whoever asks what is served."""

from contracts.about import About, outputs
from tests.unit.adapter.fakes import FakeVersion
from tests.unit.adapter.images import gray
from tests.unit.adapter.rest import PNG, classified

TOLD = About(0.9731, 240, (0.9412, 0.9899), "for: showing\nnot for: diagnosis")


def told(rest):
    return {one["version"]: one["about"] for one in rest.get("/v1/model").raise_for_status().json()["versions"]}


def test_each_loaded_version_tells_its_own_and_those_from_before_nothing(rest, model_server):
    model_server.versions |= {
        2: FakeVersion(about=tuple(outputs(TOLD))),
        3: FakeVersion(about=tuple(outputs(About(0.5, 10)))),
    }
    model_server.labels |= {"stable": 2, "previous": 1}
    assert told(rest) == {
        1: None,
        2: {
            "accuracy": 0.9731,
            "accuracy_low": 0.9412,
            "accuracy_high": 0.9899,
            "images": 240,
            "card": "for: showing\nnot for: diagnosis",
        },
        3: {"accuracy": 0.5, "accuracy_low": None, "accuracy_high": None, "images": 10, "card": ""},
    }


def test_what_can_not_be_read_is_nothing_and_the_version_answers(rest, model_server):
    model_server.versions[1] = FakeVersion(about=("accuracy=9", "images=3"))
    assert told(rest) == {1: None}
    assert classified(rest.post("/v1/classify", content=gray(255), headers=PNG))["version"] == 1


def test_a_version_that_is_not_loaded_tells_nothing(rest, model_server):
    model_server.broken[4] = "Corrupt."
    assert told(rest) == {1: None, 4: None}
    assert ("GetModelMetadata", 4) not in model_server.calls


def test_what_is_told_is_asked_by_metadata_alone(rest, model_server):
    model_server.versions[1] = FakeVersion(about=tuple(outputs(TOLD)))
    told(rest)
    told(rest)
    # One blank image, for the names of the classes, as before.
    assert [method for method, _ in model_server.calls].count("Predict") == 1
