"""Series to forecast: what tables become, how they are split, and that nothing of the future is ever seen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kerasdl import InputError
from kerasdl.data import backtest_folds, choose_start, fit_statistics, load_forecasting

HOURS = pd.date_range("2024-01-01", periods=400, freq="h")


def table(count: int = 400, **columns) -> pd.DataFrame:
    values = np.sin(np.arange(count) * 2 * np.pi / 24) + 0.01 * np.arange(count)
    return pd.DataFrame({"time": HOURS[:count], "y": values, **columns})


def test_windows_are_counted_exactly():
    dataset = load_forecasting(table(), horizon=6, sequence_length=24, gap=3)
    # 400 steps: test from 320 on, validation from 256 on.
    assert dataset.starts == tuple(int(HOURS[i].timestamp()) for i in (256, 320))
    assert dataset.counts == {
        "train": 256 - 3 - 24 - 6 + 1,
        "validation": 320 - 3 - 256 - 6 + 1,
        "test": 400 - 320 - 6 + 1,
    }
    inputs, targets = dataset.test.batch(np.array([0, len(dataset.test) - 1]))
    values = table()["y"].to_numpy(np.float32)
    np.testing.assert_array_equal(inputs["past"][0, :, 0], values[320 - 24 : 320])
    np.testing.assert_array_equal(targets[0, :, 0], values[320:326])
    np.testing.assert_array_equal(targets[1, :, 0], values[394:])


def test_a_later_value_changes_no_earlier_input_scaler_or_feature():
    known = {"holiday": np.arange(400) % 5, "load": np.arange(400.0)}
    keywords = {"horizon": 6, "sequence_length": 24, "past_covariates": ["load"], "known_covariates": ["holiday"]}
    data = table(**known)
    other = data.copy()
    cut = 300  # in the validation split
    other.loc[cut:, "y"] += 1000
    other.loc[cut:, "load"] = -5.0
    one, two = load_forecasting(data, **keywords), load_forecasting(other, **keywords)
    for scaler in ("window", "standard", "robust"):
        np.testing.assert_array_equal(fit_statistics(one, scaler), fit_statistics(two, scaler))
        assert choose_start(one, fit_statistics(one, scaler), scaler) == choose_start(
            two, fit_statistics(two, scaler), scaler
        )
    np.testing.assert_array_equal(one.scales, two.scales)
    assert one.layout == two.layout
    for split in ("train", "validation"):
        first, second = one.splits[split], two.splits[split]
        np.testing.assert_array_equal(first.origin, second.origin)
        before = np.flatnonzero(first.origin <= cut)
        assert len(before)
        for name, values in first.batch(before)[0].items():
            np.testing.assert_array_equal(values, second.batch(before)[0][name], err_msg=name)
    targets = [each.train.targets for each in (one, two)]
    np.testing.assert_array_equal(*targets)


def test_no_split_sees_the_targets_of_a_later_one_and_the_gap_is_kept():
    dataset = load_forecasting(table(), horizon=6, sequence_length=24, gap=10)
    train, validation, test = (dataset.splits[name] for name in ("train", "validation", "test"))
    assert train.origin.max() + 6 <= validation.origin.min() - 10
    assert validation.origin.max() + 6 <= test.origin.min() - 10
    # All series are cut at the same time, though one begins later.
    late = table().iloc[100:]
    both = pd.concat([table().assign(series="a"), late.assign(series="b")])
    cut = load_forecasting(both, horizon=6, sequence_length=24)
    for split in cut.splits.values():
        firsts = [split.time[split.number == number].min() for number in (0, 1)]
        assert firsts[0] == firsts[1] or split is cut.train


def test_missing_rows_become_missing_values():
    dataset = load_forecasting(table().drop(index=[50, 51, 390]), horizon=6, sequence_length=24)
    values = dataset.series[0].values[:, 0]
    assert len(values) == 400
    assert np.flatnonzero(np.isnan(values)).tolist() == [50, 51, 390]
    assert "3 of 400 values missing" in dataset.describe()
    # The last value that was seen stands for one that is missing.
    index = int(np.flatnonzero(dataset.train.origin == 52)[0])
    assert dataset.train.last_values()[index, 0] == values[49]


def test_windows_without_a_target_are_left_out():
    data = table()
    data.loc[330:340, "y"] = np.nan
    dataset = load_forecasting(data, horizon=6, sequence_length=24)
    assert not {330, 335} & set(dataset.test.origin.tolist())
    assert {329, 336} <= set(dataset.test.origin.tolist())


def test_daylight_saving():
    hours = pd.date_range("2024-10-20", periods=400, freq="h", tz="Europe/Paris")
    local = pd.DataFrame({"time": hours.tz_localize(None), "y": np.arange(400.0)})
    dataset = load_forecasting(local, timezone="Europe/Paris", horizon=6, sequence_length=24)
    assert len(dataset.series[0]) == 400
    assert not np.isnan(dataset.series[0].values).any()
    # The clock on the wall is put back an hour, the time goes on.
    assert set(np.diff(dataset.series[0].time)) == {3600}
    assert set(np.diff(dataset.series[0].clock)) == {3600, 0}
    with pytest.raises(InputError, match=r"occur twice.*daylight saving"):
        load_forecasting(local, horizon=6, sequence_length=24)
    aware = local.assign(time=hours.astype(str))
    np.testing.assert_array_equal(
        load_forecasting(aware, timezone="Europe/Paris", horizon=6, sequence_length=24).series[0].clock,
        dataset.series[0].clock,
    )


def test_trading_days_are_rows():
    days = pd.bdate_range("2020-01-01", periods=200).delete([30, 31])
    dataset = load_forecasting(pd.DataFrame({"date": days, "close": np.arange(198.0) ** 1.1}), sequence_length=20)
    assert (dataset.layout.frequency, dataset.layout.season, dataset.layout.horizon) == ("rows", 5, 5)
    assert len(dataset.series[0]) == 198
    assert dataset.layout.calendar == ()


@pytest.mark.parametrize(
    ("frequency", "season", "calendar"),
    [
        ("15min", 96, (86_400, 604_800)),
        ("D", 7, (604_800,)),
        ("MS", 12, (31_556_952,)),
        ("QE", 4, (31_556_952,)),
        ("YS", 1, ()),
    ],
)
def test_frequencies_and_the_calendar_that_they_can_teach(frequency, season, calendar):
    times = pd.date_range("2000-01-01", periods=3_000 if frequency == "15min" else 200, freq=frequency)
    dataset = load_forecasting({"time": times, "y": np.arange(len(times)) % 11}, horizon=2, sequence_length=13)
    assert dataset.layout.season == season
    assert dataset.layout.calendar == calendar


def test_changes_of_prices():
    prices = 100 * np.cumprod(1 + 0.01 * np.sin(np.arange(300)))
    values = {
        kind: load_forecasting(prices, transform=kind, horizon=3, sequence_length=8)
        for kind in ("returns", "volatility")
    }
    found = values["returns"]
    inputs, targets = found.train.batch(np.array([0]))
    np.testing.assert_allclose(inputs["past"][0, :, 0], 0.01 * np.sin(np.arange(1, 9)), atol=1e-6)
    np.testing.assert_allclose(targets[0, :, 0], 0.01 * np.sin(np.arange(9, 12)), atol=1e-6)
    assert found.train.raw(np.array([0]))["values"].shape == (1, 9, 1)
    assert (found.train.last_values() == 0).all()
    logarithms = np.abs(np.log1p(0.01 * np.sin(np.arange(9, 12)))) / np.sqrt(2 / np.pi)
    np.testing.assert_allclose(values["volatility"].train.targets[0, :, 0], logarithms, atol=1e-6)


def test_every_form_of_data():
    values = table()["y"].to_numpy()
    keywords = {"horizon": 6, "sequence_length": 24}
    assert load_forecasting(values, **keywords).train.targets.shape[1:] == (6, 1)
    assert load_forecasting(np.stack([values, values], 1), **keywords).train.targets.shape[1:] == (6, 2)
    several = load_forecasting([values, values[100:]], **keywords)
    assert [each.name for each in several.series] == ["0", "1"]
    indexed = table().set_index("time")["y"]
    assert load_forecasting(indexed, **keywords).layout.frequency == "h"
    assert (
        load_forecasting({"ds": HOURS, "y": values}, **keywords).fingerprint
        == load_forecasting({"ds": HOURS, "y": values}, **keywords).fingerprint
    )


def test_statistics_of_the_training_part_alone():
    data = pd.concat([table().assign(series="a"), table().assign(series="b", y=lambda t: 5 * t["y"])])
    dataset = load_forecasting(data, horizon=6, sequence_length=24, calendar=False)
    values = dataset.series[0].values[: dataset.train_ends[0], 0].astype(float)
    standard, window = fit_statistics(dataset, "standard"), fit_statistics(dataset, "window")
    np.testing.assert_allclose(
        standard[:, 0], [[values.mean(), values.std()], [5 * values.mean(), 5 * values.std()]], rtol=1e-5
    )
    assert window.shape == (1, 1, 2)
    with pytest.raises(InputError, match="log"):
        fit_statistics(load_forecasting(-np.arange(400.0), horizon=6), "log")


def test_folds_end_where_the_next_begins():
    dataset = load_forecasting(table(), horizon=6, sequence_length=24)
    folds = backtest_folds(dataset, 3)
    spans = [fold.test_span for fold in folds]
    assert all(first[1] < second[0] for first, second in zip(spans, spans[1:], strict=False))
    assert [len(fold.train) for fold in folds] == sorted(len(fold.train) for fold in folds)
    assert spans[-1][1] == HOURS[-1].to_datetime64()


@pytest.mark.parametrize(
    ("data", "keywords", "says"),
    [
        (table().assign(y=1.0), {}, "all 1"),
        (table().iloc[:30], {}, "no window in the"),
        (table().assign(y="high"), {}, "target: received no name"),
        (table().assign(z=1.0), {"target": "w"}, "target: received 'w'"),
        (table(), {"target": "y", "past_covariates": ["y"]}, "each column once"),
        (table().assign(time=HOURS[:1].append(HOURS[:-1])), {}, "occur twice"),
        (pd.concat([table().iloc[:9], table().iloc[300:]]), {}, "irregular steps"),
        (table().assign(time="tomorrow"), {}, "times that cannot be read"),
        (table().assign(time=None), {}, "no time in row 1"),
        (table().assign(y=[*range(399), np.inf]), {}, "inf"),
        (table(), {"frequency": "fortnight"}, "frequency"),
        (table(), {"timezone": "Mars/Olympus"}, "timezone"),
        (-np.arange(400.0), {"transform": "returns"}, "above 0"),
        (np.zeros((3, 3, 3)), {}, "shape"),
        ("stonks", {}, "Did you mean 'stocks'"),
        ("missing.csv", {}, "does not exist"),
        (table(), {"test_fraction": 1.5}, "test_fraction"),
        (table(), {"transform": "sqrt"}, "transform"),
    ],
)
def test_bad_data_is_refused_by_name(data, keywords, says):
    with pytest.raises(InputError, match=says):
        load_forecasting(data, **{"horizon": 6, "sequence_length": 24, **keywords})
