"""models.config: read as an operator may write it, written as TensorFlow Serving reads it."""

from pathlib import Path

import pytest
from google.protobuf import text_format

from cli.errors import Conflict
from registry import Corrupt, Registry, ServingState
from testkit.registries import MODEL, open_registry
from trainyard.wire.tensorflow_serving_pb2 import ModelServerConfig  # pants: no-infer-dep

BY_HAND = """
# Two models on one server.
model_config_list: {
  config: {
    name: 'other', base_path: '/models/other' model_platform: "tensorflow"
    model_version_policy { latest { num_versions: 2 } }
  }
  config < name: "chest-xray" base_path: "/models/chest-xray"
    model_version_policy: { specific: { versions: [4, 2] } }
    version_labels { key: "stable" value: 4 }
    version_labels { key: "canary", value: 2 } >
}
"""


def by_hand(registry: Registry, text: str | bytes) -> None:
    registry.store.write("production/models.config", text if isinstance(text, bytes) else text.encode())


def test_what_is_written_is_read_and_is_tensorflow_servings_format(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    written = registry.write_serving(ServingState((2, 3), {"stable": 3, "previous": 2}))
    assert registry.serving() == written
    entry = text_format.Parse(
        Path(registry.models_config()).read_bytes(), ModelServerConfig()
    ).model_config_list.config[0]
    assert (entry.name, entry.model_platform) == (MODEL, "tensorflow")
    assert entry.base_path == registry.store.uri("production") and Path(entry.base_path).is_absolute()
    assert list(entry.model_version_policy.specific.versions) == [2, 3]
    assert dict(entry.version_labels) == {"stable": 3, "previous": 2}


def test_configuration_written_by_hand_is_understood(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    by_hand(registry, BY_HAND)
    state = registry.serving()
    assert (state.versions, state.labels, state.stable) == ((2, 4), {"stable": 4, "canary": 2}, 4)


def test_entries_of_other_models_are_kept(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    by_hand(registry, BY_HAND)
    registry.write_serving(ServingState((5,), {"stable": 5}, registry.serving().generation))
    config = text_format.Parse(Path(registry.models_config()).read_bytes(), ModelServerConfig())
    other, ours = config.model_config_list.config
    assert (other.base_path, other.model_version_policy.latest.num_versions) == ("/models/other", 2)
    assert list(ours.model_version_policy.specific.versions) == [5]


def test_serving_nothing_is_an_empty_list(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    first = registry.write_serving(ServingState((1,), {"stable": 1}))
    registry.write_serving(ServingState(generation=first.generation))
    assert registry.serving().versions == ()
    config = text_format.Parse(Path(registry.models_config()).read_bytes(), ModelServerConfig())
    assert config.HasField("model_config_list") and not config.model_config_list.config


@pytest.mark.parametrize(
    "text",
    [
        "model_config_list {",
        "nonsense: 1",
        b"\xff\xfe",
        'model_config_list { config { name: "chest-xray" model_version_policy { specific { versions: -1 } } } }',
        'model_config_list { config { name: "chest-xray" model_version_policy { specific { versions: 1 } } '
        'version_labels { key: "stable" value: 2 } } }',
        'model_config_list { config { name: "chest-xray" base_path: "/m" } }',
        'model_config_list { config { name: "chest-xray" model_version_policy { latest {} } } }',
    ],
)
def test_configuration_that_cannot_be_kept_is_named(tmp_path: Path, text: str | bytes) -> None:
    registry = open_registry(tmp_path)
    by_hand(registry, text)
    with pytest.raises(Corrupt, match=r"production/models\.config"):
        registry.serving()


def test_configuration_changed_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    registry = open_registry(tmp_path)
    first = registry.write_serving(ServingState((1,), {"stable": 1}))
    registry.write_serving(ServingState((2,), {"stable": 2}, first.generation))
    with pytest.raises(Conflict):
        registry.write_serving(ServingState((3,), {"stable": 3}, first.generation))
    assert registry.serving().stable == 2


def test_label_on_a_version_that_is_not_loaded_is_refused() -> None:
    with pytest.raises(ValueError, match="stable"):
        ServingState((1,), {"stable": 2})
