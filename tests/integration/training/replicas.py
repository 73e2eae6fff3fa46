"""Trains a network of one's own on two replicas in this process, twice: `python replicas.py NETWORK.PY`."""

import sys
from pathlib import Path

from training.commands.tensorflow import prepare_tensorflow

prepare_tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from imaging import ImageInput  # noqa: E402
from tests.integration.training.test_own_network import labelled  # noqa: E402
from tests.warm_imports import WITH_TENSORFLOW  # noqa: E402
from training.family import Family  # noqa: E402
from training.loop import fit  # noqa: E402
from training.step import Schedule  # noqa: E402
from training.team import Team  # noqa: E402

if __name__ == "__main__":
    assert not {"sklearn", "matplotlib"} & WITH_TENSORFLOW, "a third of the import, for nothing that trains"
    (processor,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
    team = Team(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
    assert team.replicas == 2
    found = []
    for _ in range(2):
        keras.utils.set_random_seed(0)
        with team.strategy.scope():
            network = Family.own(Path(sys.argv[1])).build({}, ImageInput(16), 3)
        fit(network, labelled(24), labelled(9), Schedule(epochs=1, batch=8), seed=0, team=team)
        found.append(network.get_weights())
    assert all(np.isfinite(one).all() for one in found[0])
    assert all(np.array_equal(one, other) for one, other in zip(*found, strict=True)), "not repeated"
