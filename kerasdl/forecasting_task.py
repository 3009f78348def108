"""Forecasting as a task: raw values in, quantiles of the next values out, measured beside naive forecasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl import forecast_baselines, forecast_metrics
from kerasdl.forecast_layout import ForecastLayout, middle_level, possible
from kerasdl.spread import spread

if TYPE_CHECKING:
    import keras

    from kerasdl.data.forecast_dataset import ForecastDataset
    from kerasdl.export import Exported, Forecaster

# Windows of the training split that the diagnosis looks at.
SAMPLE = 2_000


class Forecasting:
    """The task of a forecaster, see :class:`kerasdl.task.Task`.

    Args:
        layout: What a window is; also as its `as_dict` gives it.
        quantiles: Levels that are foretold, ascending.
        scales: Of each series and target, see `ForecastDataset.scales`.
        load: The keywords that :func:`kerasdl.data.load_forecasting` was called with.
    """

    kind = "forecasting"
    class_names: tuple[str, ...] = ()
    multi_label = False

    def __init__(
        self,
        *,
        layout: ForecastLayout | Mapping[str, Any],
        quantiles: Sequence[float],
        scales: Sequence[Sequence[float]],
        load: Mapping[str, Any],
    ):
        self.layout = layout if isinstance(layout, ForecastLayout) else ForecastLayout.from_dict(layout)
        self.quantiles = tuple(quantiles)
        self.scales = np.asarray(scales, float)
        self.load = dict(load)

    @classmethod
    def of(
        cls, dataset: ForecastDataset, *, quantiles: Sequence[float], load: Mapping[str, Any], numbered: bool
    ) -> Forecasting:
        """Return the task that a dataset sets; `numbered` says whether series have scalers of their own."""
        layout = replace(dataset.layout, numbered=numbered)
        return cls(layout=layout, quantiles=quantiles, scales=dataset.scales.tolist(), load=load)

    @property
    def middle(self) -> int:
        """Index of the level that is the point forecast."""
        return middle_level(self.quantiles)

    def examples(self, split: Any) -> Any:
        """Return the windows of a split as the model takes them."""
        return split.told(numbered=self.layout.numbered)

    def forecasts(self, model: keras.Model, windows: Any, *, batch_size: int) -> np.ndarray:
        """Return the quantiles that the model foretells for each window, (windows, horizon, targets, levels)."""
        from kerasdl.measuring import predict_batches

        quantiles = predict_batches(model, self.examples(windows), batch_size=batch_size)
        return possible(quantiles, self.layout.transform)

    def measure(self, model: keras.Model, split: Any, *, batch_size: int) -> dict[str, float]:
        """Return the metrics of the model on a split: see :func:`kerasdl.forecast_metrics.forecast_metrics`.

        Beside them "skill", one minus the error over that of the last value, and "p_value", the chance of as good a
        forecast or a better if the last value is as good, see :func:`kerasdl.forecast_metrics.diebold_mariano`.
        """
        return self._measure(split, self.forecasts(model, split, batch_size=batch_size))

    def measure_export(self, exported: Exported, split: Any) -> dict[str, float]:
        """Return the metrics of an exported model on a split, as :meth:`measure`."""
        from kerasdl.measuring import predict_all

        quantiles = predict_all(exported, split)["quantiles"]
        # Of a single target, an answer has no axis for it.
        return self._measure(split, quantiles.reshape(*split.targets.shape, len(self.quantiles)))

    def _measure(self, split: Any, quantiles: np.ndarray) -> dict[str, float]:
        metrics = self._metrics(split, quantiles)
        against = self._against(split, quantiles[..., self.middle], {forecast_baselines.LAST})
        ratio, p_value = (against[forecast_baselines.LAST][name] for name in ("error_ratio", "p_value"))
        return metrics | {"skill": 1 - ratio, "p_value": p_value}

    def goodness(self, model: keras.Model, split: Any, *, batch_size: int) -> np.ndarray:
        """Return minus the scaled absolute error of each stretch of time as long as the horizon.

        Forecasts from neighbouring times share most of their truth; those a horizon apart share none.
        """
        forecast = self.forecasts(model, split, batch_size=batch_size)[..., self.middle]
        error = np.abs(split.targets - forecast)
        by_time = forecast_metrics.losses_by_time(error, split.scales[split.number], split.time)
        starts = np.arange(0, len(by_time), self.layout.horizon)
        return -np.add.reduceat(by_time, starts) / np.diff([*starts, len(by_time)])

    def _metrics(self, windows: Any, quantiles: np.ndarray) -> dict[str, float]:
        return forecast_metrics.forecast_metrics(
            windows.targets,
            quantiles[..., self.middle],
            scales=windows.scales[windows.number],
            last=windows.last_values(),
            quantiles=quantiles,
            levels=self.quantiles,
        )

    def _against(self, windows: Any, forecast: np.ndarray, names: set[str]) -> dict[str, dict[str, float]]:
        """Return for each naive forecast the ratio of the errors and the p value of the test of being better."""
        naive = {forecast_baselines.LAST: forecast_baselines.last_value}
        if self.layout.season > 1:
            naive[forecast_baselines.SEASONAL] = forecast_baselines.seasonal_naive
        scales, time = windows.scales[windows.number], windows.time
        own = forecast_metrics.losses_by_time(np.abs(windows.targets - forecast), scales, time)
        found = {}
        for name in names & set(naive):
            other = forecast_metrics.losses_by_time(np.abs(windows.targets - naive[name](windows)), scales, time)
            test = forecast_metrics.diebold_mariano(own, other, horizon=self.layout.horizon)
            ratio = float(own.mean() / other.mean()) if other.mean() else float("inf")
            found[name] = {"error_ratio": ratio, "p_value": test["p_value"]}
        return found

    def calibrate(self, model: keras.Model, windows: Any, *, batch_size: int) -> None:
        """Make the model's quantiles hold on windows that it did not learn from as often as they say."""
        if len(self.quantiles) == 1:
            return
        layer = model.get_layer("calibration")
        layer.factors.assign(np.ones(layer.factors.shape, np.float32))
        quantiles, truth = self.forecasts(model, windows, batch_size=batch_size), windows.targets
        if model.get_layer("forecast").scaler == "log":
            quantiles, truth = np.log(np.maximum(quantiles, 1e-30)), np.log(np.maximum(truth, 1e-30))
        factors = forecast_metrics.calibration_factors(truth, quantiles, self.quantiles, middle=self.middle)
        layer.factors.assign(factors)

    def baselines(self, dataset: Any) -> dict[str, dict[str, float]]:
        """Return what naive forecasts and a linear one reach, see :mod:`kerasdl.forecast_baselines`."""
        return forecast_baselines.forecast_baselines(dataset, self.quantiles)

    def diagnose(
        self,
        model: keras.Model,
        dataset: Any,
        *,
        history: Mapping[str, Sequence[float]],
        config: Mapping[str, Any],
    ) -> list[Any]:
        """Return the findings on a training: see :func:`kerasdl.diagnostics.diagnose_forecaster`."""
        from kerasdl.diagnostics import diagnose_forecaster

        size = config["batch_size"]
        train, test = dataset.train, dataset.test
        some = train.taken(spread(len(train), SAMPLE))
        skills = []
        for windows in (some, dataset.validation):
            forecast = self.forecasts(model, windows, batch_size=size)[..., self.middle]
            against = self._against(windows, forecast, {forecast_baselines.LAST})
            skills.append(1 - against[forecast_baselines.LAST]["error_ratio"])
        quantiles = self.forecasts(model, test, batch_size=size)
        forecast, last = quantiles[..., self.middle], test.last_values()[:, None]
        moved = float(np.nanstd(test.targets - last))
        several = len(self.quantiles) > 1
        return diagnose_forecaster(
            history=history,
            config={**config, "frequency": self.layout.frequency},
            against=self._against(test, forecast, {forecast_baselines.LAST, forecast_baselines.SEASONAL}),
            movement=float((forecast - last).std()) / moved if moved else 0.0,
            train_skill=skills[0],
            validation_skill=skills[1],
            nominal=self.quantiles[-1] - self.quantiles[0] if several else None,
            coverage=self._metrics(test, quantiles)["coverage"] if several else None,
            independent=max(1, len(np.unique(test.time)) // self.layout.horizon),
        )

    def report(self, model: keras.Model, dataset: Any, *, batch_size: int) -> dict[str, Any]:
        """Return what the report shows: see :func:`kerasdl.forecast_figures.forecast_figures`."""
        from kerasdl.forecast_figures import forecast_figures

        return {"pictures": forecast_figures(self, model, dataset, batch_size=batch_size)}

    def predictor(self, model: keras.Model) -> Forecaster:
        """Return what forecasts raw values with the model."""
        from kerasdl.export import Forecaster

        return Forecaster(model, self.layout, quantiles=self.quantiles)

    def load_split(self, data: Any) -> Any:
        """Load other series, all windows of them, scaled in measures as those of the training were."""
        from kerasdl.data.forecasting import load_windows

        return load_windows(data, self.layout, self.scales)

    def load_keywords(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the keywords that the run's series were loaded with."""
        return self.load

    def as_dict(self) -> dict[str, Any]:
        """Return all that makes the task, for JSON."""
        return {
            "kind": self.kind,
            "layout": self.layout.as_dict(),
            "quantiles": list(self.quantiles),
            "scales": self.scales.tolist(),
            "load": self.load,
        }
