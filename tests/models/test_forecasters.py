"""The contract that every forecasting builder keeps, on one small model of each, and what forecasts promise.

Run as a script, `python test_forecasters.py weights.npz forecasts.npz`, it forecasts all cases with the weights given
on the backend that KERAS_BACKEND names: the test of the backends compares them with those of this process.
"""

from __future__ import annotations

import functools
import pathlib
import sys
from typing import Any

import keras
import numpy as np
import pytest
from other_backend import needed, run

from kerasdl import InputError, models
from kerasdl.models.forecasting_convolutional import levels_to_see
from kerasdl.safe_loading import load_keras
from kerasdl.training import PinballLoss

array = keras.ops.convert_to_numpy
LENGTH, HORIZON, BATCH = 13, 4, 6
LEVELS = (0.1, 0.5, 0.6, 0.9)
NAN = np.float32("nan")
STATISTICS = np.stack([np.arange(15.0).reshape(3, 5) / 5, 1 + np.arange(15.0).reshape(3, 5) / 15], axis=-1)
# two targets, one covariate of the past, two known ones, three series
WIDE = {"num_targets": 2, "num_past": 1, "num_known": 2, "quantiles": LEVELS, "statistics": STATISTICS}
ATTENTION = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 8}
# name: (builder, keywords, trainable parameters)
CASES: dict[str, tuple[Any, dict[str, Any], int]] = {
    "nlinear": (models.linear_forecaster, WIDE, 470),
    "dlinear": (models.linear_forecaster, {"kind": "dlinear", "kernel_size": 5, "scaler": "standard"}, 336),
    "temporal_cnn": (models.temporal_cnn, {**WIDE, "filters": 4, "scaler": "log", "dropout": 0.1}, 460),
    "transformer_forecaster": (models.transformer_forecaster, {**WIDE, **ATTENTION, "patch_size": 4}, 1608),
    "transformer_forecaster rotary": (models.transformer_forecaster, {**ATTENTION, "positions": "rotary"}, 1108),
    "lstm_forecaster": (models.lstm_forecaster, {**WIDE, "units": 4, "num_layers": 2, "dropout": 0.1}, 532),
    "nlinear season": (models.linear_forecaster, {**WIDE, "season": 3, "residual_scale": 0.1}, 694),
    "lstm_forecaster season": (
        models.lstm_forecaster,
        {"units": 4, "num_layers": 1, "season": 4, "residual_scale": 0.1},
        172,
    ),
    "lstm_forecaster gru": (models.lstm_forecaster, {"cell": "gru", "units": 4, "scaler": "none"}, 144),
    "sequence_to_sequence": (models.sequence_to_sequence, {**WIDE, "units": 4, "num_layers": 2}, 712),
    "sequence_to_sequence additive": (
        models.sequence_to_sequence,
        {"units": 4, "cell": "rnn", "attention": "additive", "num_known": 1},
        159,
    ),
}
ONE_EACH = ("nlinear", "dlinear", "temporal_cnn", "transformer_forecaster", "lstm_forecaster", "sequence_to_sequence")


def build(case: str, **keywords: Any) -> keras.Model:
    builder, own, _ = CASES[case]
    return builder(LENGTH, HORIZON, **{**own, **keywords})


def batch(case: str, size: int = BATCH) -> dict[str, np.ndarray]:
    own, rng = CASES[case][1], np.random.default_rng(0)
    targets, past, known = own.get("num_targets", 1), own.get("num_past", 0), own.get("num_known", 0)
    window = np.exp(rng.standard_normal((size, LENGTH, targets + past + known))).astype("float32")
    window[0, :2] = window[-1, 5:8, 0] = NAN
    found = {"past": window}
    if known:
        found["known"] = rng.standard_normal((size, HORIZON, known)).astype("float32")
    if "statistics" in own:
        found["series"] = np.arange(size, dtype="int32") % 3
    return found


def shape(case: str) -> tuple[int, ...]:
    own = CASES[case][1]
    return (HORIZON, own.get("num_targets", 1), len(own.get("quantiles", (0.1, 0.5, 0.9))))


def forecast(model: keras.Model, x: dict[str, np.ndarray]) -> np.ndarray:
    return array(model(x, training=False))


