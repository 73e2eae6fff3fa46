"""The Open Inference Protocol, over REST and gRPC alike."""

import base64
import contextlib
import gzip
import json
import struct

import grpc
import pytest

from serving.adapter.access import AccessOptions
from serving.adapter.limits import Limits
from tests.unit.adapter.fakes import LABELS, MODEL, FakeVersion, adapter
from tests.unit.adapter.images import gray
from tests.unit.adapter.rest import served as served_with
from trainyard.wire import open_inference_pb2 as wire  # pants: no-infer-dep

INFER = f"/v2/models/{MODEL}/infer"
SERVICE = "/inference.GRPCInferenceService"


def b64(data):
    return base64.b64encode(data).decode()


def images(*files, **more):
    return {
        "inputs": [{"name": "image", "shape": [len(files)], "datatype": "BYTES", "data": [*map(b64, files)]}],
        **more,
    }


def output(answer, name):
    return next(one for one in answer["outputs"] if one["name"] == name)


@pytest.fixture
def ask(served):
    """Calls a method of the service with a message, and gives back the answer as `response`."""
    with contextlib.closing(grpc.insecure_channel(served.grpc)) as channel:

        def asked(method, message, response):
            call = channel.unary_unary(f"{SERVICE}/{method}", response_deserializer=response.FromString)
            return call(message.SerializeToString(), timeout=20)

        yield asked


def test_images_in_base64_are_classified(rest):
    answer = rest.post(INFER, json=images(gray(255), gray(51), id="seven")).json()
    assert (answer["model_name"], answer["model_version"], answer["id"]) == (MODEL, "1", "seven")
    probabilities, labels = output(answer, "probabilities"), output(answer, "labels")
    assert (probabilities["datatype"], probabilities["shape"]) == ("FP32", [2, 3])
    assert probabilities["data"] == pytest.approx([1, 0, 0, 0.2, 0.4, 0.4])
    assert (labels["datatype"], labels["shape"], labels["data"]) == ("BYTES", [2, 3], [*LABELS, *LABELS])


@pytest.mark.parametrize("nested", [False, True])
def test_pixels_are_classified_as_they_are(rest, nested):
    data = [[[[51]] * 8] * 8] if nested else [51] * 64
    tensor = {"name": "pixels", "shape": [1, 8, 8, 1], "datatype": "UINT8", "data": data}
    answer = rest.post(INFER, json={"inputs": [tensor], "outputs": [{"name": "probabilities"}]}).json()
    assert [one["name"] for one in answer["outputs"]] == ["probabilities"]
    assert answer["outputs"][0]["data"] == pytest.approx([0.2, 0.4, 0.4])


def binary(tensors, behind, **more):
    head = json.dumps({"inputs": tensors, **more}).encode()
    return {"content": head + behind, "headers": {"Inference-Header-Content-Length": str(len(head))}}


def test_tensors_in_bytes_go_both_ways(rest):
    files = b"".join(struct.pack("<I", len(one)) + one for one in (gray(255), gray(51)))
    tensor = {"name": "image", "shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": len(files)}}
    wanted = [{"name": "labels", "parameters": {"binary_data": True}}, {"name": "probabilities"}]
    response = rest.post(INFER, **binary([tensor], files, outputs=wanted))
    end = int(response.headers["inference-header-content-length"])
    answer = json.loads(response.content[:end])
    assert output(answer, "probabilities")["data"] == pytest.approx([1, 0, 0, 0.2, 0.4, 0.4])
    assert output(answer, "labels")["parameters"]["binary_data_size"] == len(response.content) - end
    assert response.content[end:] == b"".join(struct.pack("<I", len(one)) + one.encode() for one in LABELS * 2)

    pixels = {"name": "pixels", "shape": [1, 8, 8, 1], "datatype": "UINT8", "parameters": {"binary_data_size": 64}}
    response = rest.post(INFER, **binary([pixels], b"\x33" * 64, parameters={"binary_data_output": True}))
    end = int(response.headers["inference-header-content-length"])
    assert struct.unpack("<3f", response.content[end : end + 12]) == pytest.approx((0.2, 0.4, 0.4))


def test_a_body_of_gzip_is_unpacked(rest):
    body = gzip.compress(json.dumps(images(gray(255))).encode())
    assert rest.post(INFER, content=body, headers={"Content-Encoding": "gzip"}).status_code == 200


