"""A graph is looked at whole, and only its saver may touch files, and only the model's own."""

import itertools
from dataclasses import replace

import pytest

from contracts.about import About, outputs
from imaging import ImageInput
from inspection import graph, problems
from testkit.graphs import LABELS, SIZE, called, function, meta_graph, node, put, tells, write
from trainyard.wire import saved_model_pb2 as wire  # pants: no-infer-dep


@pytest.fixture
def meta():
    return meta_graph()


@pytest.fixture
def said(tmp_path):
    return lambda *metas: problems(write(tmp_path / "1", *metas), LABELS, SIZE)


def library(meta):
    return {f.signature.name: f for f in meta.graph_def.library.function}


def nodes(meta):
    return {n.name: n for n in meta.graph_def.node}


def test_a_plain_model_with_its_saver_is_fine(meta, said):
    assert said(meta) == []


# Where operations are looked for


def test_an_operation_that_nobody_reaches_is_found(meta, said):
    meta.graph_def.node.append(node("left", "WriteFile"))
    assert said(meta)[0].startswith(
        "The model uses the operation WriteFile (at left in the graph itself): it can write"
    )


def test_an_operation_in_a_function_that_nobody_calls_is_found(meta, said):
    meta.graph_def.library.function.append(function("left", node("r", "ReadFile"), node("s", "ReadFile")))
    assert said(meta)[0].startswith("The model uses the operation ReadFile (in function left and 1 more of it): it can")


def test_an_unknown_operation_is_refused_with_the_way_to_allow_it(meta, said):
    meta.graph_def.node.append(node("new", "MyOwnOp"))
    (reason,) = said(meta)
    assert "MyOwnOp" in reason and reason.endswith("have it added to src/python/inspection/allowed.py.")


@pytest.mark.parametrize(
    "operation",
    ["PyFunc", "EagerPyFunc", "PyFuncStateless", "MatchingFiles", "TextLineDataset", "IteratorGetNext", "PrintV2",
     "ImmutableConst", "LoadAndRemapMatrix", "Abort", "RemoteCall", "XlaCallModule", "DecodeJpeg", "WholeFileReaderV2",
     "InitializeTableFromTextFileV2", "SaveSlices", "RestoreSlice", "RpcCall", "SymbolicGradient", "relu", "Relu ", ""],
)  # fmt: skip
def test_what_is_not_on_the_list_is_refused(meta, said, operation):
    library(meta)["answer"].node_def.append(node("bad", operation))
    (reason,) = said(meta)
    assert "in function answer" in reason and (operation or "(no name)") in reason


# What the saver may, and nobody else

SHARING = {
    "a call that nobody asks for": lambda meta: meta.graph_def.node.append(
        node("c", "PartitionedCall", f=called("saving"))
    ),
    "a branch": lambda meta: library(meta)["answer"].node_def.append(
        node("c", "If", then_branch=called("answer"), else_branch=called("saving"))
    ),
    "one of a list": lambda meta: library(meta)["answer"].node_def.append(
        node("c", "Case", branches=wire.AttrValue(list=wire.AttrValue.ListValue(func=[{"name": "saving"}])))
    ),
    "an attribute of a called function": lambda meta: library(meta)["answer"].node_def.append(
        node("c", "If", f=wire.AttrValue(func=wire.NameAttrList(name="answer", attr={"g": called("saving")})))
    ),
    "a name as text": lambda meta: library(meta)["answer"].attr["forward"].CopyFrom(wire.AttrValue(s=b"saving")),
    "a signature's output": lambda meta: put(meta.signature_def["more"].outputs["o"], "save:0", 7, []),
    "a signature's input": lambda meta: put(meta.signature_def["more"].inputs["o"], "save:0", 7, []),
    "what must run before": lambda meta: nodes(meta)["call"].input.append("^save"),
    "initialisation": lambda meta: nodes(meta)["init"].input.append("^save"),
    "initialisation of old": lambda meta: meta.collection_def["legacy_init_op"].node_list.value.append("save"),
    "Python's functions": lambda meta: meta.object_graph_def.concrete_functions["saving"].SetInParent(),
    "a gradient": lambda meta: meta.graph_def.library.gradient.add(function_name="answer", gradient_func="saving"),
    "a registered gradient": lambda meta: meta.graph_def.library.registered_gradients.add(gradient_func="saving"),
    "restoring": lambda meta: nodes(meta)["restore"].input.append("^save"),
}


