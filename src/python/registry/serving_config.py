"""models.config: which versions a model server loads, and which label points to which.

TensorFlow Serving's own format (ModelServerConfig as text), so an operator may have written it by hand. Entries of
other models are kept as they are.
"""

from dataclasses import dataclass, field

from google.protobuf import text_format

from registry.errors import Corrupt
from trainyard.wire.tensorflow_serving_pb2 import ModelConfig, ModelServerConfig  # pants: no-infer-dep

STABLE = "stable"
PREVIOUS = "previous"
_PLATFORM = "tensorflow"


@dataclass(frozen=True)
class ServingState:
    """The versions of one model that servers load, ascending, and the labels on them."""

    versions: tuple[int, ...] = ()
    labels: dict[str, int] = field(default_factory=dict)
    # Of the object it was read from; 0 when there was none.
    generation: int = 0
    # Where servers look for the versions, as the configuration says; "" where it says nothing.
    base_path: str = field(default="", compare=False)

    @property
    def stable(self) -> int | None:
        return self.labels.get(STABLE)

    @property
    def previous(self) -> int | None:
        return self.labels.get(PREVIOUS)

    def __post_init__(self) -> None:
        if list(self.versions) != sorted(set(self.versions)) or any(version < 1 for version in self.versions):
            raise ValueError(f"versions are positive, ascending and named once, not {self.versions}")
        for label, version in self.labels.items():
            if version not in self.versions:
                raise ValueError(f"label '{label}' points to version {version}, which is not among those loaded")


def parse(data: bytes, model: str, where: str, generation: int) -> ServingState:
    """What a configuration says about `model`; nothing when it does not name the model.

    Raises:
        Corrupt: the text can't be parsed, or says something that Trainyard can't keep.
    """
    entry = _entry(_message(data, where), model)
    if entry is None:
        return ServingState(generation=generation)
    if not entry.model_version_policy.HasField("specific"):
        raise Corrupt(
            f"{where} does not say which versions of '{model}' to load; "
            "write model_version_policy { specific { versions: N } } in its entry."
        )
    versions = tuple(sorted(set(entry.model_version_policy.specific.versions)))
    try:
        return ServingState(versions, dict(entry.version_labels), generation, entry.base_path)
    except ValueError as error:
        raise Corrupt(f"{where} contradicts itself about '{model}': {error}. Correct the file.") from None


def render(state: ServingState, model: str, base_path: str, earlier: bytes, where: str) -> bytes:
    """`earlier` (or nothing) with its entry of `model` made to say `state`; without versions the entry goes."""
    message = _message(earlier, where)
    configs = message.model_config_list.config
    entry = _entry(message, model)
    if not state.versions:
        if entry is not None:
            configs.remove(entry)
    else:
        if entry is None:
            entry = configs.add(name=model)
        entry.base_path = base_path
        entry.model_platform = _PLATFORM
        entry.model_version_policy.specific.versions[:] = state.versions
        entry.version_labels.clear()
        entry.version_labels.update(state.labels)
    message.model_config_list.SetInParent()
    return text_format.MessageToString(message).encode()


def _entry(message: ModelServerConfig, model: str) -> ModelConfig | None:
    return next((entry for entry in message.model_config_list.config if entry.name == model), None)


def _message(data: bytes, where: str) -> ModelServerConfig:
    try:
        return text_format.Parse(data.decode(), ModelServerConfig())
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise Corrupt(
            f"{where} is not a configuration that Trainyard understands: {error}. Correct the file."
        ) from None
