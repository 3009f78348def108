"""Image classification as a task: uint8 images in, the scores of classes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kerasdl import measuring

if TYPE_CHECKING:
    import keras

    from kerasdl.data import Dataset, Split
    from kerasdl.export import ImageClassifier


class ImageClassification(measuring.Classification):
    """The task of an image classifier, see :class:`kerasdl.task.Task`.

    Args:
        class_names: Name of each class, in the order of the logits.
        multi_label: Whether several classes of an image may be true at once.
        input_shape: Height, width and channels that all images are converted to.
    """

    kind = "images"

    def __init__(self, class_names: Sequence[str], *, multi_label: bool, input_shape: Sequence[int]):
        super().__init__(class_names, multi_label=multi_label)
        height, width, channels = input_shape
        self.input_shape: tuple[int, int, int] = (height, width, channels)

    @classmethod
    def of(cls, dataset: Dataset) -> ImageClassification:
        """Return the task that a dataset sets."""
        return cls(dataset.class_names, multi_label=dataset.multi_label, input_shape=dataset.input_shape)

    def examples(self, split: Split) -> Split:
        """Return the split itself: its images are what the model takes."""
        return split

    def predictor(self, model: keras.Model) -> ImageClassifier:
        """Return what classifies raw images with the model."""
        from kerasdl.data import images
        from kerasdl.export import ImageClassifier

        return ImageClassifier(
            model, self.class_names, decode=images.decode, resize=images.resize, multi_label=self.multi_label
        )

    def load_split(self, data: Any) -> Split:
        """Load other images, converted to the model's shape."""
        from kerasdl.data import load_split

        return load_split(
            data, class_names=self.class_names, input_shape=self.input_shape, multi_label=self.multi_label
        )

    def load_keywords(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the shape and the number of classes that the run's images were loaded with."""
        return {name: config[name] for name in ("input_shape", "num_classes")} | measuring.deduplication(config)

    def as_dict(self) -> dict[str, Any]:
        """Return all that makes the task, for JSON."""
        return super().as_dict() | {"input_shape": list(self.input_shape)}
