"""Who trains together: this process alone, with one processor or several, or the processes that TF_CONFIG names.

The first of several processes is the chief: it alone decides, saves and reports; the others get from it what they need,
so they share no files with it but the images.
"""

import os

import numpy as np
import tensorflow as tf

# Shared in portions, so that a new length does not mean a new graph.
_PORTION = 1024


class Team:
    """A tf.distribute strategy, and a way to send the other processes a message."""

    def __init__(self, strategy: tf.distribute.Strategy | None = None) -> None:
        self.strategy = strategy or tf.distribute.get_strategy()
        self.replicas = self.strategy.num_replicas_in_sync
        resolver = self.strategy.cluster_resolver
        self.alone = resolver is None or not resolver.cluster_spec().as_dict()
        self.place = 0 if self.alone else resolver.task_id
        self.chief = (
            self.alone
            or resolver.task_type == "chief"
            or ("chief" not in resolver.cluster_spec().jobs and (self.place == 0))
        )

    @classmethod
    def of_environment(cls) -> "Team":
        """Must be called before anything is computed.

        Raises:
            ValueError: TF_CONFIG is there and names no cluster with this process in it.
        """
        if os.environ.get("TF_CONFIG"):
            try:
                return cls(tf.distribute.MultiWorkerMirroredStrategy())
            except (KeyError, TypeError, AttributeError) as error:
                raise ValueError(f"it names no cluster and task: {error}") from error
        if len(tf.config.list_logical_devices("GPU")) > 1:
            return cls(tf.distribute.MirroredStrategy())
        return cls()

    def share(self, message: bytes) -> bytes:
        """The chief's message, in every process; what another process gives is ignored."""
        if self.alone:
            return message
        length = int(self._of_chief(np.array([len(message)], np.int32))[0])
        padded = np.zeros(-(-length // _PORTION) * _PORTION, np.int32)
        if self.chief:
            padded[:length] = np.frombuffer(message, np.uint8)
        return self._of_chief(padded)[:length].astype(np.uint8).tobytes()

    def _of_chief(self, numbers: np.ndarray) -> np.ndarray:
        """The sum over all replicas, of which all but the chief's first say 0."""

        @tf.function(reduce_retracing=True)
        def summed(own: tf.Tensor) -> tf.Tensor:
            def replica(own: tf.Tensor) -> tf.Tensor:
                context = tf.distribute.get_replica_context()
                speaks = tf.cast(self.chief, tf.int32) * tf.cast(context.replica_id_in_sync_group == 0, tf.int32)
                return context.all_reduce(tf.distribute.ReduceOp.SUM, own * speaks)

            return self.strategy.run(replica, args=(own,))

        return self.strategy.experimental_local_results(summed(tf.constant(numbers)))[0].numpy()
