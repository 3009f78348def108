"""Putting something else into images: another image of the batch, by blending or pasting, or noise.

What the shares of an image are, its target is mixed by, exactly.
"""

from __future__ import annotations

import numpy as np


def mixup(
    generator: np.random.Generator, images: np.ndarray, targets: np.ndarray, *, alpha: float = 0.2
) -> tuple[np.ndarray, np.ndarray]:
    """Blend each image and its target with another one of the batch, by a share from Beta(alpha, alpha).

    The share is a multiple of 1/256, so that images are blended in integers and targets by that very share.
    Zhang et al., mixup: Beyond Empirical Risk Minimization, arXiv:1710.09412.

    Args:
        generator: Where all randomness comes from.
        images: Shape (batch, height, width, channels), uint8.
        targets: One-hot, shape (batch, classes), float.
        alpha: At 0.2 most images keep nearly all of one of the two; at 1 all shares are as likely.

    Returns:
        New images, rounded to the nearest value, and new targets.

    Example:
        >>> images, targets = mixup(np.random.default_rng(0), images, targets)
    """
    partners = generator.permutation(len(images))
    kept = np.rint(256 * generator.beta(alpha, alpha, size=len(images)))
    parts = kept.astype(np.uint16)[:, np.newaxis, np.newaxis, np.newaxis]
    blended = (images * parts + images[partners] * (256 - parts) + 128) // 256
    return blended.astype(np.uint8), _mix(targets, targets[partners], kept / 256)


def cutmix(generator: np.random.Generator, images: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Paste a rectangle of another image of the batch into each, and mix their targets by the area pasted.

    The rectangle has the image's proportions, its area before it is cut at the border is uniform in [0, 1], and so is
    the place of its centre. Yun et al., CutMix: Regularization Strategy to Train Strong Classifiers with Localizable
    Features, arXiv:1905.04899.

    Args:
        generator: Where all randomness comes from.
        images: Shape (batch, height, width, channels), uint8.
        targets: One-hot, shape (batch, classes), float.

    Returns:
        New images and targets.

    Example:
        >>> images, targets = cutmix(np.random.default_rng(0), images, targets)
    """
    batch, height, width, _ = images.shape
    partners = generator.permutation(batch)
    half_side = np.sqrt(generator.random(batch))[:, np.newaxis] / 2
    centres = generator.random((batch, 2))
    inside_y, inside_x = (
        np.abs((np.arange(side) + 0.5) / side - centres[:, axis : axis + 1]) < half_side
        for axis, side in enumerate((height, width))
    )
    pasted = inside_y[:, :, np.newaxis] & inside_x[:, np.newaxis]
    kept = 1 - pasted.mean(axis=(1, 2))
    return np.where(pasted[..., np.newaxis], images[partners], images), _mix(targets, targets[partners], kept)


def random_erasing(
    generator: np.random.Generator, images: np.ndarray, *, probability: float = 0.5, maximum: float = 1 / 3
) -> np.ndarray:
    """Replace a rectangle of some images by noise.

    Zhong et al., Random Erasing Data Augmentation, arXiv:1708.04896.

    Args:
        generator: Where all randomness comes from.
        images: Shape (batch, height, width, channels), uint8.
        probability: Share of the images that lose something.
        maximum: Largest share of the area, above 0.02; proportions are from 0.3 to 3.3, as in the paper.

    Example:
        >>> images = random_erasing(np.random.default_rng(0), images)
    """
    batch, height, width, _ = images.shape
    areas = generator.uniform(0.02, maximum, batch) * height * width
    proportions = np.exp(generator.uniform(np.log(0.3), np.log(1 / 0.3), batch))
    chosen = generator.random((batch, 1, 1)) < probability
    inside: list[np.ndarray] = []
    for side, wanted in ((height, np.sqrt(areas * proportions)), (width, np.sqrt(areas / proportions))):
        length = np.clip(np.rint(wanted), 1, side)
        start = np.floor(generator.random(batch) * (side - length + 1))
        from_start = np.arange(side) - start[:, np.newaxis]
        inside.append((from_start >= 0) & (from_start < length[:, np.newaxis]))
    erased = inside[0][:, :, np.newaxis] & inside[1][:, np.newaxis] & chosen
    noise = generator.integers(0, 256, size=images.shape, dtype=np.uint8)
    return np.where(erased[..., np.newaxis], noise, images)


def _mix(targets: np.ndarray, others: np.ndarray, kept: np.ndarray) -> np.ndarray:
    share = kept.astype(targets.dtype)[:, np.newaxis]
    return share * targets + (1 - share) * others
