"""What tests.warm imports once for many programs: TensorFlow, and what a training imports on its way."""

import sys

from training.commands.tensorflow import prepare_tensorflow

prepare_tensorflow()
# What comes with TensorFlow alone.
WITH_TENSORFLOW = frozenset(sys.modules)

import matplotlib.figure  # noqa: E402, F401
import model_signing  # noqa: E402, F401
import sklearn.metrics  # noqa: E402, F401

import training.run.version  # noqa: E402, F401
