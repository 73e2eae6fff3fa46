"""Keeps the training step fed: batches picked from images that were decoded once, ahead of the step that takes them.

Which images are in a batch follows from the seed and the batch's number alone, so a run goes on at any batch, and a
batch is the same whether one replica works on it or several share it.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import tensorflow as tf

from training.team import Team

Labelled = tuple[np.ndarray, np.ndarray]  # pixels uint8 [N, H, W, C], label indices int32 [N]

_AHEAD = 4  # batches


class Feed:
    """`steps` batches of `size` images make an epoch; a last short batch is left out.

    Raises:
        ValueError: there are fewer images, or smaller batches, than replicas.
    """

    def __init__(self, images: Labelled, batch: int, seed: int, team: Team) -> None:
        self.pixels, self.labels = images
        if min(batch, len(self.labels)) < team.replicas:
            raise ValueError(f"Expected an image a batch for each of {team.replicas} replicas; received {batch}.")
        self.size = min(batch, len(self.labels)) // team.replicas * team.replicas
        self.steps = len(self.labels) // self.size
        self._seed = seed
        self._team = team
        self._order = lru_cache(maxsize=2)(self._shuffled)

    def batches(self, first: int, stop: int) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        """Batches number `first` to `stop` - 1, counted over all epochs: pixels uint8 and labels int32 of each."""
        return iter(self._team.strategy.distribute_datasets_from_function(lambda here: self._data(here, first, stop)))

    def rows(self, number: int) -> np.ndarray:
        """Which images make batch `number`, int64 [size]."""
        epoch, place = divmod(number, self.steps)
        return self._order(epoch)[place * self.size :][: self.size]

    def _shuffled(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([self._seed, epoch]).permutation(len(self.labels))

    def _data(self, here: tf.distribute.InputContext, first: int, stop: int) -> tf.data.Dataset:
        local = here.num_replicas_in_sync // here.num_input_pipelines
        share = self.size // here.num_replicas_in_sync

        def pick(place: np.int64) -> Labelled:
            number, replica = divmod(int(place), local)
            begin = (here.input_pipeline_id * local + replica) * share
            rows = self.rows(number)[begin : begin + share]
            return self.pixels[rows], self.labels[rows]

        def element(place: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            pixels, labels = tf.numpy_function(pick, [place], [tf.uint8, tf.int32], stateful=False)
            return tf.ensure_shape(pixels, [share, *self.pixels.shape[1:]]), tf.ensure_shape(labels, [share])

        return tf.data.Dataset.range(first * local, stop * local).map(element).prefetch(_AHEAD * local)