@pytest.mark.parametrize("way", SHARING)
def test_saving_that_something_else_can_reach_is_refused(meta, said, way):
    SHARING[way](meta)
    assert any("the operation SaveV2 (in function saving)" in reason for reason in said(meta))


ELSEWHERE = {
    "a constant": lambda meta: library(meta)["restoring"].node_def[0].input.__setitem__(0, "c:output:0"),
    "an argument that is not fed": lambda meta: library(meta)["restoring"].node_def[0].input.__setitem__(0, "w"),
    "an output called like the argument": lambda meta: (
        library(meta)["restoring"].node_def[0].input.__setitem__(0, "prefix:0")
    ),
    "no input": lambda meta: library(meta)["restoring"].node_def[0].ClearField("input"),
    "another node fed to the argument": lambda meta: nodes(meta)["restore"].input.__setitem__(0, "pixels"),
    "a fed node with other outputs": lambda meta: nodes(meta)["file"].MergeFrom(node("file", "IdentityN")),
    "a second call": lambda meta: (
        meta.graph_def.node.append(node("c", "PartitionedCall", "pixels", "w", f=called("restoring"))),
        nodes(meta)["restore"].input.append("^c"),
    ),
    "a function within": lambda meta: (
        meta.graph_def.library.function.append(
            function("deep", node("r", "RestoreV2", "prefix"), arguments=["prefix"])
        ),
        library(meta)["restoring"].node_def.append(node("c", "PartitionedCall", "prefix", f=called("deep"))),
    ),
    "a loop": lambda meta: nodes(meta)["restore"].MergeFrom(node("restore", "While")),
    "a node of the graph": lambda meta: (
        meta.graph_def.node.append(node("r", "RestoreV2", "pixels")),
        nodes(meta)["restore"].input.append("^r"),
    ),
}


@pytest.mark.parametrize("way", ELSEWHERE)
def test_restoring_from_another_file_is_refused(meta, said, way):
    ELSEWHERE[way](meta)
    assert any("RestoreV2" in reason and "file of its own choice" in reason for reason in said(meta))


def test_a_saver_of_plain_nodes_is_fine(meta, said):
    meta.graph_def.node.extend([node("r", "RestoreV2", "file"), node("all", "NoOp", "^r")])
    meta.saver_def.restore_op_name = "all"
    library(meta)["restoring"].node_def[0].op = "NoOp"
    assert said(meta) == []


def test_functions_that_call_each_other_end(meta, said):
    library(meta)["answer"].node_def.append(node("c", "PartitionedCall", f=called("again")))
    meta.graph_def.library.function.append(function("again", node("c", "PartitionedCall", f=called("answer"))))
    assert said(meta) == []


# What is unclear


def test_names_that_stand_twice_are_refused(meta, said):
    meta.graph_def.node.append(node("call", "NoOp"))
    meta.graph_def.library.function.append(function("saving"))
    reasons = said(meta)
    assert any("2 nodes named call" in reason for reason in reasons)
    assert any("2 functions named saving" in reason for reason in reasons)


def test_a_function_named_like_an_operation_is_refused(meta, said):
    meta.graph_def.library.function.append(function("Relu"))
    assert any("Relu has the name of an operation" in reason for reason in said(meta))


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a/../../b"])
def test_an_asset_outside_the_folder_is_refused(meta, said, name):
    meta.asset_file_def.add(filename=name)
    assert any("outside the model's folder" in reason for reason in said(meta))


@pytest.mark.parametrize(
    ("tags", "fragment"), [([], "none"), (["train"], "'train'"), (["serve", "tpu"], "'serve', 'tpu'")]
)
def test_the_tag_is_serve_alone(meta, said, tags, fragment):
    del meta.meta_info_def.tags[:]
    meta.meta_info_def.tags.extend(tags)
    assert f"tags are {fragment}, expected 'serve' alone" in said(meta)[0]


@pytest.mark.parametrize("count", [0, 2])
def test_there_is_one_graph(meta, said, count):
    assert f"holds {count} graphs" in said(*[meta] * count)[0]


# The signature


