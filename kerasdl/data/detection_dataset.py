"""What loading images with boxes ends in: :class:`DetectionSplit`, :class:`DetectionDataset`, and how they are built.

A source has, for each split, an :class:`Annotated`: what is known of its images before they are letterboxed.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kerasdl import letterbox
from kerasdl.data.boxes import check_boxes
from kerasdl.data.cache import ImageWriter
from kerasdl.data.dataset import CHUNK, Dataset, Split
from kerasdl.data.images import resize
from kerasdl.errors import InputError


@dataclass(frozen=True, eq=False)
class DetectionSplit(Split):
    """The images of one split and what is in them.

    Args:
        inputs: Letterboxed images of shape (count, height, width, 3), uint8, a memory map when they are large.
        targets: float32 of shape (count, boxes, 6): left, top, right, bottom in pixels of the letterboxed image; class
            index, -1 for padding, which comes last; 1 for a crowd or what is difficult, which is neither to be found
            nor wrong to find, else 0.
        sizes: Height and width of the original images, int64, shape (count, 2).
    """

    sizes: np.ndarray

    def taken(self, indices: np.ndarray) -> DetectionSplit:
        """Return the images at `indices` as a split of their own."""
        return DetectionSplit(*self.batch(indices), sizes=self.sizes[indices])

    @property
    def objects(self) -> int:
        """The number of boxes."""
        return int((self.targets[..., 4] >= 0).sum())


@dataclass(frozen=True, eq=False)
class DetectionDataset(Dataset):
    """A dataset of kind "detection": its splits are :class:`DetectionSplit`.

    Args:
        dropped: How many boxes were wrong and dropped on loading, in all splits.
    """

    dropped: int = 0

    @property
    def parts(self) -> tuple[DetectionSplit, ...]:
        """Training, validation and test."""
        return tuple(split for split in self.splits.values() if isinstance(split, DetectionSplit))

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the letterboxed images."""
        return self.train.inputs.shape[1], self.train.inputs.shape[2]

    @functools.cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of the class names and of every split's shapes and content, in hex."""
        digest = hashlib.sha256(repr(self.class_names).encode())
        for split in self.parts:
            digest.update(repr((split.inputs.shape, split.targets.shape)).encode())
            for start in range(0, len(split), CHUNK):
                digest.update(split.inputs[start : start + CHUNK].tobytes())
            digest.update(split.targets.astype("<f4").tobytes() + split.sizes.astype("<i8").tobytes())
        return digest.hexdigest()

    def describe(self) -> str:
        """Return two lines for a person: the images, boxes and classes, and how many each split has."""
        height, width = self.image_size
        names = ", ".join(self.class_names[:10]) + (", ..." if self.num_classes > 10 else "")
        sizes = np.unique(np.concatenate([split.sizes for split in self.parts]), axis=0)
        what = f"{sum(self.counts.values())} images of {height} x {width}"
        if len(sizes) > 1 or tuple(sizes[0]) != self.image_size:
            what += f" (letterboxed from {'one size' if len(sizes) == 1 else f'{len(sizes)} sizes'})"
        boxes = f"{sum(split.objects for split in self.parts)} boxes"
        boxes += f" ({self.dropped} invalid box{'es' if self.dropped > 1 else ''} dropped)" if self.dropped else ""
        counts = ", ".join(
            f"{name} {len(split)} ({split.objects} boxes)" for name, split in zip(self.splits, self.parts, strict=True)
        )
        return f"{self.name}: {what}, {boxes}; {self.num_classes} classes: {names}\n{counts}"


