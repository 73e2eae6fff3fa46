"""What the page about a verdict shows, and that nothing in it can become markup or come from elsewhere."""

import base64
import re
from html.parser import HTMLParser

import pytest

from contracts.record import Record
from contracts.verdict import ModelVerdict
from testing import report

LABELS = ["COVID", "Normal"]
PIXEL = base64.b64encode(b"\x89PNG of a lung").decode()


def record(**fields):
    known = {"version": 4, "model": "m", "state": "candidate", "kind": "retrain", "parent": 3, "created": "today"}
    return Record.model_validate(known | {"labels": LABELS} | fields)


def metrics(accuracy, recall=0.8, labels=LABELS):
    one = {"precision": 0.75, "recall": recall, "f1": 0.7, "support": 20}
    per_class = {label: dict(one) for label in labels}
    return {"accuracy": accuracy, "images": 40, "per_class": per_class, "confusion": [[16, 4], [2, 18]]}


def latency(p50):
    samples = [p50, p50 + 1, p50 + 9]
    return {"requests": 3, "p50_ms": p50, "p95_ms": p50 + 9, "requests_per_second": 33.3, "samples_ms": samples}


def verdict(**fields):
    known = {
        "version": 4,
        "passed": False,
        "reasons": ["Recall of COVID is 0.61."],
        "baseline_version": 3,
        "metrics": metrics(0.85),
        "baseline": metrics(0.8, 0.85),
        "tests": [
            {"name": "test_a.py::test_recall_holds", "outcome": "failed", "seconds": 1.25, "message": "too low"},
            {"name": "test_a.py::test_speed", "outcome": "passed", "seconds": 0.5, "message": ""},
            {
                "name": "models/m/tests/test_own.py::test_y",
                "outcome": "broken",
                "seconds": 0.5,
                "message": "",
                "suite": "m",
            },
        ],
        "seconds": 48.2,
        "dataset": {"uri": "xrays", "fingerprint": "f" * 64},
        "budget": {"min_accuracy": 0.85, "min_recall": 0.7, "tolerance": 0.02, "max_latency_ms": None},
        "budget_from": {"min_accuracy": "TRAINYARD_GATES_MIN_ACCURACY"},
        "intervals": {
            "accuracy": [0.71, 0.934],
            **{name: {"COVID": [0.6, 0.92]} for name in ("recall", "precision", "f1")},
        },
        "allowed_for_chance": ["recall of 'COVID' 0.800 falls behind production's 0.850"],
        "broken": [{"file": "models/m/tests/test_own.py", "name": "test_x", "error": "KeyError: 'x'"}],
        "latency": {"candidate": latency(12.0), "production": latency(15.5)},
        "memory": {"peak_mib": 800.4, "loaded_mib": 600.0, "limit_mib": 1500.0},
        "mistakes": [
            {"name": "a.png", "label": "COVID", "answered": "Normal", "probability": 0.987, "image": PIXEL},
            {"name": "b.png", "label": "Normal", "answered": "COVID", "probability": 0.6, "image": PIXEL},
        ],
        "attempts": 2,
        "first_try": "The clone did not come up.",
        "model_server": "embedded (TensorFlow 2.21.0)",
        "executor": "local",
        "changed": {
            "images": "COVID +40 (now 140)",
            "commits": [{"hash": "abc1234", "author": "Ada", "subject": "Rotate less"}],
            "more": 3,
        },
    }
    return known | fields


def page(made, of=None):
    return report.render(ModelVerdict.model_validate(made), of or record()).decode()


@pytest.fixture(scope="module")
def full():
    """The page of a verdict that holds everything."""
    return page(verdict())


class Words(HTMLParser):
    def __init__(self):
        super().__init__()
        self.text, self.tags, self.images, self.hidden = [], [], [], False

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.hidden = tag == "style"
        if tag == "img":
            self.images.append(dict(attributes))

    def handle_data(self, data):
        if not self.hidden:
            self.text.append(data)


def read(html):
    words = Words()
    words.feed(html)
    return re.sub(r"\s+", " ", " ".join(words.text)), words


def test_outcome_and_reasons_come_first_and_who_served_it_last(full):
    text, _ = read(full)
    order = [
        "m version 4 failed its tests", "Recall of COVID is 0.61.", "85.0 %", "worst mistakes",
        "Latency", "xrays", "recall holds", "embedded (TensorFlow 2.21.0)",
    ]  # fmt: skip
    places = [text.index(said) for said in order]
    assert places == sorted(places)


def test_every_figure_stands_beside_productions(full):
    text, _ = read(full)
    assert "85.0 % 71 to 93 production, version 3 80.0 % change, points +5.0" in text
    assert "COVID 20 images 80.0 % 60 to 92 85.0 % −5.0 75.0 % 60 to 92 75.0 % ±0.0" in text
    # What an earlier Trainyard did not measure is left out.
    assert "Normal 20 images 80.0 % 85.0 % −5.0 75.0 % 75.0 % ±0.0 70.0 % 70.0 % ±0.0" in text