@pytest.mark.parametrize(
    ("kind", "name", "dtype", "shape", "fragment"),
    [
        ("inputs", "pixels", 1, [-1, 8, 8, 1], "`pixels` is float32 [any, 8, 8, 1], expected uint8 [any, 8, 8, 1]"),
        ("inputs", "pixels", 4, [-1, 9, 9, 1], "`pixels` is uint8 [any, 9, 9, 1]"),
        ("inputs", "pixels", 4, [4, 8, 8, 1], "`pixels` is uint8 [4, 8, 8, 1]"),
        ("inputs", "pixels", 4, [-1, 8, 8, 3], "`pixels` is uint8 [any, 8, 8, 3]"),
        ("inputs", "pixels", 4, [], "`pixels` is uint8 []"),
        ("inputs", "pixels", 77, [-1] * 5000, "`pixels` is type 77 [any, any, any, any, any, any, any, any, …]"),
        ("inputs", "age", 1, [-1], "has the input `age` too much"),
        ("outputs", "probabilities", 2, [-1, 2], "`probabilities` is float64"),
        ("outputs", "probabilities", 1, [-1, 3], "`probabilities` is float32 [any, 3], expected float32 [any, 2]"),
        ("outputs", "probabilities", 1, [-1, -1], "`probabilities` is float32 [any, any]"),
        ("outputs", "labels", 3, [-1, 2], "`labels` is int32"),
        ("outputs", "score", 1, [-1], "has the output `score` too much"),
    ],
)
def test_the_signature_is_the_contracts(meta, said, kind, name, dtype, shape, fragment):
    info = getattr(meta.signature_def["serving_default"], kind)[name]
    put(info, info.name or "call:0", dtype, shape)
    assert [fragment in reason for reason in said(meta)] == [True]


def test_any_shape_is_not_the_contracts(meta, said):
    meta.signature_def["serving_default"].inputs["pixels"].tensor_shape.unknown_rank = True
    assert "`pixels` is uint8 of any shape" in said(meta)[0]


@pytest.mark.parametrize(("kind", "name"), [("inputs", "pixels"), ("outputs", "probabilities"), ("outputs", "labels")])
def test_nothing_may_be_missing(meta, said, kind, name):
    del getattr(meta.signature_def["serving_default"], kind)[name]
    assert f"lacks the {kind[:-1]} `{name}`" in said(meta)[0]


def test_a_signature_of_tensors_that_are_not_there_is_refused(meta, said):
    meta.signature_def["more"].outputs["x"].dtype = 1
    meta.signature_def["serving_default"].outputs["labels"].name = "gone:0"
    reasons = said(meta)
    assert any("signature more says that `x` is the tensor (none)" in reason for reason in reasons)
    assert any("`labels` is the tensor gone:0" in reason for reason in reasons)


def test_another_method_is_refused(meta, said):
    meta.signature_def["serving_default"].method_name = "tensorflow/serving/regress"
    assert "method is tensorflow/serving/regress" in said(meta)[0]


# How images become pixels


@pytest.fixture
def said_of(tmp_path):
    folders = (tmp_path / str(number) for number in itertools.count(1))
    return lambda meta, image: problems(write(next(folders), meta), LABELS, image)


@pytest.mark.parametrize("image", [ImageInput(SIZE), ImageInput(SIZE, 3), ImageInput(SIZE, 3, "pad", 4095)])
def test_a_model_that_tells_what_the_record_tells_is_fine(said_of, image):
    meta = meta_graph(channels=image.channels)
    tells(meta, f"oblong={image.oblong}", f"white={image.white}")
    assert said_of(meta, image) == []


def test_a_model_that_tells_nothing_has_the_defaults(said_of):
    assert said_of(meta_graph(channels=3), ImageInput(SIZE, 3)) == []
    (reason,) = said_of(meta_graph(), ImageInput(SIZE, oblong="pad"))
    assert "no signature imaging" in reason and "oblong=pad" in reason


def test_channels_are_the_records(meta, said_of):
    (reason,) = said_of(meta, ImageInput(SIZE, 3))
    assert "`pixels` is uint8 [any, 8, 8, 1], expected uint8 [any, 8, 8, 3]" in reason


@pytest.mark.parametrize(
    "names",
    [[], ["oblong=pad"], ["oblong=stretch"], ["oblong=pad", "white=4095"], ["oblong=pad", "white=65535", "x=1"]],
)
def test_a_model_that_tells_something_else_is_refused(meta, said_of, names):
    tells(meta, *names)
    (reason,) = said_of(meta, ImageInput(SIZE, oblong="pad"))
    assert "expected oblong=pad, white=65535, as the record does" in reason


