"""A SavedModel with one table of 2 GiB and a little, made by `python -m` in a process of its own."""

from __future__ import annotations

import sys

COLUMNS = 256
ROWS = 2**21 + 1  # the last row lies behind what 32 bits address
BYTES = ROWS * COLUMNS * 4
FIRST, LAST = 2.0, 3.0  # the values of those rows; all others are zeros


def make(folder: str) -> None:
    """Its signature answers the sum of each row that is asked for."""
    import tensorflow as tf

    class Table(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = tf.Variable(lambda: tf.zeros([ROWS, COLUMNS]), trainable=False)
            rows = tf.stack([tf.fill([COLUMNS], FIRST), tf.fill([COLUMNS], LAST)])
            self.table.scatter_nd_update([[0], [ROWS - 1]], rows)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, "row")])
        def sums(self, row):  # type: ignore[no-untyped-def]
            return {"sum": tf.reduce_sum(tf.gather(self.table, row), axis=1)}

    model = Table()
    tf.saved_model.save(model, folder, {"serving_default": model.sums})


if __name__ == "__main__":
    make(sys.argv[1])
