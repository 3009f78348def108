"""An image classifier as its users see it: raw images in, `scores` and `label` out, live and inside a SavedModel."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from kerasdl.export.outputs import Outputs, from_logits, from_logits_in_graph
from kerasdl.export.parity import Trial, classifier_trials
from kerasdl.export.raw_images import FILE_CHANNELS, predict_raw_images

# One signature takes pixels, the other whole files. TensorFlow Serving base64-decodes inputs named *_bytes.
PIXELS_SIGNATURE = "serving_default"
ENCODED_SIGNATURE = "encoded"
# As many images as are tried as whole files.
ENCODED_TRIALS = 32
# As many as are tried in another size.
RESIZED_TRIALS = 7


class ImageClassifier:
    """A trained model together with what turns raw images into its inputs and its logits into answers.

    Args:
        model: uint8 images (count, height, width, channels) in, logits (count, classes) out.
        class_names: Name of each class, in the order of the logits.
        decode: `(encoded string tensor, channels) -> uint8 (height, width, channels)`, the one that training used.
        resize: `(uint8 images, (height, width)) -> uint8 images`, the one that training used.
        multi_label: Whether several classes of an image may be true at once.
    """

    def __init__(
        self,
        model: keras.Model,
        class_names: Sequence[str],
        *,
        decode: Callable[[Any, int], Any],
        resize: Callable[[Any, tuple[int, int]], Any],
        multi_label: bool = False,
    ):
        self.model = model
        self.class_names = tuple(class_names)
        self.multi_label = multi_label
        self._decode = decode
        self._resize = resize
        self.input_shape: tuple[int, int, int] = tuple(model.input_shape[1:])

    def predict(self, raw: Any) -> Outputs:
        """Classify raw images with the live model.

        Args:
            raw: One image or many, see :func:`kerasdl.export.raw_images.predict_raw_images`.

        Returns:
            "scores": float32 (count, classes), each row sums to 1; "label": the best class's name, object (count,). Of
            a multi-label model each score is in [0, 1] by itself, and "present", bool (count, classes), says which are
            above 0.5.
        """
        return predict_raw_images(
            raw, channels=self.input_shape[2], on_pixels=self._predict_pixels, on_encoded=self._predict_encoded
        )

    def _predict_pixels(self, batch: np.ndarray) -> Outputs:
        logits = self.model.predict(np.asarray(self._resize(batch, self.input_shape[:2])), verbose=0)
        return from_logits(logits, self.class_names, multi_label=self.multi_label)

    def _predict_encoded(self, batch: np.ndarray) -> Outputs:
        pixels = [np.asarray(self._decode(encoded, self.input_shape[2])) for encoded in batch]
        rows = [self._predict_pixels(image[None]) for image in pixels]
        return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}

    def signatures(self) -> dict[str, tuple[Callable[..., dict[str, Any]], list[Any]]]:
        """Return what goes into a SavedModel: for each signature a function and the specification of its input."""
        import tensorflow as tf

        height, width, channels = self.input_shape

        def classify(images: Any) -> dict[str, Any]:
            images = tf.ensure_shape(self._resize(images, (height, width)), (None, height, width, channels))
            # training=False must be said: some layers are random in a plain call.
            logits = self.model(images, training=False)
            return from_logits_in_graph(logits, self.class_names, multi_label=self.multi_label)

        def classify_pixels(image: Any) -> dict[str, Any]:
            return classify(image)

        def classify_encoded(image_bytes: Any) -> dict[str, Any]:
            def to_pixels(encoded: Any) -> Any:
                image = self._resize(self._decode(encoded, channels), (height, width))
                return tf.ensure_shape(image, (height, width, channels))

            return classify(tf.map_fn(to_pixels, image_bytes, fn_output_signature=tf.uint8))

        pixels = tf.TensorSpec((None, None, None, channels), tf.uint8, name="image")
        signatures: dict[str, tuple[Callable[..., dict[str, Any]], list[Any]]] = {
            PIXELS_SIGNATURE: (classify_pixels, [pixels])
        }
        if channels in FILE_CHANNELS:
            encoded = tf.TensorSpec((None,), tf.string, name="image_bytes")
            signatures[ENCODED_SIGNATURE] = (classify_encoded, [encoded])
        return signatures

    def trials(self, examples: np.ndarray, *, tolerance: float) -> Iterator[Trial]:
        """Yield pixels in several batch sizes, and where there are files of such images some of these."""
        expected = self.predict(examples)
        yield from classifier_trials(
            PIXELS_SIGNATURE, examples, expected, tolerance=tolerance, given=lambda images: {"image": images}
        )
        if self.input_shape[2] in FILE_CHANNELS:
            yield from classifier_trials(
                ENCODED_SIGNATURE,
                examples,
                expected,
                tolerance=tolerance,
                given=lambda images: {"image_bytes": self.encode(images)},
                sizes=(min(ENCODED_TRIALS, len(examples)),),
            )

    def raw_trials(self, examples: np.ndarray, *, tolerance: float) -> Iterator[Trial]:
        """Yield pixels in several batch sizes, larger ones, and where there are files of such images some of these."""
        expected = self.predict(examples)
        yield from classifier_trials("predict", examples, expected, tolerance=tolerance)
        few = (min(RESIZED_TRIALS, len(examples)),)
        large = np.repeat(np.repeat(examples[: few[0]], 2, axis=1), 3, axis=2)
        yield from classifier_trials("predict", large, self.predict(large), tolerance=tolerance, sizes=few)
        if self.input_shape[2] in FILE_CHANNELS:
            yield from classifier_trials(
                "predict",
                examples,
                expected,
                tolerance=tolerance,
                given=lambda images: list(self.encode(images)),
                sizes=few,
            )

    def network_facts(self) -> dict[str, Any]:
        """Return nothing: the description says all."""
        return {}

    def description(self) -> dict[str, Any]:
        """Return what somebody who loads the export must know."""
        return {
            "inputs": "images",
            "class_names": list(self.class_names),
            "multi_label": self.multi_label,
            "input_shape": list(self.input_shape),
        }

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Return uint8 images (count, height, width, channels) as PNG files, an object array of bytes."""
        import tensorflow as tf

        return np.array([tf.io.encode_png(image).numpy() for image in images], dtype=object)