def test_what_tells_it_is_a_signature_of_strings_that_asks_nothing(meta, said_of):
    signature = tells(meta, "oblong=stretch", "white=65535")
    put(signature.outputs["white=65535"], "told:0", 3, [])
    assert "something else than single strings" in said_of(meta, ImageInput(SIZE))[0]
    put(signature.outputs["white=65535"], "told:0", 7, [4])
    assert "something else than single strings" in said_of(meta, ImageInput(SIZE))[0]
    put(signature.outputs["white=65535"], "told:0", 7, [])
    put(signature.inputs["pixels"], "pixels:0", 4, [-1, 8, 8, 1])
    assert "takes inputs" in said_of(meta, ImageInput(SIZE))[0]
    del signature.inputs["pixels"]
    assert said_of(meta, ImageInput(SIZE)) == []
    signature.method_name = "tensorflow/serving/regress"
    assert "imaging's method is tensorflow/serving/regress" in said_of(meta, ImageInput(SIZE))[0]


# What it tells of itself


def test_a_model_tells_of_itself_what_the_record_tells_or_nothing(meta, tmp_path):
    recorded = About(0.9667, 30, (0.8333, 0.9942))
    assert problems(write(tmp_path / "silent", meta), LABELS, SIZE, recorded) == []
    tells(meta, *outputs(replace(recorded, card="for: tests\nnot for: patients")), signature="about")
    assert problems(write(tmp_path / "1", meta), LABELS, SIZE, recorded) == []
    assert problems(write(tmp_path / "2", meta), LABELS, SIZE) == []
    for other in (About(0.9, 30, (0.8333, 0.9942)), About(0.9667, 300, (0.8333, 0.9942)), About(0.9667, 30)):
        (reason,) = problems(write(tmp_path / str(other), meta), LABELS, SIZE, other)
        assert "about says accuracy 0.9667 of 30 images" in reason


@pytest.mark.parametrize(
    "names", [["x=1"], ["accuracy=2", "images=3"], ["accuracy=0.9", "images=3", "card=" + "x" * 5000]]
)
def test_a_model_that_tells_of_itself_in_another_way_is_refused(meta, said, names):
    tells(meta, *names, signature="about")
    (reason,) = said(meta)
    assert "about can't be read" in reason and len(reason) < 300


def test_what_tells_of_the_model_asks_nothing(meta, said):
    signature = tells(meta, *outputs(About(0.9, 30)), signature="about")
    put(signature.inputs["pixels"], "pixels:0", 4, [-1, 8, 8, 1])
    assert "about takes inputs" in said(meta)[0]


# Limits


@pytest.mark.parametrize(
    ("limit", "fragment"),
    [("MAX_NODES", "10 operations"), ("MAX_FUNCTIONS", "3 functions"), ("MAX_GRAPH_BYTES", "is larger than")],
)
def test_what_is_past_a_limit_is_refused(meta, said, monkeypatch, limit, fragment):
    held = {"MAX_NODES": 10, "MAX_FUNCTIONS": 3, "MAX_GRAPH_BYTES": wire.SavedModel(meta_graphs=[meta]).ByteSize()}
    monkeypatch.setattr(graph, limit, held[limit] - 1)
    assert fragment in said(meta)[0]


def test_what_is_at_a_limit_is_fine(meta, said, monkeypatch):
    monkeypatch.setattr(graph, "MAX_NODES", 10)
    monkeypatch.setattr(graph, "MAX_FUNCTIONS", 3)
    monkeypatch.setattr(graph, "MAX_GRAPH_BYTES", wire.SavedModel(meta_graphs=[meta]).ByteSize())
    assert said(meta) == []


def test_millions_of_empty_nodes_end_in_a_sentence(tmp_path):
    folder = write(tmp_path / "1")
    library = b"\x0a\x00" * 2_000_000
    head = wire.MetaGraphDef()
    head.meta_info_def.tags.append("serve")
    meta = head.SerializeToString() + b"\x12" + length(library) + library
    (folder / "saved_model.pb").write_bytes(b"\x12" + length(meta) + meta)
    assert "has 2000000 operations" in problems(folder, LABELS, SIZE)[0]


def test_nesting_past_what_protobuf_follows_ends_in_a_sentence(tmp_path):
    folder, deep = write(tmp_path / "1"), b""
    for _ in range(2000):
        deep = b"\x12" + length(deep) + deep
    (folder / "saved_model.pb").write_bytes(deep)
    assert problems(folder, LABELS, SIZE) != []


def length(data):
    number, coded = len(data), b""
    while number > 127:
        coded, number = coded + bytes([number & 127 | 128]), number >> 7
    return coded + bytes([number])
