"""An object detector as its users see it: raw images of any size in, boxes in their own pixels out, with scores, names.

Letterboxing, the network, suppression and the way back to the image's own pixels are all inside of a SavedModel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np

from kerasdl import letterbox
from kerasdl.errors import InputError
from kerasdl.export.image_classifier import ENCODED_SIGNATURE, ENCODED_TRIALS, PIXELS_SIGNATURE, RESIZED_TRIALS
from kerasdl.export.outputs import Outputs, parity_batches
from kerasdl.export.parity import Trial
from kerasdl.export.raw_images import FILE_CHANNELS, predict_raw_images


class ObjectDetector:
    """A trained detector together with what turns raw images into its inputs and its outputs into boxes.

    Args:
        model: Of uint8 images to a dict, see :func:`kerasdl.models.detector`.
        class_names: Name of each class, in the order of the logits.
        detections: Makes the layer that turns those into detections, see :class:`kerasdl.layers.Detections`; called
            with arguments of it that are to be others.
        decode: `(encoded string tensor, channels) -> uint8 (height, width, channels)`, the one that training used.
        resize: `(uint8 images, (height, width)) -> uint8 images`, the one that training used.
    """

    def __init__(
        self,
        model: keras.Model,
        class_names: Sequence[str],
        *,
        detections: Callable[..., keras.layers.Layer],
        decode: Callable[[Any, int], Any],
        resize: Callable[[Any, tuple[Any, Any]], Any],
    ):
        self.model = model
        self.class_names = tuple(class_names)
        self._layer = detections
        self._decode, self._resize = decode, resize
        self.input_shape: tuple[int, int, int] = tuple(model.input_shape[1:])
        self._detections = detections()
        self._names = np.array([*self.class_names, ""], dtype=object)

    def predict(self, raw: Any) -> Outputs:
        """Find objects in raw images with the live model.

        Args:
            raw: One image or many, see :func:`kerasdl.export.raw_images.predict_raw_images`.

        Returns:
            For each image the same number of rows, the best detections first: "boxes", left, top, right, bottom in its
            own pixels, float32 (count, detections, 4); "scores", float32 in [0, 1] (count, detections); "label", names
            of classes, object (count, detections). "count", int32 (count,), says how many there are: rows beyond are -1
            and "".
        """
        return predict_raw_images(
            raw,
            channels=self.input_shape[2],
            on_pixels=self._predict_pixels,
            on_encoded=self._predict_encoded,
            any_colour=True,
        )

    def _predict_pixels(self, batch: np.ndarray) -> Outputs:
        return self._answer(self._outputs(batch), self._detections, batch.shape[1:3])

    def _predict_encoded(self, batch: np.ndarray) -> Outputs:
        images = [np.asarray(self._decode(encoded, self.input_shape[2])) for encoded in batch]
        rows = [self._predict_pixels(image[None]) for image in images]
        return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}

    def _outputs(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        return self.model.predict(self._letterboxed(batch), verbose=0)

    def _answer(self, outputs: Any, detections: keras.layers.Layer, size: Sequence[int]) -> Outputs:
        """Return what a user reads of the model's outputs for images of one size, height and width."""
        found = {name: np.asarray(keras.ops.convert_to_numpy(each)) for name, each in detections(outputs).items()}
        there = found["scores"] >= 0
        sizes = np.tile(np.array(size), (len(there), 1))
        boxes = letterbox.undo(found["boxes"], sizes, self.input_shape[:2])
        return {
            "boxes": np.where(there[..., None], boxes, -1).astype(np.float32),
            "scores": found["scores"],
            "label": self._names[found["labels"]],
            "count": there.sum(axis=-1, dtype=np.int32),
        }

    def _letterboxed(self, batch: np.ndarray) -> np.ndarray:
        height, width, _ = self.input_shape
        inner, (top, left) = letterbox.fit(np.array(batch.shape[1:3]), (height, width))
        scaled = np.asarray(self._resize(batch, (int(inner[0]), int(inner[1]))))
        bottom, right = height - top - inner[0], width - left - inner[1]
        return np.pad(scaled, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=letterbox.FILL)

    def signatures(self) -> dict[str, tuple[Callable[..., dict[str, Any]], list[Any]]]:
        """Return what goes into a SavedModel: for each signature a function and the specification of its input."""
        import tensorflow as tf

        height, width, channels = self.input_shape

        def letterboxed(images: Any) -> tuple[Any, Any]:
            """Return images in the model's size and, of their own, scales and offsets and limits."""
            size = tf.shape(images)[-3:-1]
            inner, offset = fit_in_graph(size, (height, width))
            scaled = self._resize(images, (inner[0], inner[1]))
            after = tf.constant([height, width]) - offset - inner
            around = tf.stack([offset, after], axis=1)
            beside = tf.zeros((1, 2), tf.int32)
            paddings = tf.concat([beside] * (len(images.shape) - 3) + [around, beside], axis=0)
            made = tf.pad(scaled, paddings, constant_values=letterbox.FILL)
            made = tf.ensure_shape(made, (*images.shape[:-3], height, width, channels))
            return made, tf.stack([size, inner, offset])

        def detect(images: Any, places: Any) -> dict[str, Any]:
            # training=False must be said: some layers are random in a plain call.
            found = self._detections(self.model(images, training=False))
            size, inner, offset = (
                tf.gather(tf.cast(places[..., n, :], tf.float32), [1, 0, 1, 0], axis=-1) for n in range(3)
            )
            there = found["scores"] >= 0
            boxes = (found["boxes"] - offset[..., None, :]) / (inner / size)[..., None, :]
            boxes = tf.clip_by_value(boxes, 0.0, size[..., None, :])
            # The last of the names is that of padding.
            labels = tf.where(there, found["labels"], len(self.class_names))
            return {
                "boxes": tf.where(there[..., None], boxes, -1.0),
                "scores": found["scores"],
                "label": tf.gather(tf.constant([*self.class_names, ""]), labels),
                "count": tf.reduce_sum(tf.cast(there, tf.int32), axis=-1),
            }

        def detect_pixels(image: Any) -> dict[str, Any]:
            return detect(*letterboxed(image))

        def detect_encoded(image_bytes: Any) -> dict[str, Any]:
            kinds = tf.TensorSpec((height, width, channels), tf.uint8), tf.TensorSpec((3, 2), tf.int32)
            return detect(
                *tf.map_fn(
                    lambda encoded: letterboxed(self._decode(encoded, channels)),
                    image_bytes,
                    fn_output_signature=kinds,
                )
            )

        pixels = tf.TensorSpec((None, None, None, channels), tf.uint8, name="image")
        signatures: dict[str, tuple[Callable[..., dict[str, Any]], list[Any]]] = {
            PIXELS_SIGNATURE: (detect_pixels, [pixels])
        }
        if channels in FILE_CHANNELS:
            encoded = tf.TensorSpec((None,), tf.string, name="image_bytes")
            signatures[ENCODED_SIGNATURE] = (detect_encoded, [encoded])
        return signatures

    def trials(self, examples: np.ndarray, *, tolerance: float) -> Iterator[Trial]:
        """Yield pixels in several batch sizes and two sizes of images, and some of them as whole files."""
        for size in parity_batches(len(examples)):
            yield self._trial(PIXELS_SIGNATURE, examples[:size], tolerance)
        large = np.repeat(np.repeat(examples[:RESIZED_TRIALS], 2, axis=1), 3, axis=2)
        yield self._trial(PIXELS_SIGNATURE, large, tolerance)
        if self.input_shape[2] in FILE_CHANNELS:
            for images in (examples[:ENCODED_TRIALS], large):
                yield self._trial(ENCODED_SIGNATURE, images, tolerance)

    def raw_trials(self, examples: np.ndarray, *, tolerance: float) -> Iterator[Trial]:
        """Yield nothing: see :meth:`network_facts`."""
        return iter(())

    def _trial(self, signature: str, images: np.ndarray, tolerance: float) -> Trial:
        from kerasdl.export.detection_parity import settled, undecided_images

        outputs, size = self._outputs(images), images.shape[1:3]
        expected = self._answer(outputs, self._detections, size)
        undecided = undecided_images(lambda layer: self._answer(outputs, layer, size), self._layer, expected, tolerance)
        given = {"image": images} if signature == PIXELS_SIGNATURE else {"image_bytes": self.encode(images)}
        # Boxes are computed in the model's pixels: an image that was shrunk has larger ones.
        inner = letterbox.fit(np.array(size), self.input_shape[:2])[0]
        unit = max(self.input_shape[:2]) * max(1.0, float(max(size) / max(inner)))
        least = self._detections.score_threshold + 2 * tolerance
        settle = settled(expected, undecided, least=least, unit=unit)
        return Trial(signature, given, settle(expected), {}, settle=settle)

    def network_facts(self) -> dict[str, Any]:
        """Refuse formats that hold the network alone: what stands after it is written for SavedModels only."""
        raise InputError(
            "format",
            received="a format that holds the network alone (litert, onnx or keras), for a detector",
            expected='"saved_model": suppression and the way back to the pixels of an image are inside of it',
            mend='Pass format="saved_model"; result.model.save("detector.keras") keeps the network itself.',
        )

    def description(self) -> dict[str, Any]:
        """Return what somebody who loads the export must know."""
        return {
            "inputs": "detection",
            "class_names": list(self.class_names),
            "input_shape": list(self.input_shape),
            "detections": {
                name: getattr(self._detections, name)
                for name in ("num_detections", "score_threshold", "iou_threshold", "soft_sigma")
            },
        }

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Return uint8 images (count, height, width, channels) as PNG files, an object array of bytes."""
        import tensorflow as tf

        return np.array([tf.io.encode_png(image).numpy() for image in images], dtype=object)


def fit_in_graph(size: Any, image_size: tuple[int, int]) -> tuple[Any, Any]:
    """Return what :func:`kerasdl.letterbox.fit` does, of a tensor of height and width, as tensors of TensorFlow."""
    import tensorflow as tf

    full_height, full_width = image_size
    height, width = (tf.cast(size[axis], tf.int64) for axis in range(2))
    upright = height * full_width > width * full_height
    inner_height = tf.where(
        upright, tf.constant(full_height, tf.int64), (2 * height * full_width + width) // (2 * width)
    )
    inner_width = tf.where(
        upright, (2 * width * full_height + height) // (2 * height), tf.constant(full_width, tf.int64)
    )
    inner = tf.cast(tf.maximum(tf.stack([inner_height, inner_width]), 1), tf.int32)
    return inner, (tf.constant([full_height, full_width]) - inner) // 2
