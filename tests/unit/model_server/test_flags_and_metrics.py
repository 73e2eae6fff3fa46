"""Flags, metrics and configuration text."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from serving.model_server import __main__, flags, metrics, server
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


@pytest.mark.parametrize(
    ("variable", "given", "host"),
    [
        (None, [], "127.0.0.1"),
        ("", [], "127.0.0.1"),
        ("0.0.0.0", [], "0.0.0.0"),
        ("0.0.0.0", ["--host=127.0.0.1"], "127.0.0.1"),
    ],
)
def test_it_listens_on_this_machine_alone_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, variable: str | None, given: list[str], host: str
) -> None:
    monkeypatch.delenv("MODEL_SERVER_HOST", raising=False)
    if variable is not None:
        monkeypatch.setenv("MODEL_SERVER_HOST", variable)
    assert flags.parse([*BASE, *given]).host == host


def test_flags_of_the_original_that_change_nothing_are_told_of() -> None:
    given = flags.parse([*BASE, "--num_unload_threads=2", "--enable_profiler=false", "--xla_cpu_compilation_enabled"])
    assert [text.split()[0] for text in flags.without_effect(given)] == [
        "--num_unload_threads", "--xla_cpu_compilation_enabled",
    ]  # fmt: skip
    both = flags.parse([*BASE, "--model_config_file=/c"])
    assert flags.without_effect(both) == ["--model_base_path is ignored: --model_config_file says what is served."]


@pytest.mark.parametrize(
    ("spelling", "text"),
    [
        ("--use_alts_credentials", "use --ssl_config_file"),
        ("--platform_config_file=/p", "only SavedModels"),
        ("--ssl_config_fil=/s", "Unknown flag --ssl_config_fil; did you mean --ssl_config_file?"),
        ("--zzz", "Unknown flag --zzz. See"),
        ("zzz", "Unexpected argument zzz: every flag begins with --. See"),
        ("--grpc_channel_arguments=a", "key=value"),
        ("--rest_api_max_body_mib=0", "at least 1"),
    ],
)
def test_flags_that_protect_and_mistakes_end_the_start(
    spelling: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        flags.parse([*BASE, spelling])
    assert ended.value.code == 2
    assert text in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "threads"),
    [
        ([], None),
        (["--tensorflow_session_parallelism=3"], (3, 3)),
        (["--tensorflow_session_parallelism=3", "--tensorflow_intra_op_parallelism=2"], (2, 0)),
        (["--tensorflow_inter_op_parallelism=4"], (0, 4)),
    ],
)
def test_flags_of_threads_go_before_the_sessions_file(
    given: list[str], threads: tuple[int, int] | None, tmp_path: Path
) -> None:
    file = tmp_path / "session"
    file.write_text("intra_op_parallelism_threads: 7 inter_op_parallelism_threads: 8 allow_soft_placement: true")
    parsed = flags.parse([*BASE, *given, f"--tensorflow_session_config_file={file}"])
    session = server.session(parsed)
    assert session is not None and session.allow_soft_placement
    assert (session.intra_op_parallelism_threads, session.inter_op_parallelism_threads) == (threads or (7, 8))


def test_all_three_flags_of_threads_contradict_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        flags.parse([*BASE, *(f"--tensorflow_{kind}_parallelism=1" for kind in ("session", "intra_op", "inter_op"))])
    assert "Give either --tensorflow_session_parallelism" in capsys.readouterr().err


def test_names_that_clients_make_up_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MAX_MODEL_NAMES", 3)
    counted = metrics.Metrics()
    for number in range(6):
        counted.request(f"m{number % 5}", "Predict", "GRPC", "NOT_FOUND", 1.0)
    monkeypatch.setattr(metrics, "MAX_MODEL_NAMES", 1000)
    counted.request("m3" * metrics.MAX_NAME_LENGTH, "Predict", "GRPC", "OUT_OF_RANGE", 1.0)
    text = counted.text().decode()
    assert ':request_count{model_name="other",status="OUT_OF_RANGE"} 1' in text
    assert ':request_count{model_name="m0",status="NOT_FOUND"} 2' in text
    assert ':request_count{model_name="other",status="NOT_FOUND"} 2' in text
    assert "m3" not in text
    assert "request_latency_bucket" not in text


def test_these_are_the_metrics() -> None:
    heads = [line for line in metrics.Metrics().text().decode().splitlines() if line.startswith("#")]
    assert heads == [
        "# TYPE :tensorflow:serving:request_count counter",
        "# TYPE :tensorflow:serving:request_latency histogram",
        "# TYPE :tensorflow:serving:runtime_latency histogram",
    ]


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


def test_answers_are_sent_without_waiting_for_the_client_to_confirm_their_first_half() -> None:
    with __main__._listen("127.0.0.1", 0) as listener:
        listener.listen()
        with socket.create_connection(listener.getsockname()):
            connection, _ = listener.accept()
            with connection:
                assert connection.proto == socket.IPPROTO_TCP  # what asyncio looks at before it sets TCP_NODELAY
