import pytest

from contracts.about import MAX_CARD, About, of_record, outputs, plain_card, read
from contracts.record import Evaluation, Metrics, MetricsBySplit, Record

ALL = About(0.9731, 240, (0.9412, 0.9899), "for: showing, “quoted”\nnot for: a = b")


@pytest.mark.parametrize("about", [ALL, About(0, 1), About(1.0, 240, (0.9, 1.0)), About(0.5, 10, None, "x")])
def test_what_is_written_is_read(about):
    assert read(outputs(about)) == about


def test_what_later_versions_tell_beside_it_is_left_to_them():
    assert read([*outputs(ALL), "recall=0.9"]) == ALL


@pytest.mark.parametrize(
    "names",
    [
        [],
        ["accuracy=0.9"],
        ["images=3"],
        ["accuracy=1.2", "images=3"],
        ["accuracy=nan", "images=3"],
        ["accuracy=-0.1", "images=3"],
        ["accuracy=0.9", "images=-3"],
        ["accuracy=0.9", "images=3", "card=" + "x" * (MAX_CARD + 1)],
        ["accuracy=0.9", "images=3", "accuracy_low=x", "accuracy_high=1"],
    ],
)
def test_anything_else_is_refused(names):
    with pytest.raises(ValueError, match="Expected"):
        read(names)


def test_a_record_tells_figures_alone():
    record = Record(version=7, model="m", state="training", kind="train", created="2026-01-01T00:00:00Z")
    assert of_record(record) is None
    metrics = Metrics(accuracy=29 / 30, images=30, per_class={}, confusion=[])
    record = record.model_copy(
        update={
            "metrics": MetricsBySplit(test=metrics),
            "evaluation": Evaluation(accuracy_interval=(1 / 3, 1)),
            "arguments": ["--dataset", "/home/somebody/patients"],
        }
    )
    assert of_record(record, "c") == About(0.966667, 30, (0.333333, 1), "c")
    assert list(outputs(of_record(record))) == [
        "accuracy=0.966667",
        "images=30",
        "accuracy_low=0.333333",
        "accuracy_high=1.0",
    ]


def test_a_card_becomes_lines_of_plain_text():
    card = (
        "# digits\n\n| | |\n|---|---|\n| for | ten `digits` |\n| data | [1,797 digits](../../x.md) |\n\n## More\nEnd."
    )
    assert plain_card(card) == "for: ten digits\ndata: 1,797 digits\nMore\nEnd."
    long = plain_card("x" * 9000)
    assert len(long) == MAX_CARD and long.endswith("…")
