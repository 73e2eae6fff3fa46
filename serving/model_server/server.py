"""Puts the parts together: models, gRPC, REST, and the polling of the configuration file."""

from __future__ import annotations

import argparse
import logging
import os
import socket
import stat
import threading
from collections.abc import Callable
from functools import partial

import grpc
from google.protobuf import text_format
from tensorflow.core.protobuf import config_pb2 as tf_config_pb2
from tensorflow_serving.config import model_server_config_pb2 as config_pb2

from serving.model_server import config as configuration
from serving.model_server import textproto
from serving.model_server.batching import Batcher, ModelBatcher
from serving.model_server.batching_parameters import BatchingParameters, parameters
from serving.model_server.errors import ServingError, StartError, invalid
from serving.model_server.grpc_service import GrpcServer
from serving.model_server.handlers import Handlers
from serving.model_server.http_server import HttpServer
from serving.model_server.long_runs import LongRuns
from serving.model_server.manager import Manager, Policies
from serving.model_server.metrics import Metrics
from serving.model_server.model import SavedModel, Threads
from serving.model_server.predict import PredictOptions
from serving.model_server.rest import RestApi
from serving.model_server.warmup import warm_up

log = logging.getLogger(__name__)
# Requests over gRPC, and over REST, at once. Most of them wait for their model; threads are made as they are needed.
_MIN_THREADS, _MAX_THREADS = 128, 512
_FIRST_LOADS_A_CORE = 4  # as in the original
_OWN_PARAMETERS = "batching_params.pbtxt"  # in a version's folder
_METRICS_PATH = "/monitoring/prometheus/metrics"


class Server:
    """One process's server. `start` returns when it answers; `stop` drains it."""

    def __init__(self, flags: argparse.Namespace, listener: socket.socket | None) -> None:
        """`listener` is the bound socket for REST. Raises StartError for a configuration that cannot be served."""
        self._flags = flags
        self.start_error: StartError | None = None
        self._config = self._first_config()
        self._credentials = _credentials(flags.ssl_config_file) if flags.ssl_config_file else None
        self._manager = Manager(self._load, _policies(flags))
        options = PredictOptions(flags.enable_signature_method_name_check, flags.enable_serialization_as_tensor_content)
        self._metrics = metrics = Metrics()
        handlers = Handlers(self._manager, metrics, options)
        threads = max(_MIN_THREADS, flags.grpc_max_threads)
        self._long_runs = LongRuns()
        self._batcher = None
        if flags.enable_batching:
            chosen = _batching(flags.batching_parameters_file)
            self._batcher = Batcher(chosen, self._long_runs)
            # Every request of a batch waits in a thread of its own.
            threads = min(_MAX_THREADS, max(threads, chosen.max_batch_size * (chosen.threads + 1)))
        self._session = session(flags)
        self._grpc = GrpcServer(
            handlers, metrics, threads, flags.enable_grpc_healthcheck_service, flags.grpc_channel_arguments
        )
        self._http = None
        pages = _pages(flags.monitoring_config_file, metrics)
        if listener is not None:
            rest_threads = max(threads, flags.rest_api_num_threads)
            self._http = HttpServer(
                RestApi(handlers, metrics),
                listener,
                rest_threads,
                flags.rest_api_timeout_in_ms / 1000,
                flags.rest_api_enable_cors_support,
                pages,
                flags.rest_api_max_body_mib * 2**20,
            )
        self._stopping = threading.Event()
        self._serving = False

    def start(self) -> None:
        """Load every configured model, then answer. Raises ServingError or StartError."""
        threading.Thread(target=self._manager.watch, name="watch", daemon=True).start()
        # A folder without versions is no error, it may be filled later; nothing is answered until then.
        self._manager.reload(self._config, give_up=self._stopping.is_set)
        self._bind()
        self._grpc.start()
        self._serving = True
        for address in self._addresses():
            log.info("Running gRPC ModelServer at %s ...", address.replace("unix:", "UNIX socket ", 1))
        if self._http is not None:
            self._http.start()
            log.info("Exporting HTTP/REST API at:%s:%s ...", self._flags.host, self._flags.rest_api_port)
        if self._flags.model_config_file and self._flags.model_config_file_poll_wait_seconds > 0:
            threading.Thread(target=self._poll_config, name="config", daemon=True).start()

    def stop(self, seconds: float) -> None:
        """Take no new requests and let the ones that run finish, for at most `seconds`."""
        self._stopping.set()
        self._manager.stop()
        if self._serving:
            log.info("Stopping: letting the requests that run finish")
            draining = [
                threading.Thread(target=part.drain, args=(seconds,)) for part in (self._grpc, self._http) if part
            ]
            for thread in draining:
                thread.start()
            for thread in draining:
                thread.join()

    def _addresses(self) -> list[str]:
        host = f"[{self._flags.host}]" if ":" in self._flags.host else self._flags.host
        addresses = [f"{host}:{self._flags.port}"] if self._flags.port else []
        if self._flags.grpc_socket_path:
            addresses.append(f"unix:{os.path.abspath(self._flags.grpc_socket_path)}")
        return addresses

    def _bind(self) -> None:
        path = self._flags.grpc_socket_path
        if path and os.path.exists(path) and stat.S_ISSOCK(os.stat(path).st_mode):
            os.unlink(path)  # left by a server that was killed
        for address in self._addresses():
            try:
                self._grpc.bind(address, self._credentials)
            except OSError as error:
                raise StartError(f"Cannot listen on {address} ({error}): choose another address.", 6) from None

    def _first_config(self) -> config_pb2.ModelServerConfig:
        try:
            if not self._flags.model_config_file:
                return configuration.single_model(self._flags.model_name, self._flags.model_base_path)
            config = configuration.read(self._flags.model_config_file)
            configuration.check(config, None)
            return config
        except ServingError as error:
            raise StartError(f"Failed to start server. Error: {error}", 2) from None

    def _poll_config(self) -> None:
        path, said = self._flags.model_config_file, ""
        while not self._stopping.wait(self._flags.model_config_file_poll_wait_seconds):
            try:
                # Unchanged or not: a label that waited for its version is set as soon as that is available.
                self._manager.reload(configuration.read(path), self._stopping.is_set)
                said = ""
            except ServingError as error:
                if str(error) != said:
                    log.error("The configuration in %s is not taken over: %s", path, error)
                said = str(error)
            except Exception:
                log.exception("Polling the configuration failed; trying again")

    def _load(self, name: str, number: int, path: str) -> SavedModel:
        tags = self._flags.saved_model_tags.split(",")
        observe = partial(self._metrics.runtime, name)
        batcher = self._batcher_of(path)
        model = SavedModel(
            path, _threads(self._flags), tags, batcher, observe, self._session, long_runs=self._long_runs
        )
        if self._flags.enable_model_warmup:
            try:
                warm_up(model, number, max(1, self._flags.num_request_iterations_for_warmup))
            except BaseException:
                model.close()
                raise
        return model

    def _batcher_of(self, path: str) -> Batcher | ModelBatcher | None:
        """Of the version in the folder `path`. Raises ServingError for parameters of its own that cannot be used."""
        if self._batcher is None or not self._flags.enable_per_model_batching_parameters:
            return self._batcher
        file = f"{path}/{_OWN_PARAMETERS}"
        if not textproto.exists(file):
            return None  # as in the original: its requests run one by one
        try:
            return ModelBatcher(self._batcher, parameters(textproto.read(file, "BatchingParameters")))
        except StartError as error:
            raise invalid(str(error)) from None


