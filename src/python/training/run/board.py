"""Writes what TensorBoard shows: `tensorboard --logdir` on the folder that holds the trials' logs."""

from pathlib import Path
from typing import Self

import tensorflow as tf

from training.state import Epoch

# What tf.summary.scalar would write; that wants all of TensorBoard installed.
_SCALAR = tf.compat.v1.SummaryMetadata(data_class="DATA_CLASS_SCALAR")
_SCALAR.plugin_data.plugin_name = "scalars"


class Board:
    """The log of one trial; without a folder nothing is written."""

    def __init__(self, folder: Path | None) -> None:
        self._writer = None if folder is None else tf.summary.create_file_writer(str(folder))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def show(self, epoch: Epoch) -> None:
        if self._writer is None:
            return
        curves = {
            "loss/training": epoch.loss,
            "loss/validation": epoch.validation_loss,
            "accuracy/validation": epoch.validation_accuracy,
        }
        with self._writer.as_default():
            for name, value in curves.items():
                tf.summary.write(name, tf.constant(value, tf.float32), epoch.number, _SCALAR)
        self._writer.flush()