def test_server_and_model_tell_of_themselves(model_server, rest):
    model_server.versions[2] = FakeVersion(image_size=16)
    assert rest.get("/v2").json()["name"] == "trainyard"
    assert rest.get("/v2/health/live").json() == {"live": True}
    assert rest.get("/v2/health/ready").json() == {"ready": True}
    told = rest.get(f"/v2/models/{MODEL}").json()
    assert (told["name"], told["versions"]) == (MODEL, ["1", "2"])
    assert told["inputs"][1] == {"name": "pixels", "datatype": "UINT8", "shape": [-1, 8, 8, 1]}
    assert told["outputs"][0] == {"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]}
    for path in ("/ready", "/versions/1/ready", "/versions/2/ready", "/versions/2"):
        assert rest.get(f"/v2/models/{MODEL}{path}").status_code == 200
    assert rest.get(f"/v2/models/{MODEL}/versions/3/ready").status_code == 503


def test_a_version_is_asked_by_its_number(model_server, rest):
    model_server.versions[2] = FakeVersion()
    assert rest.post(f"/v2/models/{MODEL}/versions/2/infer", json=images(gray(1))).json()["model_version"] == "2"


def image_of(**changed):
    return {"inputs": [{**images(gray(1))["inputs"][0], **changed}]}


def pixels_of(**changed):
    tensor = {"name": "pixels", "shape": [1, 8, 8, 1], "datatype": "UINT8", "data": [0] * 64}
    return {"inputs": [{**tensor, **changed}]}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (INFER, {}, 400),
        (INFER, {"inputs": []}, 400),
        (INFER, [], 400),
        (INFER, images(), 400),
        (INFER, images(b"hello"), 422),
        (INFER, images(gray(1), b"hello"), 422),
        (INFER, {"inputs": images(gray(1))["inputs"] * 2}, 400),
        (INFER, image_of(name="x"), 400),
        (INFER, image_of(datatype="FP32"), 400),
        (INFER, image_of(shape=[2]), 400),
        (INFER, image_of(shape=[-1]), 400),
        (INFER, image_of(shape=[]), 400),
        (INFER, image_of(shape=[2**62]), 413),
        (INFER, image_of(data="x"), 400),
        (INFER, image_of(data=[1]), 400),
        (INFER, image_of(data=["%"]), 422),
        (INFER, pixels_of(data=[256] * 64), 400),
        (INFER, pixels_of(data=[-1] * 64), 400),
        (INFER, pixels_of(data=[0.5] * 64), 400),
        (INFER, pixels_of(data=[0] * 63), 400),
        (INFER, pixels_of(data=[[0, 1], 2]), 400),
        (INFER, pixels_of(shape=[1, 4, 4, 4]), 422),
        (INFER, pixels_of(shape=[0, 8, 8, 1]), 400),
        (INFER, {**images(gray(1)), "outputs": [{"name": "x"}]}, 400),
        ("/v2/models/digits/infer", images(gray(1)), 404),
        (f"/v2/models/{MODEL}/versions/9/infer", images(gray(1)), 404),
        (f"/v2/models/{MODEL}/versions/01/infer", images(gray(1)), 400),
        (f"/v2/models/{MODEL}/versions/x/infer", images(gray(1)), 400),
        (f"/v2/models/{MODEL}/versions/{'9' * 30}/infer", images(gray(1)), 400),
        ("/v2/nothing", {}, 404),
    ],
)
def test_what_can_not_be_answered_is_an_error_of_the_protocols_form(rest, path, body, status):
    response = rest.post(path, json=body)
    assert response.status_code == status, response.text
    assert list(response.json()) == ["error"]
    assert isinstance(response.json()["error"], str)


@pytest.mark.parametrize("header", ["x", "-1", "1000000", "٣", ""])
def test_a_length_of_the_json_that_is_none_is_an_error(rest, header):
    response = rest.post(
        INFER, content=json.dumps(images(gray(1))), headers={"Inference-Header-Content-Length": header.encode()}
    )
    assert (response.status_code, list(response.json())) == (400, ["error"])


@pytest.mark.parametrize("size", [-1, 65, 2**70, 1.5, True, "64", None])
def test_sizes_in_bytes_have_to_fit(rest, size):
    pixels = {"name": "pixels", "shape": [1, 8, 8, 1], "datatype": "UINT8", "parameters": {"binary_data_size": size}}
    assert rest.post(INFER, **binary([pixels], bytes(64))).status_code == 400


