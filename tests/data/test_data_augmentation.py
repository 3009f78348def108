"""Augmentation: reproducible, leaves types and shapes alone, mixes targets by exact shares."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from kerasdl.data import image_colors, image_geometry, rand_augment
from kerasdl.data.augmentation import make_augmentation, resolve_policy
from kerasdl.data.image_mixing import cutmix, mixup, random_erasing
from kerasdl.errors import InputError

SINGLE = ["shift", "flip", "rotate", "scale", "color", "rand_augment", "random_erasing", "mixup", "cutmix"]
WORDS = ["none", "light", "standard", "strong", *SINGLE]
IMAGES = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
TARGETS = np.eye(4, dtype=np.float32)[np.arange(40) % 4]


def augmented(policy, images=IMAGES, targets=TARGETS, seed=0):
    return make_augmentation(policy, num_classes=targets.shape[1])(np.random.default_rng(seed), images, targets)


@pytest.mark.parametrize("policy", WORDS)
def test_the_same_seed_gives_the_same_batch_and_the_input_stays(policy):
    images, targets = IMAGES.copy(), TARGETS.copy()
    images.flags.writeable = targets.flags.writeable = False
    first, second, other = (augmented(policy, images, targets, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    assert (policy == "none") == np.array_equal(first[0], other[0])


@pytest.mark.parametrize("policy", WORDS)
@pytest.mark.parametrize("shape", [(6, 8, 8, 1), (5, 17, 9, 3), (1, 28, 31, 5), (3, 1, 1, 3), (2, 2, 40, 1)])
def test_shapes_and_types_stay_and_targets_sum_to_one(policy, shape):
    given = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    images, targets = augmented(policy, given, TARGETS[: shape[0]])
    assert (images.shape, images.dtype) == (shape, np.uint8)
    assert (targets.shape, targets.dtype) == ((shape[0], 4), np.float32)
    np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("policy", "names"),
    [
        ("none", ()),
        ((), ()),
        (("light", "-flip"), ("shift",)),
        ("light, -flip", ("shift",)),
        (["color", "light"], ("color", "shift", "flip")),
        (("light", "flip"), ("shift", "flip")),
        (("strong", "-standard", "-mixup"), ("rand_augment", "random_erasing", "cutmix")),
    ],
)
def test_policies_resolve_to_single_changes(policy, names):
    assert resolve_policy(policy) == names


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("ligth", "Did you mean 'light'"),
        (("light", "-flipp"), "Did you mean 'flip'"),
        (("shift", "-flip"), "Leave '-flip' out"),
        ("", "received ''"),
        (3, "received 3"),
        (("light", 3), "a sequence of words"),
        (b"light", "a sequence of words"),
    ],
)
def test_unknown_words_are_refused(policy, message):
    with pytest.raises(InputError, match=message):
        make_augmentation(policy, num_classes=4)


def test_wrong_inputs_and_targets_are_refused():
    with pytest.raises(InputError, match="images to augment"):
        augmented("light", IMAGES / 255)
    for targets in (TARGETS[:3], TARGETS.argmax(axis=1)[:, np.newaxis]):
        with pytest.raises(InputError, match="one-hot floats"):
            make_augmentation("light", num_classes=4)(np.random.default_rng(0), IMAGES, targets)


def test_half_of_the_images_are_flipped():
    images = np.zeros((1000, 1, 2, 1), np.uint8)
    images[:, :, 0] = 255
    flipped, _ = augmented("flip", images, np.ones((1000, 2), np.float32))
    assert 0.45 < (flipped[:, 0, 1, 0] == 255).mean() < 0.55


def test_shifts_reach_an_eighth_of_the_side_and_mirror_what_is_outside():
    images = np.tile(np.arange(16, dtype=np.uint8)[:, np.newaxis, np.newaxis], (200, 1, 16, 1))
    shifted, _ = augmented("shift", images, np.ones((200, 2), np.float32))
    assert {tuple(column) for column in shifted[:, :3, 5, 0].tolist()} == {
        (1, 0, 0), (0, 0, 1), (0, 1, 2), (1, 2, 3), (2, 3, 4)
    }  # fmt: skip


def test_a_warp_by_whole_pixels_or_a_flip_is_exact():
    generator = np.random.default_rng(0)
    shifts, flips = generator.integers(-9, 10, (40, 2)), generator.random(40) < 0.5
    for fill in (None, 7):
        moved = image_geometry.shift(IMAGES, shifts, fill=fill)
        np.testing.assert_array_equal(
            image_geometry.warp(IMAGES, image_geometry.shift_matrices(shifts), fill=fill), moved
        )
    flipped = image_geometry.flip(IMAGES, flips)
    np.testing.assert_array_equal(flipped[flips], IMAGES[flips, :, ::-1])
    np.testing.assert_array_equal(flipped[~flips], IMAGES[~flips])
    np.testing.assert_array_equal(image_geometry.warp(IMAGES, image_geometry.flip_matrices(flips, 16)), flipped)


def test_a_warp_interpolates_as_pillow_does():
    matrices = image_geometry.affine_matrices((16, 16), angles=np.array([0.3]), scales=np.array([1.2]))
    smooth = np.tile(np.linspace(20, 200, 16).astype(np.uint8), (1, 16, 1))[..., np.newaxis]
    inverse = np.linalg.inv(matrices[0])[:2].ravel()
    expected = Image.fromarray(smooth[0, ..., 0]).transform((16, 16), Image.Transform.AFFINE, inverse, Image.BILINEAR)
    # Away from the border, which Pillow fills otherwise.
    difference = image_geometry.warp(smooth, matrices)[0, 4:12, 4:12, 0].astype(int) - np.asarray(expected)[4:12, 4:12]
    assert np.abs(difference).max() <= 1


def test_mixup_targets_are_the_share_of_the_image():
    # The images of the first class are black, those of the second white: the value is the share.
    targets = np.eye(2, dtype=np.float32)[np.arange(64) % 2]
    images = np.broadcast_to((255 * targets[:, 1]).astype(np.uint8)[:, None, None, None], (64, 4, 4, 1))
    mixed, shares = mixup(np.random.default_rng(0), images, targets, alpha=1)
    np.testing.assert_array_equal(mixed[:, 0, 0, 0], np.floor(255 * shares[:, 1] + 0.5))
    assert len(np.unique(shares[:, 1])) > 20


@pytest.mark.parametrize("size", [(8, 8), (7, 13)])
def test_cutmix_targets_are_the_area_pasted(size):
    targets = np.eye(2, dtype=np.float32)[np.arange(64) % 2]
    images = np.broadcast_to((255 * targets[:, 1]).astype(np.uint8)[:, None, None, None], (64, *size, 3))
    mixed, shares = cutmix(np.random.default_rng(0), images, targets)
    np.testing.assert_allclose(shares[:, 1], (mixed == 255).mean(axis=(1, 2, 3)), rtol=1e-6)
    assert set(np.unique(mixed)) == {0, 255}
    assert len(np.unique(shares[:, 1])) > 20


def test_mixup_and_cutmix_take_turns():
    targets = np.eye(2, dtype=np.float32)[np.arange(64) % 2]
    images = np.broadcast_to((255 * targets[:, 1]).astype(np.uint8)[:, None, None, None], (64, 4, 4, 1))
    mixed = [augmented("mixup,cutmix", images, targets, seed)[0] for seed in range(12)]
    pasted = [set(np.unique(batch)) == {0, 255} for batch in mixed]
    assert 0 < sum(pasted) < 12


def test_random_erasing_takes_half_of_the_images_and_a_rectangle_of_each():
    images = np.zeros((400, 20, 20, 3), np.uint8)
    erased = (random_erasing(np.random.default_rng(0), images) > 0).any(axis=-1)
    some = erased.any(axis=(1, 2))
    assert 0.4 < some.mean() < 0.6
    for mask in erased[some]:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert mask[np.ix_(rows, columns)].all()
        assert np.ptp(rows) + 1 == len(rows)
        assert 0.01 < mask.mean() < 0.4


def in_table(table, *arguments):
    return lambda image: image_colors.apply_tables(image, table(image, *arguments))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (in_table(image_colors.equalize), ImageOps.equalize),
        (in_table(image_colors.autocontrast), ImageOps.autocontrast),
        (in_table(image_colors.solarize, 90), lambda image: ImageOps.solarize(image, 90)),
        (in_table(image_colors.posterize, 4), lambda image: ImageOps.posterize(image, 4)),
        (
            in_table(image_colors.brightness_contrast, np.array([1.4]), np.ones(1)),
            lambda image: ImageEnhance.Brightness(image).enhance(1.4),
        ),
        (
            lambda image: image_colors.saturate(image, np.array([1.4])),
            lambda image: ImageEnhance.Color(image).enhance(1.4),
        ),
        (
            lambda image: image_colors.sharpen(image, np.array([1.4])),
            lambda image: ImageEnhance.Sharpness(image).enhance(1.4),
        ),
    ],
    ids=["equalize", "autocontrast", "solarize", "posterize", "brightness", "saturate", "sharpen"],
)
def test_values_change_as_in_pillow(ours, theirs):
    image = np.repeat(np.repeat(IMAGES[:1] // 3 + 40, 2, axis=1), 2, axis=2)
    changed = ours(image)
    # Pillow cuts fractions off where ours are rounded.
    assert np.abs(changed[0].astype(int) - np.asarray(theirs(Image.fromarray(image[0])))).max() <= 1
    assert not np.array_equal(changed, image)


def test_contrast_keeps_the_mean_and_brightness_scales_it():
    grey = (IMAGES // 8 + 100).astype(np.uint8)
    ones = np.ones(40)
    flat = image_colors.apply_tables(grey, image_colors.brightness_contrast(grey, ones, 0 * ones))
    np.testing.assert_allclose(flat[:, 0, 0, 0], grey.mean(axis=(1, 2, 3)), atol=0.51)
    half = image_colors.apply_tables(grey, image_colors.brightness_contrast(grey, 0.5 * ones, ones))
    np.testing.assert_allclose(half, grey / 2, atol=0.51)


def test_rand_augment_follows_its_strength():
    full = np.broadcast_to(np.linspace(0, 255, 256).astype(np.uint8).reshape(1, 16, 16, 1), (30, 16, 16, 3))
    still, matrices = rand_augment.rand_augment(np.random.default_rng(0), full, strength=0)
    np.testing.assert_array_equal(matrices, np.tile(np.eye(3), (30, 1, 1)))
    # This image has each value once: nothing but solarizing from 255 on could change it.
    assert np.abs(still.astype(int) - full)[full < 255].max() <= 1
    changed, _ = rand_augment.rand_augment(np.random.default_rng(0), full)
    assert (changed != full).any(axis=(1, 2, 3)).mean() > 0.7
