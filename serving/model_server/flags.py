"""Command-line flags: those of `tensorflow_model_server`, and `--host`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import NoReturn

from cli.version import VERSION

_TRUE = {"", "1", "true", "t", "yes", "y"}
_FALSE = {"0", "false", "f", "no", "n"}


def _boolean(text: str) -> bool:
    value = text.lower()
    if value not in _TRUE | _FALSE:
        raise argparse.ArgumentTypeError(f"expected true or false, received {text!r}")
    return value in _TRUE


class _Parser(argparse.ArgumentParser):
    """argparse that takes `-flag` for `--flag`, and a following true/false for no part of a bare boolean flag."""

    def __init__(self) -> None:
        super().__init__(
            prog="model_server",
            description="Serves TensorFlow SavedModels over TensorFlow Serving's gRPC and REST protocols.",
            epilog="Examples:\n"
            "  model_server --port=8500 --rest_api_port=8501 --model_name=xray --model_base_path=/models/xray\n"
            "  model_server --grpc_socket_path=/run/models.sock --model_config_file=/models/models.config \\\n"
            "      --model_config_file_poll_wait_seconds=2\n\n"
            "Exit codes: 0 ended by a signal · 2 usage · 4 a model could not be loaded · 6 port or file not available"
            f"\n\nTrainyard {VERSION}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """One sentence instead of argparse's page of usage."""
        self.exit(2, f"error: {message.rstrip('.')}. See --help for the flags.\n")

    def string(self, name: str, default: str, text: str) -> None:
        """A flag with a text value."""
        self.add_argument(f"--{name}", default=default, metavar="TEXT", help=text)

    def number(self, name: str, default: int, text: str) -> None:
        """A flag with a whole number."""
        self.add_argument(f"--{name}", default=default, type=int, metavar="N", help=f"{text} (default {default})")

    def boolean(self, name: str, default: bool, text: str) -> None:
        """A flag that is true when bare; `--name=false` turns it off."""
        self.add_argument(
            f"--{name}", default=default, type=_boolean, nargs="?", const=True, metavar="BOOL",
            help=f"{text} (default {str(default).lower()})",
        )  # fmt: skip


# Flags of tensorflow_model_server that tune what this server does not have (another allocator, GPUs, compilers). They
# are accepted so that one command line starts either server, and they change nothing here.
_WITHOUT_EFFECT = (
    "enable_profiler",
    "flush_filesystem_caches",
    "grpc_channel_arguments",
    "num_unload_threads",
    "per_process_gpu_memory_fraction",
    "remove_unused_fields_from_bundle_metagraph",
    "skip_initialize_tpu",
    "thread_pool_factory_config_file",
)


def parser() -> argparse.ArgumentParser:
    """The parser with every flag."""
    flags = _Parser()
    flags.string("host", "127.0.0.1", "address to listen on; 0.0.0.0 for every interface (default 127.0.0.1)")
    flags.number("port", 8500, "TCP port for gRPC, 0 for none")
    flags.string("grpc_socket_path", "", "also listen for gRPC on this unix socket")
    flags.number("rest_api_port", 0, "TCP port for REST, 0 for none")
    flags.number("rest_api_num_threads", 4 * (os.cpu_count() or 1), "REST requests handled at once")
    flags.number("rest_api_timeout_in_ms", 30000, "longest run of a REST request, in milliseconds")
    flags.boolean("rest_api_enable_cors_support", False, "answer REST requests of web pages from anywhere")
    flags.number("grpc_max_threads", 4 * (os.cpu_count() or 1), "gRPC requests handled at once")
    flags.string("model_name", "default", "name of the one model (without --model_config_file)")
    flags.string("model_base_path", "", "folder of the one model's version folders (without --model_config_file)")
    flags.string("model_config_file", "", "text-format ModelServerConfig naming the models to serve")
    flags.number("model_config_file_poll_wait_seconds", 0, "read --model_config_file again this often; 0 for never")
    flags.number(
        "file_system_poll_wait_seconds", 1, "look for new version folders this often; 0 for once, -1 for never"
    )
    flags.boolean("servable_versions_always_present", False, "keep the last version when its folder disappears")
    flags.boolean(
        "allow_version_labels_for_unavailable_models", False, "let a new label name a version that is not loaded yet"
    )
    flags.number("num_load_threads", 0, "versions loaded at the same time; 0 for one after the other")
    flags.number("max_num_load_retries", 5, "further tries to load a version after the first one failed")
    flags.number("load_retry_interval_micros", 60_000_000, "pause between two tries, in microseconds")
    flags.boolean("enable_model_warmup", True, "replay assets.extra/tf_serving_warmup_requests before serving")
    flags.number("num_request_iterations_for_warmup", 0, "how often each warm-up request is replayed; 0 for once")
    flags.string("saved_model_tags", "serve", "comma-separated tags of the graph to serve")
    flags.number(
        "tensorflow_session_parallelism", 0, "threads TensorFlow uses inside and between operations; 0 for auto"
    )
    flags.number("tensorflow_intra_op_parallelism", 0, "threads inside one operation; 0 for 1, best for many callers")
    flags.number(
        "tensorflow_inter_op_parallelism", 0, "threads between operations; 0 for running in the caller's thread"
    )
    flags.boolean("enable_batching", False, "run requests that wait at the same time as one")
    flags.string("batching_parameters_file", "", "text-format BatchingParameters; needs --enable_batching")
    flags.string("monitoring_config_file", "", "text-format MonitoringConfig: metrics for Prometheus on the REST port")
    flags.string("ssl_config_file", "", "text-format SSLConfig: TLS on the gRPC port")
    flags.boolean("enable_grpc_healthcheck_service", False, "offer grpc.health.v1.Health")
    flags.boolean("enable_signature_method_name_check", False, "refuse a signature whose method name does not fit")
    flags.boolean(
        "enable_serialization_as_tensor_content", False, "answer Predict with tensor_content, not typed fields"
    )
    for name in _WITHOUT_EFFECT:
        flags.add_argument(f"--{name}", nargs="?", metavar="ANY", help="accepted, without effect in this server")
    flags.add_argument("--version", action="store_true", help="print the versions of server and TensorFlow, and end")
    return flags


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Flags from `--flag=value`, `--flag value` and `-flag`; a wrong one ends the process (status 2)."""
    flags = parser()
    doubled = [f"-{a}" if a.startswith("-") and not a.startswith("--") and a[1:2].isalpha() and a != "-h" else a
               for a in arguments]  # fmt: skip
    parsed = flags.parse_args(doubled)
    if not parsed.version:
        _check(flags, parsed)
    return parsed


def _check(flags: argparse.ArgumentParser, parsed: argparse.Namespace) -> None:
    if not parsed.model_base_path and not parsed.model_config_file:
        flags.error("Both --model_base_path and --model_config_file are empty: give one of them.")
    if parsed.model_base_path and parsed.model_config_file:
        flags.error("Give only one of --model_base_path and --model_config_file.")
    if parsed.port == 0 and not parsed.grpc_socket_path:
        flags.error("--port is 0 and --grpc_socket_path is not set: give one of them.")
    if parsed.batching_parameters_file and not parsed.enable_batching:
        flags.error("--batching_parameters_file is set without --enable_batching: add it or leave the file out.")
    for name in ("port", "rest_api_port"):
        if not 0 <= getattr(parsed, name) <= 65535:
            flags.error(f"--{name} must lie between 0 and 65535, received {getattr(parsed, name)}.")
    if parsed.rest_api_port and parsed.rest_api_port == parsed.port:
        flags.error("--rest_api_port must differ from --port.")