def shaken(model: keras.Model, by: float = 0.1) -> keras.Model:
    """The model with all weights away from where they start, the zeros of the heads too."""
    rng = np.random.default_rng(0)
    for w in model.trainable_variables:
        w.assign(array(w) + by * rng.standard_normal(w.shape).astype("float32"))
    return model


@functools.cache
def trained(case: str) -> keras.Model:
    """A model that has seen three steps, so that no weight is at its start; not to be changed."""
    keras.utils.set_random_seed(0)
    model = build(case)
    model.compile("adam", PinballLoss(CASES[case][1].get("quantiles", (0.1, 0.5, 0.9))), run_eagerly=True)
    y = np.exp(np.random.default_rng(1).standard_normal((BATCH, *shape(case)[:2]))).astype("float32")
    y[0, 1] = NAN
    for _ in range(3):
        model.train_on_batch(batch(case), y)
    return model


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> str:
    return request.param


def test_forecasts_of_any_batch_size(case: str) -> None:
    model = trained(case)
    assert model.output_shape == (None, *shape(case))
    assert (model.output.dtype, model.name) == ("float32", CASES[case][0].__name__)
    whole = forecast(model, batch(case))
    assert np.isfinite(whole).all()
    one = {name: values[:1] for name, values in batch(case).items()}
    np.testing.assert_allclose(forecast(model, one), whole[:1], rtol=1e-4, atol=1e-5)


def test_inputs_and_parameters(case: str) -> None:
    model = build(case)
    assert not model.compiled
    kinds = {name: (tuple(given.shape[1:]), given.dtype) for name, given in model.input.items()}
    assert kinds == {name: (x.shape[1:], str(x.dtype)) for name, x in batch(case).items()}
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == CASES[case][2]
    assert [w.path.split("/")[-1] for w in model.non_trainable_weights if "seed" not in w.path] == [
        "statistics",
        "factors",
    ]


def test_every_weight_moves_in_three_steps(case: str) -> None:
    keras.utils.set_random_seed(0)
    for before, after in zip(build(case).trainable_weights, trained(case).trainable_weights, strict=True):
        assert np.isfinite(array(after)).all(), after.path
        assert not np.array_equal(array(before), array(after)), after.path


def test_layer_names_are_unique_and_meant(case: str) -> None:
    names = [layer.name for layer in build(case).layers]
    assert len(set(names)) == len(names)
    assert names[-1] == "forecast"
    assert names == [layer.name for layer in trained(case).layers]


def test_quantiles_never_cross(case: str) -> None:
    model = shaken(build(case), 1.0)
    assert (np.diff(forecast(model, batch(case)), axis=-1) >= 0).all()


def test_keras_file_and_clone_are_exact(case: str, tmp_path: pathlib.Path) -> None:
    model = trained(case)
    model.save(tmp_path / "model.keras")
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    for copy in (load_keras(tmp_path / "model.keras"), clone):
        np.testing.assert_array_equal(forecast(copy, batch(case)), forecast(model, batch(case)))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a SavedModel needs the TensorFlow backend")
