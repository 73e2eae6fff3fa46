from tests.unit.adapter.images import gray


def test_raw_image_is_classified(rest):
    response = rest.post("/v1/classify", content=gray(255), headers={"Content-Type": "image/png"})

    assert response.status_code == 200, response.text
    assert response.json()["label"] == "COVID"
