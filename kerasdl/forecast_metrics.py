"""Measures of forecasts, and the test of whether one is better than another.

Values that were not observed count nowhere. Arrays are (windows, horizon, targets); quantiles have their levels last.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

TINY = 1e-12


def forecast_metrics(
    truth: np.ndarray,
    forecast: np.ndarray,
    *,
    scales: np.ndarray,
    last: np.ndarray,
    quantiles: np.ndarray | None = None,
    levels: Sequence[float] = (),
) -> dict[str, float]:
    """Return the metrics of some forecasts.

    Args:
        truth: What came, NaN where it was not observed.
        forecast: What was foretold.
        scales: Of each window's series, (windows, targets): see `ForecastDataset.scales`.
        last: What was observed last before each window's end, (windows, targets).
        quantiles: Foretold quantiles, (windows, horizon, targets, levels).
        levels: Their levels, ascending.

    Returns:
        "mae" and "rmse" in the series' own units; "mase", the error relative to that of the seasonal naive forecast on
        the training part; "smape" in percent, 0 to 200; "direction_accuracy", the share of steps of which it was said
        rightly whether they lie above or below the last value; with quantiles "pinball", their mean loss in own units,
        and, with several levels, "coverage", the share of values between the lowest and the highest.

    References:
        Hyndman and Koehler 2006, doi:10.1016/j.ijforecast.2006.03.001; Koenker and Bassett 1978, doi:10.2307/1913643
    """
    truth, forecast = truth.astype(np.float64), forecast.astype(np.float64)
    error = np.abs(truth - forecast)
    size = np.abs(truth) + np.abs(forecast)
    moved, said = (np.sign(values - last[:, None]) for values in (truth, forecast))
    moved = np.where(np.isfinite(truth) & (moved != 0), moved, np.nan)
    found = {
        "mae": _mean(error),
        "rmse": float(np.sqrt(_mean(error**2))),
        "mase": _mean(error / scales[:, None]),
        # Nothing foretold and nothing come is no error.
        "smape": 200 * _mean(error / np.maximum(size, TINY)),
        "direction_accuracy": _mean(np.where(np.isnan(moved), np.nan, moved == said)),
    }
    if quantiles is not None:
        found["pinball"] = _mean(pinball(truth, quantiles, levels))
        if len(levels) > 1:
            inside = (truth >= quantiles[..., 0]) & (truth <= quantiles[..., -1])
            found["coverage"] = _mean(np.where(np.isfinite(truth), inside, np.nan))
    return found


def pinball(truth: np.ndarray, quantiles: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """Return the quantile loss of every value and level, shaped as `quantiles`; NaN where nothing was observed."""
    error = truth[..., None] - quantiles
    return np.maximum(np.asarray(levels) * error, (np.asarray(levels) - 1) * error)


def _mean(values: np.ndarray) -> float:
    seen = values[np.isfinite(values)]
    return float(seen.mean()) if len(seen) else float("nan")


def diebold_mariano(better: np.ndarray, worse: np.ndarray, *, horizon: int) -> dict[str, float]:
    """Test whether the first of two forecasts has the smaller expected loss.

    Windows that overlap have dependent losses: their variance is that of Newey and West with lags up to the horizon, at
    least the rule of the sample size; the statistic has the correction of Harvey, Leybourne and Newbold and is
    compared with Student's distribution. One-sided.

    Args:
        better: Mean loss of the first forecast at each time, in the order of time, (times,).
        worse: The same of the other.
        horizon: Steps foretold at each time.

    Returns:
        "statistic", negative where the first is better; "p_value", the chance of that or less if it is not.

    References:
        Diebold and Mariano 1995, doi:10.1080/07350015.1995.10524599; Harvey, Leybourne and Newbold 1997,
        doi:10.1016/S0169-2070(96)00719-4; Newey and West 1987, doi:10.2307/1913610
    """
    from scipy import stats

    difference = better.astype(np.float64) - worse
    difference = difference[np.isfinite(difference)]
    count = len(difference)
    if count < 3 or not difference.any():
        return {"statistic": 0.0, "p_value": 0.5}
    centred = difference - difference.mean()
    lags = min(max(horizon - 1, int(4 * (count / 100) ** (2 / 9))), count - 1)
    covariances = [float(centred[lag:] @ centred[: count - lag]) / count for lag in range(lags + 1)]
    variance = covariances[0] + 2 * sum((1 - lag / (lags + 1)) * covariances[lag] for lag in range(1, lags + 1))
    steps = min(horizon, count)
    corrected = (count + 1 - 2 * steps + steps * (steps - 1) / count) / count
    statistic = difference.mean() / np.sqrt(max(variance, TINY * TINY) / count) * np.sqrt(max(corrected, 1 / count))
    return {"statistic": float(statistic), "p_value": float(stats.t.cdf(statistic, df=count - 1))}


def losses_by_time(error: np.ndarray, scales: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Return the mean scaled error of all series at each time, (times,), in the order of time.

    Args:
        error: Absolute, (windows, horizon, targets).
        scales: (windows, targets).
        time: Of each window's origin, (windows,).
    """
    scaled = error / scales[:, None]
    seen = np.isfinite(scaled)
    sums, counts = np.where(seen, scaled, 0.0).sum(axis=(1, 2)), seen.sum(axis=(1, 2))
    _, places = np.unique(time, return_inverse=True)
    return np.bincount(places, sums) / np.maximum(np.bincount(places, counts), 1)


def calibration_factors(
    truth: np.ndarray, quantiles: np.ndarray, levels: Sequence[float], *, middle: int
) -> np.ndarray:
    """Return by how much each quantile is to be drawn from the middle one so that it holds as often as it says.

    Conformal prediction: the distance from the middle, in units of the foretold one, that held with the right frequency
    on examples that the model did not learn from, with the correction for their number.

    Args:
        truth: What came.
        quantiles: What was foretold, (windows, horizon, targets, levels).
        levels: Ascending.
        middle: Index of the level that stays.

    Returns:
        float32 (horizon, targets, levels), 1 for the middle; outer levels move at least as far as inner ones.

    Reference: Romano, Patterson and Candès, Conformalized quantile regression, arXiv:1905.03222; in units of the
    predicted width as in Kivaranovic, Johnson and Leeb, arXiv:1905.10634
    """
    factors = np.ones((*quantiles.shape[1:],), np.float32)
    centre = quantiles[..., middle]
    for index, level in enumerate(levels):
        if index == middle:
            continue
        sign = 1.0 if index > middle else -1.0
        width = np.maximum(sign * (quantiles[..., index] - centre), TINY)
        ratio = sign * (truth - centre) / width
        share = level if sign > 0 else 1 - level
        for step in range(ratio.shape[1]):
            for target in range(ratio.shape[2]):
                seen = ratio[:, step, target]
                seen = seen[np.isfinite(seen)]
                if not len(seen):
                    continue
                exact = min(1.0, share * (len(seen) + 1) / len(seen))
                # Below zero the quantile would cross the middle: then the middle is what is wrong, and it stays.
                factors[step, target, index] = max(0.0, np.quantile(seen, exact, method="higher"))
    return factors
