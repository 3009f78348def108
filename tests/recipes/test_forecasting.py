"""What the forecasting recipe promises beyond the contract: architectures, covariates, units, honesty about prices."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import kerasdl
from kerasdl import InputError
from kerasdl.diagnostics import diagnose_forecaster
from recipes import forecasting
from recipes.commands import forecast_lines

SMALL = {"epochs": 1, "verbose": 0, "horizon": 3, "sequence_length": 12}
HOURS = pd.date_range("2024-01-01", periods=300, freq="h")


def table(**columns) -> pd.DataFrame:
    values = 50 + 10 * np.sin(np.arange(300) * 2 * np.pi / 24) + np.random.default_rng(0).normal(0, 1, 300)
    return pd.DataFrame({"time": HOURS, "y": values, **columns})


@pytest.mark.parametrize(
    "keywords",
    [
        {"architecture": "dlinear"},
        {"architecture": "tcn", "filters": 4},
        {"architecture": "transformer", "num_layers": 1, "num_heads": 2, "hidden_dim": 8},
        {"architecture": "lstm", "units": 4},
        {"architecture": "gru", "units": 4},
        {"architecture": "rnn", "units": 4},
        {"architecture": "sequence_to_sequence", "units": 4},
    ],
    ids=lambda keywords: keywords["architecture"],
)
def test_every_architecture(keywords):
    result = forecasting.train(table(), **SMALL, **keywords)
    assert set(result.baselines) == {"last value", "seasonal naive", "drift", "linear"}
    found = result.predict(table())
    assert found["forecast"].shape == (1, 3)
    assert (found["lower"] <= found["forecast"]).all()
    assert (found["forecast"] <= found["upper"]).all()
    assert found["time"].tolist()[0][0] == (HOURS[-1] + pd.Timedelta("1h")).to_pydatetime()
    # In the series' own units.
    assert 20 < found["forecast"].mean() < 80


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    """Two series of two targets with covariates of both kinds, scaled each by itself: result, table and export."""
    generator = np.random.default_rng(1)
    parts = [
        table(series=name, z=generator.normal(100 * size, 1, 300), load=generator.normal(size=300), holiday=hours % 7)
        for name, size, hours in (("a", 1, np.arange(300)), ("b", 50, np.arange(300) + 3))
    ]
    data = pd.concat(parts, ignore_index=True)
    keywords = {"target": ["y", "z"], "past_covariates": "load", "known_covariates": ["holiday"]}
    directory = tmp_path_factory.mktemp("runs") / "rich"
    result = forecasting.train(data, scaler="standard", directory=directory, **keywords, **SMALL)
    folder = result.export(tmp_path_factory.mktemp("models") / "rich")
    return result, data, kerasdl.export.load_exported(folder)


def ahead(data: pd.DataFrame) -> pd.DataFrame:
    """A table as at the time of a forecast: what is known ahead stands in rows without targets."""
    known = data.copy()
    known.loc[known["time"] > HOURS[-4], ["y", "z", "load"]] = np.nan
    return known


def test_several_series_targets_and_covariates(rich):
    result, data, exported = rich
    assert result.task.layout.asked == ("values", "known", "time", "series")
    live, served = result.predict(ahead(data)), exported.predict(ahead(data))
    assert live["forecast"].shape == (2, 3, 2)
    assert live["series"].tolist() == served["series"].tolist() == ["a", "b"]
    np.testing.assert_allclose(served["quantiles"], live["quantiles"], rtol=1e-5)
    np.testing.assert_array_equal(live["time"][0], HOURS[-3:].to_numpy().astype("datetime64[s]"))
    # Each series by its own scaler.
    assert live["forecast"][1, :, 1].mean() == pytest.approx(5000, rel=0.02)
    lines = forecast_lines(served, ["y", "z"])
    assert len(lines) == 1 + 2 * 3
    kinds = ("forecast", "lower", "upper")
    assert lines[0].split() == ["series", "time", *[word for name in "yz" for kind in kinds for word in (name, kind)]]


def test_a_saved_forecaster_forecasts_the_same(rich):
    result, data, _ = rich
    again = kerasdl.Result.load(result.directory, data=data)
    np.testing.assert_array_equal(again.predict(ahead(data))["quantiles"], result.predict(ahead(data))["quantiles"])
    assert again.evaluate(data).keys() == result.metrics.keys()
    assert "Forecasts of the test split" in (result.directory / "report.html").read_text("utf-8")


def test_a_process_that_only_loads_knows_the_layers(rich):
    result, _, _ = rich
    code = f"import kerasdl; print(kerasdl.Result.load({str(result.directory)!r}).model.name)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "linear_forecaster\n", done.stderr


def test_a_later_row_changes_no_forecast(rich):
    result, data, _ = rich
    later = ahead(data)
    later.loc[later["time"] > HOURS[-4], "load"] = 1e6
    np.testing.assert_array_equal(result.predict(later)["quantiles"], result.predict(ahead(data))["quantiles"])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: data.drop(columns="holiday"), "holiday"),
        (lambda data: data[data["time"] < HOURS[8]], "at least 12 steps"),
        (lambda data: data.assign(series="c" + data["series"]), "'ca'"),
        (lambda data: data[data["time"] <= HOURS[-4]], "0 rows after the last observed target"),
        (lambda data: np.zeros((12, 4)), "no known"),
        (lambda data: {"values": np.zeros((1, 5, 4))}, "no known"),
        (lambda data: [1.0, [2.0]], "different lengths"),
    ],
)
def test_what_cannot_be_forecast_is_refused(rich, change, says):
    result, data, exported = rich
    for each in (result, exported):
        with pytest.raises(InputError, match=says):
            each.predict(change(ahead(data)))


def test_arrays_as_they_come():
    values = table()["y"].to_numpy()
    result = forecasting.train(values, **SMALL)
    one, many = result.predict(values), result.predict(np.stack([values[-12:], values[-13:-1]]))
    assert one["forecast"].shape == (1, 3)
    np.testing.assert_allclose(many["forecast"][0], one["forecast"][0], rtol=1e-6)
    assert "time" not in one


def test_prices_are_not_foretold_and_the_diagnosis_says_so():
    steps = np.random.default_rng(3).normal(0, 0.01, 900)
    prices = pd.DataFrame({"date": pd.bdate_range("2020-01-01", periods=900), "close": 100 * np.exp(np.cumsum(steps))})
    result = forecasting.train(prices, epochs=2, verbose=0)
    assert result.metrics["p_value"] > 0.05
    finding = next(finding for finding in result.diagnosis if finding.name == "no_better_than_naive")
    assert finding.remedy == {"transform": "volatility"}
    assert finding.evidence["movement_foretold"] < 0.5
    again = forecasting.train(prices, epochs=1, verbose=0, **finding.remedy)
    assert again.config["transform"] == "volatility"
    # Raw prices go in, their changes come out.
    assert again.predict(prices)["forecast"].max() < 0.1
    assert again.predict(prices)["lower"].min() >= 0


def test_what_can_be_foretold_has_no_finding():
    hours = np.arange(2_000)
    values = 10 * np.sin(hours * 2 * np.pi / 24) + 0.1 * hours + np.random.default_rng(0).normal(0, 1, len(hours))
    data = {"time": pd.date_range("2024-01-01", periods=len(hours), freq="h"), "y": values}
    result = forecasting.train(data, epochs=5, verbose=0, horizon=6, sequence_length=48)
    assert "no_better_than_naive" not in [finding.name for finding in result.diagnosis]
    assert result.metrics["mae"] < 0.9 * min(result.baselines[name]["mae"] for name in ("last value", "seasonal naive"))


def test_findings_by_their_rules():
    config = {"epochs": 10, "dropout": 0.1, "validation_fraction": 0.2, "transform": "none", "frequency": "h"}
    good = {"last value": {"error_ratio": 0.5, "p_value": 0.0}}
    falling, rising = (
        [5.0, 4, 3, 2.5, 2.2, 2.1, 2.05, 2.02, 2.01, 2.0],
        [2.0, 2.1, 2.2, 2.3, 2.4, 2.5, 2.6, 2.7, 2.8, 2.9],
    )

    def names(**changes):
        arguments = {
            "history": {"loss": falling, "val_loss": falling},
            "config": config,
            "against": good,
            "movement": 1.0,
            "train_skill": 0.5,
            "validation_skill": 0.48,
            "nominal": 0.8,
            "coverage": 0.79,
            "independent": 50,
        }
        return [finding.name for finding in diagnose_forecaster(**arguments | changes)]

    assert names() == []
    assert names(against={"last value": {"error_ratio": 0.99, "p_value": 0.3}}) == ["no_better_than_naive"]
    assert names(coverage=0.5) == ["miscalibrated_intervals"]
    assert names(coverage=0.74, independent=10) == []
    assert names(history={"loss": falling, "val_loss": rising}, validation_skill=0.1) == ["overfitting"]
    steep = [10.0, 9, 8, 7, 6, 5, 4, 3, 2, 1]
    assert names(history={"loss": steep, "val_loss": steep}) == ["underfitting"]


def test_backtest():
    rows = forecasting.backtest(table(), folds=2, epochs=1, horizon=3, sequence_length=12)
    assert [row["fold"] for row in rows] == [1, 2]
    assert rows[0]["end"] < rows[1]["begin"]
    assert rows[1]["end"] == HOURS[-1].to_datetime64()
    assert {"mase", "coverage", "baselines"} <= set(rows[0])


@pytest.mark.parametrize(
    ("keywords", "says"),
    [
        ({"architecture": "arima"}, "architecture"),
        ({"filters": 8}, "filters"),
        ({"quantiles": (0.9, 0.1)}, "quantiles"),
        ({"scaler": "minmax"}, "scaler"),
        ({"horizon": 0}, "horizon"),
        ({"target": 3}, "target"),
        ({"test_fraction": 0}, "test_fraction"),
    ],
)
def test_keywords_that_cannot_work(keywords, says):
    with pytest.raises(InputError, match=says):
        forecasting.resolve(**keywords)


def test_what_keeps_the_fast_kernel_away_is_said(capsys):
    forecasting.train(table(), **{**SMALL, "verbose": 1}, architecture="gru", units=2)
    assert "Not the fastest kernel: recurrent1: loop, because there is no GPU" in capsys.readouterr().out
