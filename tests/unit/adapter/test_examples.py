"""Pictures to try: drawn ones for our own models, those of a folder, or none."""

import io

import numpy as np
import pytest
from PIL import Image

from benchmarks import examples as drawing
from cli.errors import UsageError
from serving.adapter import examples
from serving.adapter.access import AccessOptions
from tests.unit.adapter.fakes import adapter
from tests.unit.adapter.images import gray
from tests.unit.adapter.rest import PNG, classified, problem


def test_examples_are_drawn_for_the_model_and_can_be_classified(rest):
    told = rest.get("/v1/examples").raise_for_status().json()
    assert told["drawn"] is True
    assert [one["name"] for one in told["examples"]] == [
        "drawn-covid.png", "drawn-normal.png", "drawn-viral-pneumonia.png",
    ]  # fmt: skip
    for one in told["examples"]:
        picture = rest.get(one["address"]).raise_for_status()
        assert picture.headers["content-type"] == "image/png"
        classified(rest.post("/v1/classify", content=picture.content, headers=PNG))
    problem(rest.get("/v1/examples/3"), 404)
    problem(rest.get("/v1/examples/-1"), 404)
    problem(rest.get("/v1/examples/x"), 422)


@pytest.mark.parametrize(("model", "draw"), [("chest-xray", drawing.phantoms), ("digits", drawing.digits)])
def test_they_are_what_the_program_draws(model, draw):
    found, drawn = examples.load(None, model)
    made = dict(draw())
    assert drawn and set(found) == set(made)
    for name, image in made.items():
        kept = np.asarray(Image.open(io.BytesIO(found[name])), np.int16)
        assert np.abs(kept - np.asarray(image, np.int16)).mean() < 2, f"{name}: run benchmarks:examples"


@pytest.mark.parametrize("model", ["leaves", "../page", "..", ".", ""])
def test_other_models_have_none(model):
    assert examples.load(None, model) == ({}, True)


def test_a_folder_of_pictures_takes_their_place_and_wants_a_token_as_all_does(model_server, tmp_path):
    folder = tmp_path / "examples"
    folder.mkdir()
    (folder / "leaf.jpg").write_bytes(gray(9, kind="JPEG"))
    (folder / "notes.txt").write_text("notes")
    (tmp_path / "tokens").write_text("a-token-that-is-long-enough")
    import httpx

    access = AccessOptions(token_file=tmp_path / "tokens")
    with (
        adapter(f"127.0.0.1:{model_server.port}", examples=folder, access=access) as it,
        httpx.Client(base_url=it.http, trust_env=False) as rest,
    ):
        problem(rest.get("/v1/examples"), 401)
        problem(rest.get("/v1/examples/0"), 401)
        rest.headers["Authorization"] = "Bearer a-token-that-is-long-enough"
        told = rest.get("/v1/examples").json()
        assert told == {"drawn": False, "examples": [{"name": "leaf.jpg", "address": "/v1/examples/0"}]}
        assert rest.get("/v1/examples/0").headers["content-type"] == "image/jpeg"


def test_a_folder_that_holds_something_else_is_refused(tmp_path):
    with pytest.raises(UsageError, match="can't be read"):
        examples.load(tmp_path / "none", "m")
    with pytest.raises(UsageError, match="holds 0 pictures"):
        examples.load(tmp_path, "m")
    (tmp_path / "a.png").write_bytes(b"hello")
    with pytest.raises(UsageError, match=r"a\.png is no PNG or JPEG"):
        examples.load(tmp_path, "m")
    for number in range(13):
        (tmp_path / f"{number}.png").write_bytes(gray(9))
    (tmp_path / "a.png").unlink()
    with pytest.raises(UsageError, match="holds 13 pictures"):
        examples.load(tmp_path, "m")
