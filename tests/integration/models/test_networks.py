"""The network of every model in this repository keeps to the contract: a folder that is added is looked at too."""

from pathlib import Path

import pytest

import models
from training.commands.tensorflow import prepare_tensorflow
from training.networks.check import check

prepare_tensorflow()

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", [model.name for model in models.known(ROOT)])
def test_network_lacks_nothing(name):
    assert check(models.find(name, ROOT)) == []
