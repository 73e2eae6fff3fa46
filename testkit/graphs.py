"""Small SavedModels written with our own slice of the protocol, so that a test can put anything into them."""

from trainyard.wire import saved_model_pb2 as wire  # pants: no-infer-dep

LABELS = ["a", "b"]
SIZE = 8


def called(name):
    return wire.AttrValue(func=wire.NameAttrList(name=name))


def node(name, op, *inputs, **attributes):
    return wire.NodeDef(name=name, op=op, input=inputs, attr=attributes)


def function(name, *nodes, arguments=(), **attributes):
    signature = wire.OpDef(name=name, input_arg=[wire.OpDef.ArgDef(name=argument) for argument in arguments])
    return wire.FunctionDef(signature=signature, node_def=nodes, attr=attributes)


def meta_graph(classes=2, size=SIZE, channels=1):
    """pixels -> function `answer` -> both outputs; and a saver as TensorFlow 2 writes it."""
    meta = wire.MetaGraphDef()
    meta.meta_info_def.tags.append("serve")
    meta.graph_def.node.extend(
        [
            node("w", "VarHandleOp"),
            node("pixels", "Placeholder"),
            node("call", "StatefulPartitionedCall", "pixels", "w", f=called("answer")),
            node("init", "NoOp"),
            node("file", "Placeholder"),
            node("save", "StatefulPartitionedCall", "file", "w", f=called("saving")),
            node("restore", "StatefulPartitionedCall", "file", "w", f=called("restoring")),
        ]
    )
    meta.graph_def.library.function.extend(
        [
            function("answer", node("s", "Softmax", "x"), arguments=["x", "w"]),
            function("saving", node("save", "SaveV2", "prefix"), arguments=["prefix", "w"]),
            function("restoring", node("read", "RestoreV2", "prefix"), arguments=["prefix", "w"]),
        ]
    )
    meta.saver_def.filename_tensor_name = "file:0"
    meta.saver_def.save_tensor_name = "save:0"
    meta.saver_def.restore_op_name = "restore"
    signature = meta.signature_def["serving_default"]
    signature.method_name = "tensorflow/serving/predict"
    put(signature.inputs["pixels"], "pixels:0", 4, [-1, size, size, channels])
    put(signature.outputs["probabilities"], "call:0", 1, [-1, classes])
    put(signature.outputs["labels"], "call:1", 7, [-1, classes])
    meta.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name = "init"
    return meta


def tells(meta, *names, signature="imaging"):
    """Adds a signature that tells `names`, as constants of the graph."""
    signature = meta.signature_def[signature]
    signature.method_name = "tensorflow/serving/predict"
    if all(one.name != "told" for one in meta.graph_def.node):
        meta.graph_def.node.append(node("told", "Const"))
    for name in names:
        put(signature.outputs[name], "told:0", 7, [])
    return signature


def put(info, name, dtype, shape):
    info.name, info.dtype = name, dtype
    del info.tensor_shape.dim[:]
    for size in shape:
        info.tensor_shape.dim.add(size=size)


def write(folder, *metas):
    """A folder with all its files and these graphs in it."""
    (folder / "variables").mkdir(parents=True)
    for name in ("variables.index", "variables.data-00000-of-00001"):
        (folder / "variables" / name).write_bytes(b"values")
    (folder / "saved_model.pb").write_bytes(wire.SavedModel(meta_graphs=metas).SerializeToString())
    return folder
