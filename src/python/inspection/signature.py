"""The signatures: what the model takes and gives, and how images become that, held against the contract."""

from collections.abc import Mapping

from contracts import about as facts
from imaging import ImageInput
from imaging import signature as imaging
from inspection.graph import node_of
from inspection.text import few, shown
from trainyard.wire import saved_model_pb2 as wire  # pants: no-infer-dep
from trainyard.wire import tensorflow_serving_pb2 as serving  # pants: no-infer-dep

NAME = "serving_default"
METHOD = "tensorflow/serving/predict"
_TYPES = {
    0: "no type", 1: "float32", 2: "float64", 3: "int32", 4: "uint8", 6: "int8", 7: "string", 9: "int64", 10: "bool",
    14: "bfloat16", 19: "float16",
}  # fmt: skip
_ANY = -1  # images a call
_MOST_DIMENSIONS = 8  # shown

Expected = tuple[int, list[int]]  # number of the type, shape


def check(meta: wire.MetaGraphDef, labels: list[str], image: ImageInput, about: facts.About | None = None) -> list[str]:
    """What differs from pixels uint8 [-1, S, S, channels] -> probabilities float32 [-1, C], labels string [-1, C].

    And from the signatures `imaging`, which tells how images become such pixels, and `about`, which tells figures that
    the record holds too.
    """
    nodes = {node.name for node in meta.graph_def.node}
    reasons = []
    for name, given in sorted(meta.signature_def.items()):
        for key, info in [*sorted(given.inputs.items()), *sorted(given.outputs.items())]:
            if not info.name or node_of(info.name) not in nodes:
                tensor = shown(info.name) or "(none)"
                reasons.append(
                    f"The signature {shown(name)} says that `{shown(key)}` is the tensor {tensor}, which the graph "
                    "does not have; export the model again."
                )
    if NAME not in meta.signature_def:
        others = ", ".join(shown(name) for name in sorted(meta.signature_def)[:5]) or "none"
        reasons.append(
            f"The model has no signature {NAME} (it has: {others}); export it with signatures={{'{NAME}': function}}."
        )
        return few(reasons, "tensors")
    signature = meta.signature_def[NAME]
    reasons += _method(NAME, signature)
    classes = len(labels)
    reasons += _compared("input", signature.inputs, {"pixels": (4, [_ANY, *image.shape])})
    reasons += _compared(
        "output", signature.outputs, {"probabilities": (1, [_ANY, classes]), "labels": (7, [_ANY, classes])}
    )
    reasons += _imaging(meta, image)
    reasons += _about(meta, about)
    return few(reasons, "tensors")


def _imaging(meta: wire.MetaGraphDef, image: ImageInput) -> list[str]:
    """What differs from the settings that the record tells; without this signature they are the defaults."""
    expected = imaging.outputs(image)
    wanted = ", ".join(expected)
    if imaging.NAME not in meta.signature_def:
        if expected == imaging.outputs(ImageInput(image.size)):
            return []
        return [f"The model has no signature {imaging.NAME}, so images would not become {wanted}; export it again."]
    signature = meta.signature_def[imaging.NAME]
    reasons = _method(imaging.NAME, signature)
    if set(signature.outputs) != set(expected):
        given = ", ".join(shown(name) for name in sorted(signature.outputs)[:5]) or "nothing"
        reasons.append(
            f"The signature {imaging.NAME} says {given}, expected {wanted}, as the record does; export the model again."
        )
    return reasons + _constants(imaging.NAME, signature)


def _about(meta: wire.MetaGraphDef, about: facts.About | None) -> list[str]:
    """What is wrong with what the model tells of itself. A model may tell nothing; the figures are the record's."""
    if facts.NAME not in meta.signature_def:
        return []
    signature = meta.signature_def[facts.NAME]
    reasons = _method(facts.NAME, signature) + _constants(facts.NAME, signature)
    try:
        told = facts.without_card(facts.read(signature.outputs))
    except ValueError as error:
        return [*reasons, f"The signature {facts.NAME} can't be read: {error}; export the model again."]
    if about is not None and told != facts.without_card(about):
        reasons.append(
            f"The signature {facts.NAME} says accuracy {told.accuracy} of {told.images} images, or another interval "
            f"than the record, which says {about.accuracy} of {about.images}; export the model again."
        )
    return reasons


def _constants(name: str, signature: serving.SignatureDef) -> list[str]:
    if signature.inputs or any(info.dtype != 7 or _shape(info) != [] for info in signature.outputs.values()):
        return [f"The signature {name} takes inputs or gives something else than single strings; export it again."]
    return []


def _method(name: str, signature: serving.SignatureDef) -> list[str]:
    if signature.method_name == METHOD:
        return []
    return [f"The signature {name}'s method is {shown(signature.method_name) or '(none)'}, expected {METHOD}."]


def _compared(kind: str, given: Mapping[str, serving.TensorInfo], expected: Mapping[str, Expected]) -> list[str]:
    reasons = []
    for name, (dtype, shape) in expected.items():
        wanted = f"{_TYPES[dtype]} {_listed(shape)}"
        if name not in given:
            reasons.append(f"The signature lacks the {kind} `{name}`, {wanted}; add it to the exported function.")
            continue
        found = _shape(given[name])
        if given[name].dtype != dtype or found != shape:
            received = f"{_TYPES.get(given[name].dtype, f'type {given[name].dtype}')} {_listed(found)}"
            reasons.append(
                f"The signature's {kind} `{name}` is {received}, expected {wanted}; export it as the record says, "
                "with an open number of images."
            )
    extra = sorted(set(given) - set(expected))
    if extra:
        listed = ", ".join(f"`{shown(name)}`" for name in extra[:5])
        reasons.append(f"The signature has the {kind} {listed} too much, nobody would feed or read it; leave it out.")
    return reasons


def _shape(info: serving.TensorInfo) -> list[int] | None:
    return None if info.tensor_shape.unknown_rank else [d.size for d in info.tensor_shape.dim[: _MOST_DIMENSIONS + 1]]


def _listed(shape: list[int] | None) -> str:
    if shape is None:
        return "of any shape"
    sizes = ["any" if size == _ANY else str(size) for size in shape[:_MOST_DIMENSIONS]]
    return f"[{', '.join(sizes)}{', …' if len(shape) > _MOST_DIMENSIONS else ''}]"