def test_change_is_the_difference_of_the_figures_shown():
    text, _ = read(page(verdict(metrics=metrics(0.9175), baseline=metrics(0.91049), intervals=None)))
    assert "91.8 % production, version 3 91.0 % change, points +0.8" in text


def test_what_was_measured_is_told(full):
    text, _ = read(full)
    for said in (
        "1 passed, 1 failed, 1 broken", "version 4 3 requests 12.0 ms 21.0 ms 33.3", "version 3 3 requests 15.5 ms",
        "800 MiB of memory at most, 600 MiB after loading; it may take 1500 MiB", "minimum recall of every class 0.7",
        "max latency ms no limit", "too low", "test_a.py::test_recall_holds failed 1.25", "The clone did not come up.",
        "2 attempts, 48.2 s", "Images: COVID +40 (now 140)", "abc1234 Rotate less Ada", "and 3 more",
        "COVID answered Normal , 98.7 % a.png", "2 of 6 mistakes are shown",
        "Allowed for chance: recall of 'COVID' 0.800 falls behind production's 0.850",
        "does not count: models/m/tests/test_own.py::test_x: KeyError: 'x'",
        "minimum accuracy TRAINYARD_GATES_MIN_ACCURACY 0.85", "models/m/tests/test_own.py::test_y (the model's own)",
    ):  # fmt: skip
        assert said in text, said


def test_plots_and_mistakes_are_pictures_inside_the_page(full):
    _, words = read(full)
    sources = [image["src"] for image in words.images]
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert sources.count(f"data:image/png;base64,{PIXEL}") == 2
    assert len(sources) == 2 + 3
    assert all(image.get("alt") for image in words.images)
    # Each plot in the colours of a dark page too.
    assert len(re.findall(r'media="screen and \(prefers-color-scheme: dark\)" srcset="data:image/png', full)) == 3


def test_page_needs_nothing_from_elsewhere(full):
    _, words = read(full)
    assert not {"script", "link", "iframe", "object", "form"} & set(words.tags)
    assert "http" not in full.replace("http-equiv", "")
    assert "@import" not in full and "url(" not in full


@pytest.mark.parametrize("nothing", ["absent", None])
def test_what_is_not_known_is_left_out(nothing):
    optional = (
        "intervals",
        "latency",
        "memory",
        "mistakes",
        "attempts",
        "first_try",
        "model_server",
        "executor",
        "changed",
    )
    made = verdict(baseline=None, baseline_version=None)
    for key in optional:
        made.pop(key)
        if nothing is None:
            made[key] = None
    text, words = read(page(made))
    assert "Nothing was in production to compare with." in text
    assert "Latency was not measured." in text
    assert len(words.images) == 2
    for said in ("None", "MiB", "mistakes", "attempt", "first try", "changed", "executor"):
        assert said not in text, said


def test_verdict_without_any_figures_per_class_is_shown():
    nothing = {"accuracy": 0.5, "images": 0, "per_class": {}, "confusion": []}
    text, words = read(page(verdict(metrics=nothing, baseline=None, mistakes=[], tests=[], latency=None)))
    assert "50.0 %" in text and "No test ran" in text
    assert words.images == []


def test_model_without_mistakes_is_told_so():
    perfect = metrics(1.0) | {"confusion": [[20, 0], [0, 20]]}
    assert "It got every held-out image right." in page(verdict(metrics=perfect, mistakes=[]))
    assert "every held-out image right" not in page(verdict(mistakes=[]))


def test_latency_of_the_candidate_alone_is_shown():
    text, words = read(page(verdict(latency={"candidate": latency(12.0), "production": None})))
    assert "12.0 ms" in text and "15.5 ms" not in text
    assert len(words.images) == 5


def test_class_that_production_does_not_know_is_new():
    text, _ = read(page(verdict(baseline=metrics(0.8, labels=["Normal"]))))
    assert "COVID 20 images 80.0 % 60 to 92 new 75.0 % 60 to 92 new" in text


def test_nothing_from_outside_is_markup():
    evil = '"><img src=x onerror=alert(1)>{{ 7 * 7 }}'
    figures = metrics(0.8, labels=[evil, "Normal"])
    made = verdict(
        metrics=figures,
        baseline=figures,
        reasons=[evil],
        tests=[{"name": evil, "outcome": "failed", "seconds": 1.0, "message": evil}],
        dataset={"uri": evil, "fingerprint": evil},
        mistakes=[{"name": evil, "label": evil, "answered": evil, "probability": 0.5, "image": evil}],
        changed={"images": evil, "commits": [{"hash": evil, "author": evil, "subject": evil}], "more": 0},
        model_server=evil,
        executor=evil,
        first_try=evil,
    )
    html = page(made, record(labels=[evil, "Normal"], reason=evil, code={"commit": evil}))
    _, words = read(html)
    assert not any("onerror" in image for image in words.images)
    assert "<img src=x" not in html
    assert "{{ 7 * 7 }}" in html and "49}" not in html


def test_file_name_that_is_no_text_does_not_break_the_page():
    mistakes = [{"name": "\udcff.png", "label": "COVID", "answered": "Normal", "probability": 0.5, "image": PIXEL}]
    assert "?.png" in page(verdict(mistakes=mistakes))
