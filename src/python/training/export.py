"""Writes a trained network as the SavedModel that is served."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from contracts import about as facts
from imaging import ImageInput
from imaging.signature import NAME as IMAGING
from imaging.signature import outputs
from training.seeds import untouched

SIGNATURE = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY
DEBUG_INFO = "debug/saved_model_debug_info.pb"
_WARMUP_BATCHES = (1, 4)  # images a warm-up request


class Served(tf.Module):
    """pixels uint8 [N, H, W, channels] -> probabilities float32 [N, C], labels string [N, C].

    Beside it signatures without inputs whose outputs' names tell how images become such pixels, and what is known of
    the version.
    """

    def __init__(
        self,
        network: keras.Model,
        labels: list[str],
        image: ImageInput,
        temperature: float,
        about: facts.About | None = None,
    ) -> None:
        super().__init__()
        # A plain list, so that weights.py finds the variables under weights/0, weights/1, …
        self.weights = [variable.value for variable in network.weights]

        def classify(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
            with untouched(network):
                logits = network(tf.cast(pixels, tf.float32), training=False)
            probabilities = tf.nn.softmax(logits / temperature)
            names = tf.tile(tf.constant([labels]), [tf.shape(pixels)[0], 1])
            return {"probabilities": probabilities, "labels": names}

        pixels = tf.TensorSpec([None, *image.shape], tf.uint8, name="pixels")
        self.classify = tf.function(classify, input_signature=[pixels])
        self.told = {SIGNATURE: self.classify, IMAGING: _constants(outputs(image))}
        if about is not None:
            self.told[facts.NAME] = _constants(facts.outputs(about))


def _constants(told: dict[str, str]) -> tf.types.experimental.PolymorphicFunction:
    return tf.function(
        lambda: {name: tf.constant(value) for name, value in told.items()}, input_signature=[], autograph=False
    )


def export(
    network: keras.Model,
    labels: list[str],
    folder: Path,
    name: str,
    images: np.ndarray,
    image: ImageInput,
    temperature: float = 1.0,
    about: facts.About | None = None,
) -> dict[str, object]:
    """Writes the SavedModel of `network` (logits) to `folder` and returns its signature for the record.

    `image` is what the network was trained on, `about` what is known of the version; both lie in the SavedModel, where
    the adapter reads them.

    The logits are divided by `temperature` before they become probabilities; the weights stay as they were trained.
    `images`, uint8 [K, H, W, channels], become warm-up requests for model `name`: a server answers them before it
    calls the version available, so no user waits for the first call.
    """
    served = Served(network, labels, image, temperature, about)
    tf.saved_model.save(served, str(folder), signatures=dict(served.told))
    complete(folder, name, images)
    return signature(network, labels)


def complete(folder: Path, name: str, images: np.ndarray) -> None:
    """Adds to a SavedModel what servers read: warm-up requests of `images` for model `name`, and no debug info.

    TensorFlow's loader asks for the debug info of every model, and takes any answer but "there" and "not there" for an
    error. Cloud Storage may refuse a question about what is not there, so an empty one is.
    """
    _write_warmup(folder, name, images)
    debug_info = folder / DEBUG_INFO
    debug_info.parent.mkdir(exist_ok=True)
    debug_info.touch()


def signature(network: keras.Model, labels: list[str]) -> dict[str, object]:
    """Names, types and shapes of what the SavedModel of `network` takes and gives, for the record."""
    classes = len(labels)
    return {
        "name": SIGNATURE,
        "inputs": {"pixels": {"dtype": "uint8", "shape": [None, *network.input_shape[1:]]}},
        "outputs": {
            "probabilities": {"dtype": "float32", "shape": [None, classes]},
            "labels": {"dtype": "string", "shape": [None, classes]},
        },
    }


def answers(folder: Path, pixels: np.ndarray) -> np.ndarray:
    """What the SavedModel in `folder` says of uint8 [N, H, W, channels]: probabilities float32 [N, C]."""
    signature = tf.saved_model.load(str(folder)).signatures[SIGNATURE]
    return signature(pixels=tf.constant(pixels))["probabilities"].numpy()


def _write_warmup(folder: Path, name: str, images: np.ndarray) -> None:
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    place = folder / "assets.extra"
    place.mkdir()
    with tf.io.TFRecordWriter(str(place / "tf_serving_warmup_requests")) as writer:
        for batch in _WARMUP_BATCHES:
            request = predict_pb2.PredictRequest()
            request.model_spec.name = name
            request.model_spec.signature_name = SIGNATURE
            request.inputs["pixels"].CopyFrom(tf.make_tensor_proto(np.resize(images, (batch, *images.shape[1:]))))
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString())
