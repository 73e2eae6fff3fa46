"""The slice of TensorFlow's SavedModel is the original's, field by field, down to the messages within."""

import pytest
from google.protobuf.descriptor import FieldDescriptor

from trainyard.wire import saved_model_pb2 as wire  # pants: no-infer-dep

# An enum of the original is a plain number on the wire.
SAME_ON_THE_WIRE = {FieldDescriptor.TYPE_ENUM: FieldDescriptor.TYPE_INT32}


def pairs():
    """(name, our message, the original) of every message that can be reached from SavedModel."""
    from tensorflow.core.protobuf import saved_model_pb2

    found, queue = {}, [(wire.SavedModel.DESCRIPTOR, saved_model_pb2.SavedModel.DESCRIPTOR)]
    while queue:
        ours, theirs = queue.pop()
        if ours.full_name in found:
            continue
        found[ours.full_name] = (ours, theirs)
        original = theirs.fields_by_name
        queue += [(f.message_type, original[f.name].message_type) for f in ours.fields if f.message_type]
    return found


def kind(field):
    return SAME_ON_THE_WIRE.get(field.type, field.type)


def test_every_field_is_the_originals():
    for name, (ours, theirs) in pairs().items():
        assert ours.name == theirs.name, name
        for field in ours.fields:
            assert field.name in theirs.fields_by_name, f"{name}.{field.name}"
            original = theirs.fields_by_name[field.name]
            assert (field.number, kind(field)) == (original.number, kind(original)), f"{name}.{field.name}"
            assert field.is_repeated == original.is_repeated, f"{name}.{field.name}"
            # Of the members of a oneof the last on the wire counts; elsewhere all do.
            assert bool(field.containing_oneof) <= bool(original.containing_oneof), f"{name}.{field.name}"


def test_every_message_of_the_slice_is_compared():
    assert set(wire.DESCRIPTOR.message_types_by_name) <= {name.split(".")[2] for name in pairs()}


@pytest.mark.parametrize("name", ["func", "list", "s"])
def test_what_the_original_writes_is_read(name):
    from tensorflow.core.framework import attr_value_pb2

    theirs = attr_value_pb2.AttrValue()
    if name == "func":
        theirs.func.name = "f"
    elif name == "list":
        theirs.list.func.add().name = "f"
    else:
        theirs.s = b"f"
    assert wire.AttrValue.FromString(theirs.SerializeToString()).WhichOneof("value") == name