def _policies(flags: argparse.Namespace) -> Policies:
    return Policies(
        load_threads=flags.num_load_threads,
        first_load_threads=_FIRST_LOADS_A_CORE * (os.cpu_count() or 1),
        load_retries=flags.max_num_load_retries,
        retry_seconds=flags.load_retry_interval_micros / 1e6,
        labels_for_unavailable=flags.allow_version_labels_for_unavailable_models,
        poll_seconds=flags.file_system_poll_wait_seconds,
        versions_always_present=flags.servable_versions_always_present,
    )


def _given_threads(flags: argparse.Namespace) -> tuple[int, int] | None:
    """Inside and between operations; None where no flag says anything. As in the original, the finer flags go first."""
    intra, inter = flags.tensorflow_intra_op_parallelism, flags.tensorflow_inter_op_parallelism
    if intra > 0 or inter > 0:
        return intra, inter
    both = flags.tensorflow_session_parallelism
    return (both, both) if both > 0 else None


def _threads(flags: argparse.Namespace) -> Threads:
    intra, inter = _given_threads(flags) or (0, 0)
    return Threads(intra or 1, inter)


def session(flags: argparse.Namespace) -> tf_config_pb2.ConfigProto | None:
    """The sessions' configuration. Raises StartError for a file that is none."""
    path = flags.tensorflow_session_config_file
    if not path:
        return None
    try:
        with open(path, encoding="utf-8") as file:
            chosen = text_format.Parse(file.read(), tf_config_pb2.ConfigProto())
    except text_format.ParseError as error:
        raise StartError(f"{path} is not a ConfigProto in text format: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"Cannot read {path}: {getattr(error, 'strerror', None) or error}", 6) from None
    if (given := _given_threads(flags)) is not None:
        chosen.intra_op_parallelism_threads, chosen.inter_op_parallelism_threads = given
    return chosen


def _batching(path: str) -> BatchingParameters:
    return parameters(textproto.read(path, "BatchingParameters")) if path else BatchingParameters()


def _pages(path: str, metrics: Metrics) -> dict[str, Callable[[], bytes]]:
    if not path:
        return {}
    prometheus = textproto.read(path, "MonitoringConfig").prometheus_config
    return {prometheus.path or _METRICS_PATH: metrics.text} if prometheus.enable else {}


def _credentials(path: str) -> grpc.ServerCredentials:
    """TLS, for a unix socket too; the texts of keys and certificates stand in the file itself, as in the original."""
    chosen = textproto.read(path, "SSLConfig")
    return grpc.ssl_server_credentials(
        [(chosen.server_key.encode(), chosen.server_cert.encode())],
        root_certificates=chosen.custom_ca.encode() or None,
        require_client_auth=chosen.client_verify,
    )