@pytest.mark.parametrize("raw", [b"\1", b"\xff\xff\xff\xff", b"\0\0\0\0" * 20_000, b"\4\0\0\0abc"])
def test_elements_that_lead_beyond_the_end_are_an_error(rest, raw):
    tensor = {"name": "image", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": len(raw)}}
    assert rest.post(INFER, **binary([tensor], raw)).status_code == 400


def test_json_that_costs_more_to_read_than_to_send_is_not_read(model_server):
    with served_with(model_server, Limits()) as rest:
        numbers = b'{"inputs":[{"name":"pixels","shape":[1],"datatype":"UINT8","data":[' + b"1," * 4_000_000 + b"1]}]}"
        assert rest.post(INFER, content=numbers).status_code == 413
        assert rest.post(INFER, content=b'{"inputs":' + b"[" * 1_000_000).status_code == 413


def request(*tensors, raw=(), **more):
    return wire.ModelInferRequest(model_name=MODEL, inputs=tensors, raw_input_contents=raw, **more)


def tensor(name, datatype, shape, **contents):
    return wire.ModelInferRequest.InferInputTensor(
        name=name, datatype=datatype, shape=shape, contents=wire.InferTensorContents(**contents) if contents else None
    )


def test_grpc_takes_contents_and_raw_contents(ask):
    asked = request(tensor("image", "BYTES", [2], bytes_contents=[gray(255), gray(51)]), id="seven")
    answer = ask("ModelInfer", asked, wire.ModelInferResponse)
    assert (answer.model_name, answer.model_version, answer.id) == (MODEL, "1", "seven")
    assert list(answer.outputs[0].contents.fp32_contents) == pytest.approx([1, 0, 0, 0.2, 0.4, 0.4])
    assert list(answer.outputs[1].contents.bytes_contents) == [label.encode() for label in LABELS * 2]

    file = gray(51)
    for one, raw in (
        (tensor("image", "BYTES", [1]), struct.pack("<I", len(file)) + file),
        (tensor("pixels", "UINT8", [1, 8, 8, 1]), b"\x33" * 64),
    ):
        answer = ask("ModelInfer", request(one, raw=[raw]), wire.ModelInferResponse)
        assert struct.unpack("<3f", answer.raw_output_contents[0]) == pytest.approx((0.2, 0.4, 0.4))
        assert len(answer.raw_output_contents) == len(answer.outputs) == 2
    numbers = request(tensor("pixels", "UINT8", [1, 8, 8, 1], uint_contents=[51] * 64))
    wanted = wire.ModelInferRequest.InferRequestedOutputTensor(name="probabilities")
    numbers.outputs.append(wanted)
    assert len(ask("ModelInfer", numbers, wire.ModelInferResponse).outputs) == 1


def test_grpc_tells_of_itself(ask):
    assert ask("ServerLive", wire.ServerLiveRequest(), wire.ServerLiveResponse).live
    assert ask("ServerReady", wire.ServerReadyRequest(), wire.ServerReadyResponse).ready
    assert ask("ServerMetadata", wire.ServerMetadataRequest(), wire.ServerMetadataResponse).name == "trainyard"
    assert ask("ModelReady", wire.ModelReadyRequest(name=MODEL), wire.ModelReadyResponse).ready
    assert not ask("ModelReady", wire.ModelReadyRequest(name=MODEL, version="9"), wire.ModelReadyResponse).ready
    told = ask("ModelMetadata", wire.ModelMetadataRequest(name=MODEL, version="1"), wire.ModelMetadataResponse)
    assert (list(told.versions), told.inputs[0].name, list(told.outputs[0].shape)) == (["1"], "image", [-1, 3])


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (request(), grpc.StatusCode.INVALID_ARGUMENT),
        (request(tensor("image", "BYTES", [1], bytes_contents=[b"hello"])), grpc.StatusCode.INVALID_ARGUMENT),
        (request(tensor("pixels", "UINT8", [1, 8, 8, 1], uint_contents=[256] * 64)), grpc.StatusCode.INVALID_ARGUMENT),
        (request(tensor("image", "BYTES", [1]), raw=[b"", b""]), grpc.StatusCode.INVALID_ARGUMENT),
        (request(tensor("image", "BYTES", [1]), raw=[b"\xff\xff\xff\xff"]), grpc.StatusCode.INVALID_ARGUMENT),
        (wire.ModelInferRequest(model_name="digits"), grpc.StatusCode.NOT_FOUND),
        (
            request(tensor("image", "BYTES", [1], bytes_contents=[gray(1)]), model_version="9"),
            grpc.StatusCode.NOT_FOUND,
        ),
        (
            request(tensor("image", "BYTES", [99], bytes_contents=[gray(1)] * 99)),
            grpc.StatusCode.RESOURCE_EXHAUSTED,
        ),
    ],
)
def test_grpc_refuses_by_its_codes(ask, asked, code):
    with pytest.raises(grpc.RpcError) as refused:
        ask("ModelInfer", asked, wire.ModelInferResponse)
    assert refused.value.code() == code


def test_tokens_are_wanted_here_too_but_for_health(model_server, tmp_path):
    (tmp_path / "tokens").write_text("token-of-this-very-test")
    access = AccessOptions(token_file=tmp_path / "tokens")
    with (
        adapter(f"127.0.0.1:{model_server.port}", access=access) as it,
        contextlib.closing(grpc.insecure_channel(it.grpc)) as channel,
    ):
        import httpx

        assert httpx.get(f"{it.http}/v2/health/ready", trust_env=False).status_code == 200
        refused = httpx.post(f"{it.http}{INFER}", json=images(gray(1)), trust_env=False)
        assert (refused.status_code, list(refused.json())) == (401, ["error"])
        assert channel.unary_unary(f"{SERVICE}/ServerReady")(b"", timeout=20)
        with pytest.raises(grpc.RpcError) as raised:
            channel.unary_unary(f"{SERVICE}/ModelInfer")(b"", timeout=20)
        assert raised.value.code() == grpc.StatusCode.UNAUTHENTICATED
