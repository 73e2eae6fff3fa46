"""models.config (text-format ModelServerConfig) -> which versions of which folders are wanted."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2 as config_pb2

from serving.model_server.errors import failed_precondition, invalid


def single_model(name: str, base_path: str) -> config_pb2.ModelServerConfig:
    """The configuration that --model_name and --model_base_path stand for: the latest version of one model."""
    config = config_pb2.ModelServerConfig()
    path = base_path if "://" in base_path else os.path.abspath(base_path)
    config.model_config_list.config.add(name=name, base_path=path, model_platform="tensorflow")
    return config


def read(path: str) -> config_pb2.ModelServerConfig:
    """The configuration in the file `path` (local, or gs://…). Raises ServingError when missing or malformed."""
    try:
        if "://" in path:
            import tensorflow as tf

            text = tf.io.gfile.GFile(path, "r").read()
        else:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        return text_format.Parse(text, config_pb2.ModelServerConfig())
    except text_format.ParseError as error:
        raise invalid(
            f"Failed to parse ModelServerConfig file {path}: "
            f"Error parsing text-format tensorflow.serving.ModelServerConfig: {error}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise invalid(f"Failed to read ModelServerConfig file {path}: {error}") from None
    except Exception as error:  # TensorFlow's errors for remote file systems
        raise invalid(f"Failed to read ModelServerConfig file {path}: {type(error).__name__}") from None


def check(config: config_pb2.ModelServerConfig, earlier: config_pb2.ModelServerConfig | None) -> None:
    """Raises ServingError unless `config` can be served, coming from `earlier`."""
    if config.WhichOneof("config") == "custom_model_config":
        if earlier is not None and earlier.WhichOneof("config") == "model_config_list":
            raise failed_precondition("Cannot transition to requested config. It is only legal to transition from one "
                                      "ModelConfigList to another.")  # fmt: skip
        raise invalid("custom_model_config is not supported: list the models in model_config_list.")
    platforms = {model.name: _platform(model) for model in earlier.model_config_list.config} if earlier else {}
    seen: set[str] = set()
    for model in config.model_config_list.config:
        if model.name in seen:
            raise invalid(f"Illegal to list model {model.name} multiple times in config list")
        seen.add(model.name)
        platform = _platform(model)
        if (before := platforms.get(model.name, platform)) != platform:
            raise invalid(
                f"Illegal to change a model's platform. For model {model.name} platform was {before} and new platform "
                f"requested is {platform}"
            )
        if platform != "tensorflow":
            raise invalid(f"Model {model.name} requests unsupported platform {platform}")
        if "://" not in model.base_path and not model.base_path.startswith("/"):
            raise invalid(
                f"Expected model {model.name} to have an absolute path or URI; got base_path()={model.base_path}"
            )


def _platform(model: config_pb2.ModelConfig) -> str:
    if model.model_type and model.model_platform:
        raise invalid(
            "Illegal setting both ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform, "
            f"model name is {model.name}"
        )
    if model.model_type:
        if model.model_type != config_pb2.TENSORFLOW:
            raise invalid(f"ModelServerConfig::model_type choice {model.model_type} not supported.")
        return "tensorflow"
    if not model.model_platform:
        raise invalid(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform, "
            f"model name is {model.name}"
        )
    return model.model_platform


def versions_on_disk(base_path: str) -> dict[int, str]:
    """Version number -> folder, for the entries of `base_path` that are named by a number. Raises OSError."""
    if "://" in base_path:
        import tensorflow as tf

        try:
            names: Iterable[str] = [name.rstrip("/") for name in tf.io.gfile.listdir(base_path)]
        except tf.errors.OpError as error:
            raise OSError(error.message) from None
    else:
        names = os.listdir(base_path)
    found: dict[int, str] = {}
    for name in sorted(names, reverse=True):  # of "1" and "01" the plain one wins
        if name.isascii() and name.isdigit() and int(name) < 2**63:
            found[int(name)] = f"{base_path.rstrip('/')}/{name}"
    return found


def wanted(policy: Any, found: Iterable[int]) -> list[int]:
    """The versions of `found` that a ServableVersionPolicy asks for, ascending; no policy means the latest one."""
    versions = sorted(found)
    kind = policy.WhichOneof("policy_choice")
    if kind == "all":
        return versions
    if kind == "specific":
        chosen = set(policy.specific.versions)
        return [version for version in versions if version in chosen]
    count = policy.latest.num_versions or 1
    return versions[-count:]
