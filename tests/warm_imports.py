"""What tests.warm imports once for many programs."""

from training.commands.tensorflow import prepare_tensorflow

prepare_tensorflow()