@dataclass(frozen=True, eq=False)
class Annotated:
    """What a source has for one split.

    Args:
        sizes: Height and width of every image, int64, shape (count, 2).
        image: The image of each box, int64, shape (boxes,).
        boxes: Left, top, right, bottom in pixels of the original images, float64, shape (boxes, 4).
        labels: Class indices, int64, shape (boxes,).
        crowd: Whether a box is around a crowd or is difficult, bool, shape (boxes,).
        dropped: How many boxes were wrong and are not among these.
        open: From (height, width) to a function from sorted indices to images letterboxed to that, uint8.
    """

    sizes: np.ndarray
    image: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    crowd: np.ndarray
    dropped: int
    open: Callable[[tuple[int, int]], Callable[[np.ndarray], np.ndarray]]

    def __len__(self) -> int:
        return len(self.sizes)

    def presence(self, num_classes: int) -> np.ndarray:
        """Return rows of 0 and 1, a column a class and one for images without objects."""
        rows = np.zeros((len(self), num_classes + 1), np.uint8)
        rows[self.image, self.labels] = 1
        rows[:, -1] = ~rows.any(axis=1)
        return rows

    def split(self, indices: np.ndarray, image_size: tuple[int, int], max_boxes: int) -> DetectionSplit:
        """Return the images at sorted `indices`, letterboxed, and their boxes."""
        read, writer = self.open(image_size), ImageWriter()
        for start in range(0, len(indices), CHUNK):
            writer.append(read(indices[start : start + CHUNK]))
        return DetectionSplit(writer.finish(), self.targets(image_size, max_boxes)[indices], self.sizes[indices])

    def targets(self, image_size: tuple[int, int], max_boxes: int) -> np.ndarray:
        """Return the targets of all images, float32 of shape (count, max_boxes, 6)."""
        targets = np.zeros((len(self), max_boxes, 6), np.float32)
        targets[..., 4] = -1
        order = np.argsort(self.image, kind="stable")
        image = self.image[order]
        counts = np.bincount(image, minlength=len(self))
        place = np.arange(len(image)) - np.repeat(np.cumsum(counts) - counts, counts)
        moved = letterbox.apply(self.boxes[order, np.newaxis], self.sizes[image], image_size)[:, 0]
        targets[image, place] = np.column_stack([moved, self.labels[order], self.crowd[order]])
        return targets

    @property
    def most(self) -> int:
        """The largest number of boxes in an image."""
        return int(np.bincount(self.image, minlength=1).max())


def annotate(
    sizes: np.ndarray,
    image: Sequence[int],
    boxes: np.ndarray,
    labels: Sequence[int],
    crowd: Sequence[bool],
    open_images: Callable[[tuple[int, int]], Callable[[np.ndarray], np.ndarray]],
    *,
    where: Callable[[int], str],
    invalid: str,
) -> Annotated:
    """Return the :class:`Annotated` of boxes that are still to be checked; arguments as it and `check_boxes` have."""
    numbers = np.asarray(image, np.int64)
    corners, right = check_boxes(np.asarray(boxes, np.float64).reshape(-1, 4), sizes[numbers], where, invalid=invalid)
    classes, crowded = np.asarray(labels, np.int64), np.asarray(crowd, bool)
    dropped = int((~right).sum())
    return Annotated(sizes, numbers[right], corners[right], classes[right], crowded[right], dropped, open_images)


def letterbox_image(image: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """Return an image of any size, uint8, (height, width, channels), scaled to fit into `image_size`, and centred."""
    inner, (top, left) = letterbox.fit(np.array(image.shape[:2]), image_size)
    scaled = np.asarray(resize(image, (int(inner[0]), int(inner[1])))) if tuple(inner) != image.shape[:2] else image
    if tuple(inner) == tuple(image_size):
        return scaled
    canvas = np.full((*image_size, image.shape[2]), letterbox.FILL, np.uint8)
    canvas[top : top + inner[0], left : left + inner[1]] = scaled
    return canvas


def check_size(what: str, found: Sequence[int], said: Sequence[int]) -> None:
    """Refuse an image whose height and width are others than its annotation says."""
    if tuple(found) != tuple(said):
        raise InputError(
            what,
            received=f"an image of {found[1]} x {found[0]} pixels (width x height)",
            expected=f"{said[1]} x {said[0]}, as its annotation says",
            mend="It was resized or turned after it was annotated: bring back the original, or annotate it anew.",
        )
