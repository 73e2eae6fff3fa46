"""Command-line flags: those of `tensorflow_model_server`, and `--host`."""

from __future__ import annotations

import argparse
import difflib
import os
import re
from collections.abc import Sequence
from typing import NoReturn

from serving.model_server.version import VERSION

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
        found = re.search(r"unrecognized arguments: -*([^\s=]+)", message)
        near = difflib.get_close_matches(found[1], [action.dest for action in self._actions], 1) if found else []
        if found and not re.search(r"arguments: -", message):
            message = f"Unexpected argument {found[1]}: every flag begins with --"
        elif found:
            message = f"Unknown flag --{found[1]}" + (f"; did you mean --{near[0]}?" if near else "")
        self.exit(2, f"error: {message.rstrip('.')}{'' if message.endswith('?') else '.'} See --help for the flags.\n")

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
# are accepted, with a line in the log, so that one command line starts either server, and they change nothing here.
_WITHOUT_EFFECT = {
    "enable_profiler": "there is no profiler service",
    "flush_filesystem_caches": "the machine's cache is left alone",
    "mixed_precision": "models run as they were saved",
    "num_tflite_interpreters_per_pool": "TensorFlow Lite models are not served",
    "num_tflite_pools": "TensorFlow Lite models are not served",
    "num_unload_threads": "versions are unloaded one after the other",
    "per_process_gpu_memory_fraction": "models run on the processor",
    "prefer_tflite_model": "TensorFlow Lite models are not served, the TensorFlow graph beside them is",
    "remove_unused_fields_from_bundle_metagraph": "nothing is removed from a model",
    "skip_initialize_tpu": "models run on the processor",
    "thread_pool_factory_config_file": "threads are those of --tensorflow_intra_op_parallelism",
    "xla_cpu_compilation_enabled": "functions saved with jit_compile are compiled, others are not",
    "xla_gpu_compilation_enabled": "models run on the processor",
}
_OFF = {None, "", "0", "false", "False"}
# What these ask for protects, or decides what is served: to leave it out in silence would be worse than not to start.
_REFUSED = {
    "platform_config_file": 'only SavedModels are served, by the platform "tensorflow"',
    "use_alts_credentials": "ALTS is Google Cloud's; use --ssl_config_file for TLS",
}


def parser() -> argparse.ArgumentParser:
    """The parser with every flag."""
    flags = _Parser()
    flags.string(
        "host",
        os.environ.get("MODEL_SERVER_HOST") or "127.0.0.1",
        "address to listen on; 0.0.0.0 for every interface (default: what MODEL_SERVER_HOST says, or 127.0.0.1)",
    )
    flags.number("port", 8500, "TCP port for gRPC, 0 for none")
    flags.string("grpc_socket_path", "", "also listen for gRPC on this unix socket")
    flags.number("rest_api_port", 0, "TCP port for REST, 0 for none")
    flags.number("rest_api_num_threads", 4 * (os.cpu_count() or 1), "REST requests handled at once")
    flags.number("rest_api_timeout_in_ms", 30000, "longest run of a REST request, in milliseconds; 0 for no limit")
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
    flags.boolean(
        "enable_per_model_batching_parameters",
        False,
        "read sizes and times of batches from batching_params.pbtxt in a version's folder; versions without it are not "
        "batched",
    )
    flags.string("monitoring_config_file", "", "text-format MonitoringConfig: metrics for Prometheus on the REST port")
    flags.string("ssl_config_file", "", "text-format SSLConfig: TLS on the gRPC port")
    flags.boolean("enable_grpc_healthcheck_service", False, "offer grpc.health.v1.Health")
    flags.boolean("enable_signature_method_name_check", False, "refuse a signature whose method name does not fit")
    flags.boolean(
        "enable_serialization_as_tensor_content", False, "answer Predict with tensor_content, not typed fields"
    )
    flags.string(
        "tensorflow_session_config_file",
        "",
        "text-format ConfigProto of the models' sessions; flags of threads go first",
    )
    flags.string(
        "grpc_channel_arguments", "", "key=value,… for the gRPC server, such as grpc.max_connection_age_ms=2000"
    )
    flags.number(
        "rest_api_max_body_mib", 100, "largest body of a REST request, also after decompression; larger ones are 413"
    )
    for name, reason in _WITHOUT_EFFECT.items():
        flags.add_argument(
            f"--{name}", nargs="?", const="true", metavar="ANY", help=f"accepted, without effect: {reason}"
        )
    for name, reason in _REFUSED.items():
        flags.add_argument(f"--{name}", nargs="?", const="true", metavar="ANY", help=f"refused: {reason}")
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


def without_effect(parsed: argparse.Namespace) -> list[str]:
    """A sentence for each flag that was given and changes nothing."""
    given = [name for name in _WITHOUT_EFFECT if getattr(parsed, name) not in _OFF]
    if parsed.model_config_file and parsed.model_base_path:
        return ["--model_base_path is ignored: --model_config_file says what is served."] + [
            f"--{name} is without effect: {_WITHOUT_EFFECT[name]}." for name in given
        ]
    return [f"--{name} is without effect: {_WITHOUT_EFFECT[name]}." for name in given]


def _check(flags: argparse.ArgumentParser, parsed: argparse.Namespace) -> None:
    if not parsed.model_base_path and not parsed.model_config_file:
        flags.error("Both --model_base_path and --model_config_file are empty: give one of them.")
    for name, reason in _REFUSED.items():
        if getattr(parsed, name) not in _OFF:
            flags.error(f"--{name} is not supported: {reason}.")
    threads = ("session", "intra_op", "inter_op")
    if all(getattr(parsed, f"tensorflow_{kind}_parallelism") > 0 for kind in threads):
        flags.error("Give either --tensorflow_session_parallelism or the flags for intra- and inter-op parallelism.")
    if parsed.rest_api_max_body_mib < 1:
        flags.error(f"--rest_api_max_body_mib must be at least 1, received {parsed.rest_api_max_body_mib}.")
    for argument in filter(None, parsed.grpc_channel_arguments.split(",")):
        if argument.count("=") != 1:
            flags.error(f"--grpc_channel_arguments takes key=value,key=value, received {argument!r}.")
    if parsed.port == 0 and not parsed.grpc_socket_path:
        flags.error("--port is 0 and --grpc_socket_path is not set: give one of them.")
    if parsed.batching_parameters_file and not parsed.enable_batching:
        flags.error("--batching_parameters_file is set without --enable_batching: add it or leave the file out.")
    for name in ("port", "rest_api_port"):
        if not 0 <= getattr(parsed, name) <= 65535:
            flags.error(f"--{name} must lie between 0 and 65535, received {getattr(parsed, name)}.")
    if parsed.rest_api_port and parsed.rest_api_port == parsed.port:
        flags.error("--rest_api_port must differ from --port.")
