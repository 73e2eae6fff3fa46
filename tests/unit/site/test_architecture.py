"""The picture of the architecture: what is drawn is what Pants says; tests/e2e has the one that is kept."""

import pytest

from docs.site import architecture

BUILD = 'DOORS = ["low/__main__.py"]\nSTARTS = {"low": "top"}\nOTHER = len(DOORS)\n'


def target(part, *needs, file="a.py", kind="python_source"):
    return {"address": f"src/python/{part}/{file}:lib@resolve=ml", "target_type": kind, "dependencies": list(needs)}


def of(*parts):
    return [f"src/python/{part}/b.py:lib@resolve=ml" for part in parts]


TARGETS = [
    target("top", *of("middle", "low"), "3rdparty/python:ml#keras"),
    target("middle", *of("low"), "3rdparty/python:ml#tensorflow-serving-api"),
    target("low", *of("top"), "src/proto:py@resolve=ml"),
    target("low", *of("middle"), file="__main__.py"),
    target("low", *of("packaged"), kind="pex_binary"),
    {
        "address": "serving/adapter/a.py:lib",
        "target_type": "python_source",
        "dependencies": [*of("low"), "serving/x.py:lib", "serving/flags/f:flags"],
    },
]


def test_arrows_are_dependencies_without_programs_that_are_started_and_without_what_is_no_code():
    arrows, heavy = architecture.graph(TARGETS, BUILD)
    assert arrows == {
        "top": {"middle", "low"},
        "middle": {"low"},
        "low": {"proto"},
        "serving/adapter": {"low"},
        "proto": set(),
    }
    assert heavy == {"top"}


def test_a_part_stands_below_all_that_need_it_and_long_ways_say_it_once():
    arrows, _ = architecture.graph(TARGETS, BUILD)
    row = architecture.levels(arrows)
    assert all(row[part] < row[other] for part, others in arrows.items() for other in others)
    assert architecture.needed(arrows) == arrows | {"top": {"middle"}}


def test_a_circle_is_named():
    with pytest.raises(ValueError, match="circle: a, b"):
        architecture.levels({"a": {"b"}, "b": {"a"}, "c": set()})


def test_another_dependency_is_another_picture():
    before = architecture.svg(*architecture.graph(TARGETS, BUILD))
    after = architecture.svg(*architecture.graph([*TARGETS, target("low", *of("new")), target("new")], BUILD))
    assert before.count("<text") == 5 and after.count("<text") == 6
    assert before.count("marker-end") + 1 == after.count("marker-end")
