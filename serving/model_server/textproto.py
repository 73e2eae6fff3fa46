"""Text-format files whose message types the tensorflow-serving-api package leaves out."""

from __future__ import annotations

import os
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from serving.model_server.errors import StartError

_FIELD = descriptor_pb2.FieldDescriptorProto
_SCALARS = {"int64": _FIELD.TYPE_INT64, "string": _FIELD.TYPE_STRING, "bool": _FIELD.TYPE_BOOL}
# Only names matter in text format, so the field numbers are ours. "Int64" and "Text" are the wrapper messages
# ("max_batch_size { value: 32 }"), so is "Bool"; a star is a repeated field.
_MESSAGES = {
    "Int64": {"value": "int64"},
    "Text": {"value": "string"},
    "Bool": {"value": "bool"},
    "BatchingParameters": {
        "max_batch_size": "Int64", "batch_timeout_micros": "Int64", "max_enqueued_batches": "Int64",
        "num_batch_threads": "Int64", "thread_pool_name": "Text", "allowed_batch_sizes": "int64*",
        "pad_variable_length_inputs": "bool", "enable_large_batch_splitting": "Bool",
        "max_execution_batch_size": "Int64",
    },
    "PrometheusConfig": {"enable": "bool", "path": "string"},
    "MonitoringConfig": {"prometheus_config": "PrometheusConfig"},
    "SSLConfig": {"server_key": "string", "server_cert": "string", "custom_ca": "string", "client_verify": "bool"},
}  # fmt: skip


def read(path: str, message_name: str) -> Any:
    """The message in the text-format file `path`. Raises StartError when it is missing or malformed."""
    message = message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"trainyard.flags.{message_name}"))()
    try:
        return text_format.Parse(_text(path), message)
    except text_format.ParseError as error:
        raise StartError(f"{path} is not a {message_name} in text format: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"Cannot read {path}: {getattr(error, 'strerror', None) or error}", 6) from None


def exists(path: str) -> bool:
    """Whether there is such a file, local or in a bucket."""
    if "://" not in path:
        return os.path.exists(path)
    import tensorflow as tf

    return bool(tf.io.gfile.exists(path))


def _text(path: str) -> str:
    if "://" not in path:
        with open(path, encoding="utf-8") as file:
            return file.read()
    import tensorflow as tf

    try:
        return str(tf.io.gfile.GFile(path, "r").read())
    except tf.errors.OpError as error:
        raise OSError(error.message) from None


def _pool() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(name="flags.proto", package="trainyard.flags", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields.items(), start=1):
            repeated = kind.endswith("*")
            label = _FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL
            scalar = _SCALARS.get(kind.rstrip("*"))
            if scalar is not None:
                message.field.add(name=field, number=number, label=label, type=scalar)
            else:
                message.field.add(
                    name=field,
                    number=number,
                    label=label,
                    type=_FIELD.TYPE_MESSAGE,
                    type_name=f".trainyard.flags.{kind}",
                )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return pool


_POOL = _pool()
