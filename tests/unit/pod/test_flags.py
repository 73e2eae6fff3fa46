"""Production's flags are flags of the two programs, and fit each other."""

import typer

from serving.adapter.__main__ import app
from serving.model_server import batching_parameters, textproto
from serving.model_server.flags import parse
from serving.pod import flags


def model_server_flags():
    return parse(flags.model_server_flags("/models/models.config", "/models/batching.config", "/run/s.sock", 3))


def adapter_flags():
    command = typer.main.get_command(app)
    context = command.make_context("adapter", flags.adapter_flags("/run/s.sock", "chest-xray", "127.0.0.1", 8080, 9090))
    return context.params


def test_model_server_listens_on_its_socket_alone():
    parsed = model_server_flags()
    assert (parsed.port, parsed.rest_api_port) == (0, 0)
    assert parsed.grpc_socket_path == "/run/s.sock"


def test_model_server_reads_its_configuration_again_and_batches():
    parsed = model_server_flags()
    assert (parsed.model_config_file, parsed.model_config_file_poll_wait_seconds) == ("/models/models.config", 3)
    assert parsed.file_system_poll_wait_seconds == 3
    assert parsed.enable_batching
    assert parsed.batching_parameters_file == "/models/batching.config"


def test_label_of_a_version_that_is_not_loaded_yet_is_taken():
    # Or no model server could start on production's configuration.
    assert model_server_flags().allow_version_labels_for_unavailable_models


def test_adapter_asks_the_model_server_and_listens_where_it_is_told():
    given = adapter_flags()
    assert (given["backend"], given["model"]) == ("unix:/run/s.sock", "chest-xray")
    assert (given["host"], given["http_port"], given["grpc_port"]) == ("127.0.0.1", 8080, 9090)


def test_model_server_takes_all_that_the_adapter_lets_in(tmp_path):
    file = flags.write_batching(tmp_path)
    assert file.parent == tmp_path
    batches, adapter = batching_parameters.parameters(textproto.read(str(file), "BatchingParameters")), adapter_flags()
    assert batches.max_batch_size >= adapter["max_images"]
    assert batches.max_enqueued_batches >= adapter["max_in_flight"]
    assert batches.timeout_seconds < adapter["request_timeout"] / 100
