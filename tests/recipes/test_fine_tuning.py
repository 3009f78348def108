"""Fine-tuning keeps its promises: what is frozen stays, statistics stay, phases resume to the bit."""

import keras
import numpy as np
import pytest

import kerasdl
from kerasdl.phases import split_head
from kerasdl.training import countable, extract_features, falling_rates, freeze, kept
from kerasdl.training.finite import first_bad_layer
from recipes import fine_tuning

BACKBONE = "mobilenet"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of weights with statistics that batches would change, as those of a pretraining are."""
    keras.utils.set_random_seed(1)
    model = keras.applications.MobileNet(include_top=False, weights=None, input_shape=(96, 96, 3))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            generator = np.random.default_rng(len(mean))
            layer.set_weights(
                [gamma, beta, generator.normal(0, 0.1, mean.shape), generator.uniform(0.5, 1, mean.shape)]
            )
    path = tmp_path_factory.mktemp("weights") / "small.weights.h5"
    model.save_weights(path)
    return str(path)


@pytest.fixture(scope="module")
def images():
    digits = kerasdl.data.load("digits")
    chosen = np.flatnonzero(digits.train.targets < 3)[:120]
    return digits.train.batch(chosen)


def statistics(model):
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(layers) > 20
    return [array for layer in layers for array in layer.get_weights()]


def backbone_weights(model):
    return [array for layer in kerasdl.models.backbone_layers(model) for array in layer.get_weights()]


def same(one, other):
    return len(one) == len(other) and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.fixture(scope="module")
def call(weights, images):
    return {
        "data": images,
        "backbone": BACKBONE,
        "weights": weights,
        "batch_size": 16,
        "seed": 5,
        "verbose": 0,
        "image_size": 32,
    }


@pytest.fixture(scope="module")
def untrained(call):
    keras.utils.set_random_seed(5)
    return fine_tuning.build((32, 32, 1), 3, backbone=BACKBONE, weights=call["weights"])


class Last(keras.callbacks.Callback):
    """Keeps the weights of each layer after the last epoch, which need not be the best."""

    def __init__(self):
        super().__init__()
        self.seen = ()

    def on_epoch_end(self, epoch, logs=None):
        if not isinstance(self.model.get_layer("features"), keras.layers.InputLayer):  # not the head alone
            self.seen = tuple(layer.get_weights() for layer in kerasdl.models.backbone_layers(self.model))


@pytest.fixture(scope="module")
def last():
    return Last()


@pytest.fixture(scope="module")
def whole(call, last, tmp_path_factory):
    """Both phases, the second in two steps."""
    directory = tmp_path_factory.mktemp("whole") / "run"
    return fine_tuning.train(
        **call,
        frozen_epochs=2,
        epochs=2,
        unfreeze=4,
        unfreeze_steps=2,
        learning_rate=0.002,
        directory=directory,
        callbacks=[last],
    )


def test_a_linear_probe_leaves_the_backbone_alone_on_cached_features_and_off(call, untrained):
    before = backbone_weights(untrained)
    histories = []
    for passes in (1, 0):
        # Adam would turn the rounding of a gradient near zero into a whole step.
        result = fine_tuning.train(
            **call, unfreeze=0, frozen_epochs=2, feature_passes=passes, dropout=0.0, optimizer="sgd"
        )
        assert same(backbone_weights(result.model), before)
        assert result.history["unfrozen_layers"] == [0, 0]
        assert not same(result.model.get_layer("logits").get_weights(), untrained.get_layer("logits").get_weights())
        histories.append(result.history)
    # The same training, but for rounding.
    np.testing.assert_allclose(histories[0]["val_loss"], histories[1]["val_loss"], rtol=1e-4)


def test_the_second_phase_trains_the_last_layers_only_and_no_statistics(whole, last, untrained):
    assert whole.history["unfrozen_layers"] == [0, 0, 2, 4]
    assert same(statistics(whole.model), statistics(untrained))
    layers = kerasdl.models.backbone_layers(untrained)
    changed = [layer.name for layer, now in zip(layers, last.seen, strict=True) if not same(layer.get_weights(), now)]
    assert changed == [layer.name for layer in countable(layers)[-4:]]


def test_the_kept_epoch_is_the_best_of_all_phases(whole):
    validation = whole.dataset.validation
    targets = keras.utils.to_categorical(validation.targets, 3)
    logits = whole.model.predict(validation.inputs, verbose=0)
    loss = float(keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)(targets, logits))
    assert loss == pytest.approx(min(whole.history["val_loss"]), rel=1e-4)


class Killed(Exception):
    """Stands for a kill."""


class Kill(keras.callbacks.Callback):
    """Fails when the second epoch begins in a process, whatever its phase, as often as it is told."""

    def __init__(self):
        super().__init__()
        self.state = {"begun": 0, "kills": 3}  # not plain attributes: those are part of a checkpoint

    def on_epoch_begin(self, epoch, logs=None):
        self.state["begun"] += 1
        if self.state["begun"] == 2 and self.state["kills"]:
            self.state |= {"begun": 0, "kills": self.state["kills"] - 1}
            raise Killed


def test_a_run_killed_within_a_phase_and_at_each_border_ends_as_one_that_was_not(call, whole, tmp_path):
    options = {"frozen_epochs": 2, "epochs": 2, "unfreeze": 4, "unfreeze_steps": 2, "learning_rate": 0.002}
    kill = Kill()
    for _ in range(3):
        with pytest.raises(Killed):
            fine_tuning.train(
                **call, **options, directory=tmp_path / "run", resume=True, checkpoint_every=3, callbacks=[kill]
            )
    result = fine_tuning.train(
        **call, **options, directory=tmp_path / "run", resume=True, checkpoint_every=3, callbacks=[kill]
    )
    assert kill.state["kills"] == 0
    assert same(result.model.get_weights(), whole.model.get_weights())
    assert result.history == whole.history
    assert result.metrics == whole.metrics
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_from_scratch_everything_trains(call, untrained):
    result = fine_tuning.train(**call | {"weights": None}, epochs=1)
    assert not same(statistics(result.model), statistics(untrained))
    assert all(layer.trainable for layer in result.model.layers)
    assert result.history["unfrozen_layers"] == [len(countable(kerasdl.models.backbone_layers(result.model)))]


def test_lower_layers_learn_slower():
    assert falling_rates(["a", "b", "c", "d"], lowest=0.0001) == pytest.approx(
        {"a": 0.0001, "b": 0.001, "c": 0.01, "d": 0.1}
    )
    assert falling_rates([], lowest=0.1) == {}


def test_layers_inside_a_layer_are_frozen_with_it():
    inner = keras.Sequential([keras.layers.Dense(2), keras.layers.BatchNormalization()], name="inner")
    inner.build((None, 3))
    outer = keras.layers.Dense(2, name="outer")
    outer.build((None, 2))
    assert freeze([inner, outer], unfreeze=2) == ["inner", "outer"]
    assert inner.layers[0].trainable
    assert not inner.layers[1].trainable
    assert freeze([inner, outer], unfreeze=9) == ["inner", "outer"]
    freeze([inner, outer], unfreeze=1)
    assert not inner.trainable_variables
    assert outer.trainable


def test_features_are_extracted_anew_in_each_augmented_pass_and_kept(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Identity()])
    split = kerasdl.data.Split(np.arange(10.0, dtype="f4").reshape(5, 2), np.arange(5))

    def augment(generator, inputs, targets):
        return inputs + generator.integers(1, 100), targets + 1

    def sorted_by_five(values):
        return [sorted(values[start : start + 5].tolist()) for start in (0, 5)]

    def made(**how):
        return extract_features(model, split, encode_targets=lambda t: t * 10, batch_size=2, **how)

    features, targets = made(passes=2, augment=augment, seed=3)
    assert sorted_by_five(targets) == [[1, 11, 21, 31, 41]] * 2
    assert not np.array_equal(features[:5], features[5:])
    assert np.array_equal(made(passes=2, augment=augment, seed=3)[0], features)
    assert np.array_equal(made()[0], split.inputs)
    path = tmp_path / "there" / "features.npz"
    kept(path, made)
    found, _ = kept(path, lambda: pytest.fail("computed again"))
    assert np.array_equal(found, split.inputs)
    path.write_bytes(path.read_bytes()[:100])
    assert np.array_equal(kept(path, made)[0], split.inputs)


@pytest.mark.parametrize(
    ("keywords", "says"),
    [
        ({"unfreeze": 1.5}, "unfreeze"),
        ({"unfreeze": -1}, "unfreeze"),
        ({"weights": None, "unfreeze": 0.3}, "random layers"),
        ({"weights": "none", "frozen_epochs": 3}, "random layers"),
        ({"unfreeze": 0, "frozen_epochs": 0}, "something to learn in"),
        ({"backbone": "efficientnet_v2_b00"}, "efficientnet_v2_b0"),
        ({"backbone": lambda: None}, "backbone"),
        ({"lowest_rate": 0}, "lowest_rate"),
        ({"unfreeze_steps": 0}, "unfreeze_steps"),
        ({"filters": (3,)}, "filters"),
        ({"optimizer": "muon"}, "muon with a learning rate for each layer"),
        ({"optimizer": keras.optimizers.Ftrl()}, "Ftrl"),
        ({"weights": "nowhere.h5"}, "nowhere.h5"),
        ({"optimizer": keras.optimizers.SGD(0.1), "unfrozen_rate": 0.1}, "unfrozen_rate"),
    ],
)
def test_what_cannot_be_is_refused(keywords, says):
    with pytest.raises(kerasdl.InputError, match=says):
        fine_tuning.resolve(data="digits", **keywords)


def test_weights_of_another_backbone_leave_nothing(call, tmp_path):
    with pytest.raises(kerasdl.InputError, match="cannot be loaded"):
        fine_tuning.train(**call | {"backbone": "vgg16"}, directory=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_images_may_have_several_labels(call, images):
    pixels, classes = images
    rows = np.stack([classes > 0, classes < 2, classes == 1], axis=1).astype("uint8")
    result = fine_tuning.train(**call | {"data": (pixels, rows)}, unfreeze=0, frozen_epochs=2)
    assert result.multi_label
    assert set(result.metrics) > {"macro_f1", "mean_average_precision"}


def test_a_function_of_keras_is_a_backbone(call):
    assert fine_tuning.resolve(backbone=keras.applications.MobileNet)["backbone"] == BACKBONE


def test_nearest_neighbours_of_features_beat_chance():
    metrics = fine_tuning.nearest_neighbours("digits", backbone="efficientnet_lite0", neighbours=5)
    assert metrics["accuracy"] > 0.85
    with pytest.raises(kerasdl.InputError, match="at most 1293"):
        fine_tuning.nearest_neighbours("digits", backbone="efficientnet_lite0", neighbours=2000)


def test_a_phase_that_diverges_costs_no_phase_before_it(call):
    class Diverges(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if not isinstance(self.model.get_layer("features"), keras.layers.InputLayer):
                kernel = self.model.get_layer("logits").kernel
                kernel.assign(kernel * float("nan"))

    with pytest.warns(UserWarning, match="Phase 2 is left out: .*infinite or NaN"):
        result = fine_tuning.train(**call, frozen_epochs=2, epochs=1, unfreeze=1, callbacks=[Diverges()])
    assert result.history["unfrozen_layers"] == [0, 0]
    assert all(np.isfinite(array).all() for array in result.model.get_weights())
    assert np.isfinite(result.metrics["log_loss"])


def test_a_bad_layer_is_named_in_a_head_that_shares_its_layers(untrained):
    backbone, head = split_head(untrained)
    features = np.ones((2, *backbone.output.shape[1:]), "f4")
    kernel = head.get_layer("logits").kernel
    before = np.array(kernel)
    kernel.assign(np.full(kernel.shape, 3e38, "f4"))
    assert first_bad_layer(head, features) == "the output of layer 'logits'"
    kernel.assign(before)


def test_an_optimizer_object_is_used_anew_in_each_phase(call):
    optimizer = keras.optimizers.AdamW(1e-3, weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    again = kerasdl.training.copied(optimizer)
    assert again is not optimizer
    assert again._exclude_from_weight_decay_pattern == optimizer._exclude_from_weight_decay_pattern
    result = fine_tuning.train(**call, optimizer=optimizer, frozen_epochs=1, epochs=1, unfreeze=1)
    assert not optimizer.built
    assert len(result.history["loss"]) == 2
