"""The slice of TensorFlow Serving's wire API is the original's, field by field."""

import pytest
from google.protobuf.descriptor import FieldDescriptor

from trainyard.wire import tensorflow_serving_pb2 as wire  # pants: no-infer-dep

ORIGINALS = {
    "TensorShapeProto": ("tensorflow.core.framework.tensor_shape_pb2", "TensorShapeProto"),
    "TensorProto": ("tensorflow.core.framework.tensor_pb2", "TensorProto"),
    "ModelSpec": ("tensorflow_serving.apis.model_pb2", "ModelSpec"),
    "PredictRequest": ("tensorflow_serving.apis.predict_pb2", "PredictRequest"),
    "PredictResponse": ("tensorflow_serving.apis.predict_pb2", "PredictResponse"),
    "StatusProto": ("tensorflow_serving.apis.status_pb2", "StatusProto"),
    "GetModelStatusRequest": ("tensorflow_serving.apis.get_model_status_pb2", "GetModelStatusRequest"),
    "ModelVersionStatus": ("tensorflow_serving.apis.get_model_status_pb2", "ModelVersionStatus"),
    "GetModelStatusResponse": ("tensorflow_serving.apis.get_model_status_pb2", "GetModelStatusResponse"),
    "TensorInfo": ("tensorflow.core.protobuf.meta_graph_pb2", "TensorInfo"),
    "SignatureDef": ("tensorflow.core.protobuf.meta_graph_pb2", "SignatureDef"),
    "SignatureDefMap": ("tensorflow_serving.apis.get_model_metadata_pb2", "SignatureDefMap"),
    "GetModelMetadataRequest": ("tensorflow_serving.apis.get_model_metadata_pb2", "GetModelMetadataRequest"),
    "GetModelMetadataResponse": ("tensorflow_serving.apis.get_model_metadata_pb2", "GetModelMetadataResponse"),
    "ModelConfig": ("tensorflow_serving.config.model_server_config_pb2", "ModelConfig"),
    "ModelConfigList": ("tensorflow_serving.config.model_server_config_pb2", "ModelConfigList"),
    "ModelServerConfig": ("tensorflow_serving.config.model_server_config_pb2", "ModelServerConfig"),
}
# An enum of the original is a plain number on the wire.
SAME_ON_THE_WIRE = {FieldDescriptor.TYPE_ENUM: FieldDescriptor.TYPE_INT32}


def kind(field):
    return SAME_ON_THE_WIRE.get(field.type, field.type)


@pytest.mark.parametrize("name", ORIGINALS)
def test_every_field_is_the_originals(name):
    import importlib

    module, message = ORIGINALS[name]
    original = getattr(importlib.import_module(module), message).DESCRIPTOR.fields_by_name
    for field in wire.DESCRIPTOR.message_types_by_name[name].fields:
        assert field.name in original, f"{name}.{field.name}"
        theirs = original[field.name]
        assert (field.number, kind(field)) == (theirs.number, kind(theirs)), f"{name}.{field.name}"
        assert field.is_repeated == theirs.is_repeated, f"{name}.{field.name}"


def test_version_policy_is_the_originals():
    from tensorflow_serving.config import file_system_storage_path_source_pb2 as source

    theirs = source.FileSystemStoragePathSourceConfig.ServableVersionPolicy(
        specific=source.FileSystemStoragePathSourceConfig.ServableVersionPolicy.Specific(versions=[3, 5])
    )
    ours = wire.ServableVersionPolicy.FromString(theirs.SerializeToString())
    assert list(ours.specific.versions) == [3, 5]


def test_states_have_the_originals_numbers():
    from tensorflow_serving.apis import get_model_status_pb2

    assert dict(wire.ModelVersionStatus.State.items()) == dict(get_model_status_pb2.ModelVersionStatus.State.items())


def test_configuration_reads_the_same_as_text():
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    ours = wire.ModelServerConfig()
    entry = ours.model_config_list.config.add(name="m", base_path="/m", model_platform="tensorflow")
    entry.model_version_policy.specific.versions.extend([1, 2])
    entry.version_labels["stable"] = 2
    theirs = text_format.Parse(text_format.MessageToString(ours), model_server_config_pb2.ModelServerConfig())
    assert theirs.SerializeToString(deterministic=True) == ours.SerializeToString(deterministic=True)
