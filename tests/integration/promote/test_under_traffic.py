"""Promotions and a rollback under requests to two real pods; benchmarks:traffic does a hundred and measures."""

from pathlib import Path

from imaging.array import canonical
from testkit.models import write_classifier
from testkit.pods import SIZE, picture
from testkit.traffic import LABELS, Bench, measure
from tests import warm_server


def test_no_request_fails_and_every_answer_is_that_of_the_version_it_names(tmp_path: Path) -> None:
    import tensorflow as tf

    pixels = canonical(picture(), SIZE)[None]

    def make_model(number: int, folder: Path) -> list[dict[str, float]]:
        write_classifier(folder, LABELS, SIZE, seed=number)
        answer = tf.saved_model.load(str(folder)).signatures["serving_default"](pixels=tf.constant(pixels))
        return [dict(zip(LABELS, map(float, answer["probabilities"][0]), strict=True))]

    bench = Bench(tmp_path, make_model, [picture()], SIZE, models=2)
    with warm_server.forked(), bench.serving(2):
        found = measure(bench, switches=2, requests=200, rate=20, pause=1, say=lambda line: None)
    assert [switch.action for switch in bench.switches] == ["promote", "rollback"] * 2
    assert [switch.version for switch in bench.switches] == [2, 1, 3, 1]
    assert (found.failed, found.unnamed, found.wrong, found.stale) == ([], [], [], [])
    assert found.requests >= 200