@pytest.mark.parametrize("case", [case for case in ONE_EACH if case != "dlinear"])
def test_saved_model_round_trip(case: str, tmp_path: pathlib.Path) -> None:
    import tensorflow as tf

    trained(case).export(tmp_path / "export", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "export")
    expected = trained(case).predict(batch(case), verbose=0)
    np.testing.assert_allclose(loaded.serve(batch(case)).numpy(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_same_forecasts_on_every_backend(backend: str, tmp_path: pathlib.Path) -> None:
    needed(backend)
    weights = {f"{c}|{i}": w for c in CASES for i, w in enumerate(trained(c).get_weights())}
    np.savez(tmp_path / "weights.npz", **weights)
    run(backend, __file__, tmp_path / "weights.npz", tmp_path / "forecasts.npz")
    with np.load(tmp_path / "forecasts.npz") as found:
        for c in CASES:
            np.testing.assert_allclose(found[c], forecast(trained(c), batch(c)), rtol=1e-4, atol=1e-4, err_msg=c)


@pytest.mark.parametrize("case", ONE_EACH)
def test_the_forecast_moves_and_stretches_with_its_window(case: str) -> None:
    model = shaken(build(case, scaler="window", statistics=None))
    x = {name: values for name, values in batch(case).items() if name != "series"}
    targets = shape(case)[1]
    moved = {**x, "past": x["past"].copy()}
    moved["past"][..., :targets] = 40 * moved["past"][..., :targets] - 300
    first, second = forecast(model, x), forecast(model, moved)
    np.testing.assert_allclose(second, 40 * first - 300, rtol=1e-4, atol=1e-4 * 40 * np.abs(first).max())
    assert np.ptp(first) > 0.1


@pytest.mark.parametrize("case", ONE_EACH)
def test_own_units_keep_their_digits_under_mixed_precision(case: str) -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build(case, scaler="window", statistics=None, season=1)
    finally:
        keras.config.set_dtype_policy(before)
    x = {name: values for name, values in batch(case).items() if name != "series"}
    x["past"] = np.nan_to_num(x["past"], nan=1.0) + 1e5
    found = forecast(model, x)
    assert found.dtype == "float32"
    # bfloat16 has three digits: 1e5 would be off by hundreds
    np.testing.assert_allclose(found[..., 1] - x["past"][:, -1:, : shape(case)[1]], 0.0, atol=0.05)


def test_statistics_move_and_stretch_the_forecast() -> None:
    x = np.random.default_rng(0).standard_normal((BATCH, LENGTH, 1)).astype("float32")
    found = []
    for centre, scale in ((0.0, 1.0), (-300.0, 40.0)):
        keras.utils.set_random_seed(0)
        model = shaken(
            models.lstm_forecaster(LENGTH, HORIZON, units=4, scaler="robust", statistics=[[[centre, scale]]])
        )
        found.append(forecast(model, {"past": scale * x + centre}))
    np.testing.assert_allclose(found[1], 40 * found[0] - 300, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("scaler", ["window", "standard", "log"])
@pytest.mark.parametrize("value", [0.0, 3.0, NAN])
def test_constant_and_empty_windows_have_finite_forecasts(scaler: str, value: float) -> None:
    model = models.linear_forecaster(LENGTH, HORIZON, scaler=scaler, statistics=[[[3.0, 2.0]]])
    found = forecast(model, {"past": np.full((2, LENGTH, 1), value, "float32")})
    assert np.isfinite(found).all()
    if scaler == "window" and value == value:
        np.testing.assert_allclose(found[..., 1], value, atol=1e-6)


def test_the_right_statistics_for_each_series() -> None:
    model = trained("lstm_forecaster")
    x = batch("lstm_forecaster")
    same = {name: np.repeat(values[1:2], 3, axis=0) for name, values in x.items()} | {
        "series": np.arange(3, dtype="int32")
    }
    together = forecast(model, same)
    assert not np.allclose(together[0], together[1])
    for row in range(3):
        alone = {name: values[row : row + 1] for name, values in same.items()}
        np.testing.assert_allclose(forecast(model, alone)[0], together[row], rtol=1e-5)


@pytest.mark.parametrize("scaler", ["window", "standard", "log"])
@pytest.mark.parametrize("case", ONE_EACH)
def test_the_first_forecast_is_the_seasonal_naive_one(case: str, scaler: str) -> None:
    model = build(case, scaler=scaler, season=3)
    x = {**batch(case), "past": np.exp(np.random.default_rng(0).standard_normal(batch(case)["past"].shape))}
    found = forecast(model, x)[..., 1]  # the level 0.5, of three and of four
    expected = x["past"][:, [-3, -2, -1, -3], : shape(case)[1]]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_linear_learns_a_sine_and_a_trend() -> None:
    time = np.arange(600)
    series = (10 * np.sin(2 * np.pi * time / 24) + 0.3 * time + 100).astype("float32")
    length, horizon = 48, 12
    starts = np.arange(600 - length - horizon)
    x = np.stack([series[i : i + length] for i in starts])[..., None]
    y = np.stack([series[i + length : i + length + horizon] for i in starts])[..., None]
    keras.utils.set_random_seed(0)
    model = models.linear_forecaster(length, horizon)
    model.compile(keras.optimizers.Adam(0.01), PinballLoss())
    model.fit({"past": x[:350]}, y[:350], batch_size=50, epochs=60, verbose=0)
    error = np.abs(forecast(model, {"past": x[400:]})[..., 1] - y[400:]).mean()
    last = np.abs(x[400:, -1:] - y[400:]).mean()
    assert error < 0.05 * last


def test_a_temporal_cnn_sees_the_whole_window_and_no_more_layers_than_that() -> None:
    for steps, kernel_size in ((1, 2), (13, 3), (168, 3), (100, 5)):
        n = levels_to_see(steps, kernel_size)
        assert 1 + 2 * (kernel_size - 1) * (2**n - 1) >= steps
        assert n == 1 or 1 + 2 * (kernel_size - 1) * (2 ** (n - 1) - 1) < steps


def test_a_temporal_cnn_is_causal_and_its_last_step_sees_the_first() -> None:
    model = shaken(models.temporal_cnn(LENGTH, HORIZON, filters=4, scaler="none", activation="tanh"), 0.3)
    blocks = [layer.output for layer in model.layers if layer.name.endswith("_add")]
    inner = keras.Model(model.input["past"], blocks[-1])
    x = np.random.default_rng(0).standard_normal((1, LENGTH, 1)).astype("float32")
    before = array(inner(x))[0]
    for step in range(LENGTH):
        changed = x.copy()
        changed[0, step] += 1.0
        after = array(inner(changed))[0]
        np.testing.assert_array_equal(after[:step], before[:step])
        assert not np.array_equal(after[-1], before[-1]), step


@pytest.mark.parametrize("builder", [CASES[case][0] for case in ONE_EACH[1:]])
def test_known_covariates_change_their_steps(builder: Any) -> None:
    model = shaken(builder(LENGTH, HORIZON, num_known=1))
    x = {"past": np.random.default_rng(0).standard_normal((2, LENGTH, 2)).astype("float32")}
    zeros, ones = np.zeros((2, HORIZON, 1), "float32"), np.zeros((2, HORIZON, 1), "float32")
    ones[:, 2] = 1.0
    difference = forecast(model, {**x, "known": ones}) - forecast(model, {**x, "known": zeros})
    np.testing.assert_array_equal(difference[:, :2], 0.0)
    assert np.abs(difference[:, 2]).max() > 1e-3


@pytest.mark.parametrize(
    ("builder", "keywords", "what"),
    [
        (models.linear_forecaster, {"kernel_size": 4}, "kernel_size"),
        (models.linear_forecaster, {"kind": "linear"}, "kind"),
        (models.linear_forecaster, {"quantiles": (0.5, 0.1)}, "quantiles"),
        (models.linear_forecaster, {"quantiles": (0.0, 0.5)}, "quantiles"),
        (models.linear_forecaster, {"quantiles": ()}, "quantiles"),
        (models.linear_forecaster, {"scaler": "minmax"}, "scaler"),
        (models.linear_forecaster, {"statistics": np.ones((2, 3, 2))}, "statistics"),
        (models.linear_forecaster, {"statistics": [[[0.0, 0.0]]]}, "statistics"),
        (models.linear_forecaster, {"statistics": [[[NAN, 1.0]]]}, "statistics"),
        (models.linear_forecaster, {"num_targets": 0}, "num_targets"),
        (models.linear_forecaster, {"season": 14}, "season"),
        (models.lstm_forecaster, {"season": 0}, "season"),
        (models.temporal_cnn, {"kernel_size": 1}, "kernel_size"),
        (models.temporal_cnn, {"num_layers": 0}, "num_layers"),
        (models.transformer_forecaster, {"patch_size": 14}, "patch_size"),
        (models.transformer_forecaster, {"patch_size": 4, "patch_stride": 5}, "patch_size"),
        (models.transformer_forecaster, {"num_heads": 3}, "hidden_dim"),
        (models.lstm_forecaster, {"cell": "transformer"}, "cell"),
        (models.sequence_to_sequence, {"attention": "luong"}, "attention"),
        (models.sequence_to_sequence, {"num_layers": 0}, "num_layers"),
    ],
)
def test_bad_arguments_are_refused(builder: Any, keywords: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError, match=f"^{what}: received"):
        builder(LENGTH, HORIZON, **keywords)


def _main(weights: str, out: str) -> None:
    found = {}
    with np.load(weights) as given:
        for c in CASES:
            model = build(c)
            model.set_weights([given[f"{c}|{i}"] for i in range(len(model.weights))])
            found[c] = forecast(model, batch(c))
    np.savez(out, **found)


if __name__ == "__main__":
    _main(*sys.argv[1:])
