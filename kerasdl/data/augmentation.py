"""Augmentation: what makes new training images of those at hand, a batch at a time, in the input pipeline.

What the words of a policy mean is here; what is drawn at random for each is in `random_changes`. Everything random
comes from the generator that is passed in, so a batch is augmented the same whenever it is made with the same seed; and
nothing of it is in the model, so nothing of it is exported.

A policy is a word, or several words, in a sequence or in a string between commas. They apply in order, each once, but
mixup and cutmix at the end; with both, each batch gets one of them.

| word | what it does |
|---|---|
| none | nothing |
| shift | moves by up to 1/8 of the side, whole pixels |
| flip | mirrors left to right, one image in two |
| rotate | turns by up to 15 degrees |
| scale | enlarges or shrinks by up to 15 % |
| color | changes brightness, contrast and, with three channels, saturation by up to 20 % |
| rand_augment | two random ones of 14 changes of geometry and colour, at 30 % of their full strength |
| random_erasing | replaces a rectangle of 2 to 33 % of the area by noise, one image in two |
| mixup | blends each image and its target with another one |
| cutmix | pastes a rectangle of another image, and mixes the targets by its area |
| mosaic | puts four images into one, scaled and cut, one image in two; only for images with boxes |
| light | shift, flip |
| standard | light, rotate, scale, color |
| strong | standard, rand_augment, random_erasing, mixup, cutmix |

A word with a minus takes out what the words before it brought in. Digits, text and whatever else tells left from right
want `("light", "-flip")`. Mixed targets have no one class, so training accuracy means little with mixup or cutmix.
What comes in from outside an image is its mirror image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from kerasdl import letterbox
from kerasdl.data.image_geometry import move_boxes
from kerasdl.data.image_mixing import cutmix, mixup
from kerasdl.data.mosaic import mosaic
from kerasdl.data.random_changes import CHANGES, WARPS, make_changes
from kerasdl.errors import InputError, nearest

POLICIES = {
    "none": (),
    "light": ("shift", "flip"),
    "standard": ("shift", "flip", "rotate", "scale", "color"),
    "strong": ("shift", "flip", "rotate", "scale", "color", "rand_augment", "random_erasing", "mixup", "cutmix"),
}
MIXTURES = {"mixup": mixup, "cutmix": cutmix}
MOSAIC = "mosaic"
BOX_FILL = letterbox.FILL
"""What comes in from outside of images with boxes, the same as beside letterboxed ones."""

Augmentation = Callable[[np.random.Generator, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
BoxAugmentation = Callable[
    [np.random.Generator, np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]
]


def resolve_policy(policy: str | Sequence[str]) -> tuple[str, ...]:
    """Return the single changes that a policy stands for, in order.

    Args:
        policy: Words of the table above.

    Raises:
        InputError: For an unknown word, or a minus before what is not there.

    Example:
        >>> resolve_policy(("standard", "-flip"))
        ('shift', 'rotate', 'scale', 'color')
    """
    words = policy.split(",") if isinstance(policy, str) else policy
    known = (*POLICIES, *WARPS, *CHANGES, *MIXTURES, MOSAIC)
    if not isinstance(words, Sequence) or not all(isinstance(word, str) for word in words):
        raise InputError(
            "augmentation",
            received=repr(policy),
            expected="a word or a sequence of words",
            mend=f'Try "light", or ("light", "-flip"). The words are {", ".join(known)}.',
        )
    names: list[str] = []
    for word in (word.strip() for word in words):
        plain = word.removeprefix("-")
        if plain not in known:
            raise InputError(
                "augmentation",
                received=repr(word),
                expected=f"words of {', '.join(known)}; a minus takes one out",
                mend=nearest(plain, known),
            )
        meant = POLICIES.get(plain, (plain,))
        if plain == word:
            names += [name for name in meant if name not in names]
        elif set(meant) <= set(names) and meant:
            names = [name for name in names if name not in meant]
        else:
            raise InputError(
                "augmentation",
                received=f"{word!r} after {', '.join(names) or 'nothing'}",
                expected="a minus before what the words before it bring in",
                mend=f"Leave {word!r} out.",
            )
    return tuple(names)


def make_augmentation(policy: str | Sequence[str], *, num_classes: int) -> Augmentation:
    """Return the function that augments a batch of images with their targets.

    Args:
        policy: Words of the table above.
        num_classes: Columns of the targets.

    Returns:
        A function of a generator, images of shape (batch, height, width, channels), uint8, and one-hot targets of
        shape (batch, num_classes), float; it returns both as they are to be trained on and changes nothing in place.

    Raises:
        InputError: For an unknown word; the function, for inputs or targets of another shape or type.

    Example:
        >>> augment = make_augmentation(("light", "-flip"), num_classes=10)
        >>> images, targets = augment(np.random.default_rng((seed, position)), images, targets)
    """
    names = resolve_policy(policy)
    if MOSAIC in names:
        raise InputError(
            "augmentation",
            received=f"{MOSAIC}, for images with one target each",
            expected="changes that leave one image in each",
            mend="Leave it out: mixup and cutmix mix images with their targets.",
        )
    changes = make_changes([name for name in names if name not in MIXTURES])
    mixtures = [MIXTURES[name] for name in names if name in MIXTURES]

    def augment(
        generator: np.random.Generator, images: np.ndarray, targets: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        _check_images(images)
        if targets.shape != (len(images), num_classes) or targets.dtype.kind != "f":
            raise InputError(
                "targets",
                received=f"{targets.dtype} of shape {targets.shape}",
                expected=f"one-hot floats of shape {(len(images), num_classes)}",
                mend="Encode class indices with keras.utils.to_categorical.",
            )
        for change in changes:
            images, _ = change(generator, images, None)
        if mixtures:
            images, targets = mixtures[generator.integers(len(mixtures))](generator, images, targets)
        return images, targets

    return augment


def make_box_augmentation(policy: str | Sequence[str]) -> BoxAugmentation:
    """Return the function that augments a batch of images and moves their boxes along.

    Args:
        policy: Words of the table above but mixup and cutmix, so not "strong" unless with "-mixup" and "-cutmix".
            mosaic comes last, wherever it stands.

    Returns:
        A function of a generator, images of shape (batch, height, width, channels), uint8, boxes of shape
        (batch, boxes, 4), float, as left, top, right, bottom in pixels, and labels of shape (batch, boxes) with -1
        for padding; it returns all three. Boxes that leave the image become padding. After a mosaic there may be more
        boxes an image than before.

    Raises:
        InputError: For an unknown word, or one that mixes images.

    Example:
        >>> augment = make_box_augmentation("light")
        >>> images, boxes, labels = augment(np.random.default_rng(0), images, boxes, labels)
    """
    names = resolve_policy(policy)
    if mixing := [name for name in names if name in MIXTURES]:
        raise InputError(
            "augmentation",
            received=f"{' and '.join(mixing)}, for images with boxes",
            expected="changes that keep each object whole",
            mend=f"Add {', '.join(f'-{name}' for name in mixing)} to the policy, or leave it out.",
        )
    changes = make_changes([name for name in names if name != MOSAIC])

    def augment(
        generator: np.random.Generator, images: np.ndarray, boxes: np.ndarray, labels: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        _check_images(images)
        for change in changes:
            images, matrices = change(generator, images, BOX_FILL)
            if matrices is not None:
                boxes, labels = move_boxes(boxes, labels, matrices, size=images.shape[1:3])
        if MOSAIC in names:
            images, boxes, labels = mosaic(generator, images, boxes, labels, fill=BOX_FILL)
        return images, boxes, labels

    return augment


def make_target_augmentation(policy: str | Sequence[str]) -> Augmentation:
    """Return the function that augments a batch of a :class:`kerasdl.data.DetectionSplit`.

    Args:
        policy: As for :func:`make_box_augmentation`.

    Returns:
        A function of a generator, images of shape (batch, height, width, 3), uint8, and targets of shape
        (batch, boxes, 6), float32, as the split has them; it returns both, and changes nothing in place.

    Example:
        >>> augment = make_target_augmentation(("light", "-flip", "mosaic"))
        >>> images, targets = augment(np.random.default_rng((seed, position)), *dataset.train.batch(indices))
    """
    move = make_box_augmentation(policy)

    def augment(
        generator: np.random.Generator, images: np.ndarray, targets: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        # One number for the class and whether it is a crowd, so that both stay with their box.
        both = np.where(targets[..., 4] < 0, -1, 2 * targets[..., 4] + targets[..., 5]).astype(np.int64)
        images, boxes, both = move(generator, images, targets[..., :4], both)
        extra = np.stack([both // 2, np.where(both < 0, 0, both % 2)], axis=-1)
        return images, np.concatenate([boxes, extra], axis=-1).astype(np.float32)

    return augment


def _check_images(images: np.ndarray) -> None:
    if images.dtype != np.uint8 or images.ndim != 4:
        raise InputError(
            "images to augment",
            received=f"{images.dtype} of shape {images.shape}",
            expected="uint8 of shape (batch, height, width, channels)",
            mend="Augment before any scaling; models of the kit scale inside.",
        )
