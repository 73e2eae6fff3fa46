"""Flags, metrics and configuration text: no TensorFlow."""

from __future__ import annotations

import pytest

from serving.model_server import __main__, flags
from serving.model_server.metrics import Counter, Histogram

BASE = ["--model_base_path=/m"]


@pytest.mark.parametrize("spelling", [["--port=9"], ["--port", "9"], ["-port=9"], ["-port", "9"]])
def test_every_spelling_of_a_flag(spelling: list[str]) -> None:
    assert flags.parse([*spelling, *BASE]).port == 9


@pytest.mark.parametrize(
    ("spelling", "value"),
    [
        ([], True),
        (["--enable_model_warmup"], True),
        (["--enable_model_warmup=false"], False),
        (["-enable_model_warmup=0"], False),
    ],
)
def test_every_spelling_of_a_boolean(spelling: list[str], value: bool) -> None:
    assert flags.parse([*spelling, *BASE]).enable_model_warmup is value


def test_it_listens_on_this_machine_alone_unless_told_otherwise() -> None:
    assert flags.parse(BASE).host == "127.0.0.1"


def test_counters_in_prometheus_text() -> None:
    counter = Counter("/test/path/total", ["na-me"])
    counter.add('a"b\\c')
    counter.add('a"b\\c')
    assert counter.lines() == ["# TYPE :test:path:total counter", ':test:path:total{na_me="a\\"b\\\\c"} 2']


def test_histogram_buckets_are_cumulative() -> None:
    histogram = Histogram("/h", ["m"], bounds=[1, 2])
    for value in (0.5, 1, 1.5, 7):
        histogram.observe(value, "x")
    assert histogram.lines() == [
        "# TYPE :h histogram", ':h_bucket{m="x",le="1"} 2', ':h_bucket{m="x",le="2"} 3', ':h_bucket{m="x",le="+Inf"} 4',
        ':h_sum{m="x"} 10', ':h_count{m="x"} 4',
    ]  # fmt: skip


def test_numpy_still_tells_what_the_processor_lacks() -> None:
    """Where this runs TensorFlow does, so nothing that it needs is missing."""
    assert not __main__._lacks_avx()
