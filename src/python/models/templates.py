"""What `models new` writes into a model's folder."""

import json
from collections.abc import Sequence

BUILD = "model()\n"


def model_toml(own_network: bool, uri: str, size: int, rgb: bool, groups: str = "") -> str:
    family = "" if own_network else 'family = "residual"\n'
    told = (
        f"groups = {json.dumps(groups, ensure_ascii=False)}  # images of one patient stay together\n" if groups else ""
    )
    return f"""\
task = "one label"
{family}
[dataset]
uri = {json.dumps(uri, ensure_ascii=False)}
{told}
[input]
size = {size}  # pixels, height and width
channels = "{"rgb" if rgb else "gray"}"
oblong = "pad"  # an oblong picture gets black bars; "stretch" squeezes it, "crop" takes its middle

# Which changes leave a picture in its class. Training makes more of the images by them, and tests hold the model to it.
[changes]
mirror = true  # false where left and right matter, as in letters
turn = 12  # degrees, either way
shift = 0.08  # share of the side
zoom = 0.18  # natural logarithm of the scale
brightness = 1.0  # 0 where brightness tells the class
"""


def limits_toml(min_accuracy: float, min_recall: float, owner: str) -> str:
    return f"""\
# For this model alone: remove a # and set the value. As long as it is there, trainyard.toml's value holds, shown here.
[gates]
# min_accuracy = {min_accuracy:g}
# min_recall = {min_recall:g}

# Who gets its mails.
# [mail]
# owner = "{owner}"
"""


def card_md(name: str, labels: Sequence[str], uri: str) -> str:
    # A file of the repository is linked to.
    data = f"[{uri}](../../{uri})" if uri.startswith("datasets/") else uri
    return f"""\
# {name}

| | |
|---|---|
| for | telling apart: {", ".join(labels)} |
| not for | (what must nobody use it for?) |
| data | {data} (who made the images, when, with what?) |
| known limits | (where is it wrong, and for whom?) |
"""


def network_py(name: str) -> str:
    return f'''\
"""The network of {name}: change it as you like, and check it with `./pants run src/python/models -- check {name}`."""

import keras
from keras import layers


def build(parameters, image, classes):
    """Pixels float32 [N, height, width, channels] in 0..255 -> logits float32 [N, classes], without a softmax."""
    return keras.Sequential(
        [
            keras.Input(image.shape),
            # Each picture by its own mean and spread: a brighter one is the same. Else layers.Rescaling(1 / 255).
            layers.LayerNormalization(axis=(1, 2, 3), center=False, scale=False),
            layers.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.Conv2D(64, 3, strides=2, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.Conv2D(128, 3, strides=2, padding="same", activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.3),
            layers.Dense(classes),
        ]
    )
'''


def test_py(name: str, labels: Sequence[str]) -> str:
    listed = "".join(f"    {json.dumps(label, ensure_ascii=False)},\n" for label in labels)
    return f'''\
"""Model tests of {name}, beside those of every model. What a test is given: src/python/testing/fixtures.py."""

CLASSES = {{
{listed}}}


def test_answers_know_the_classes(answers):
    for answer in answers:
        assert set(answer.scores) == CLASSES, f"an answer knows {{sorted(answer.scores)}}, not {{sorted(CLASSES)}}"
'''
