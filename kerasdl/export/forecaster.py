"""A forecaster as its users see it: raw values in, forecasts with intervals out in the series' own units."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kerasdl.export.outputs import Outputs, from_quantiles, parity_batches
from kerasdl.export.parity import Trial
from kerasdl.export.raw_windows import predict_raw_windows, window_inputs
from kerasdl.forecast_layout import ForecastLayout, model_inputs

SIGNATURE = "serving_default"


class Forecaster:
    """A trained forecaster together with what turns raw values into its inputs.

    Args:
        model: Inputs "past", "known" and "series" as far as the layout has them; out come quantiles of shape (count,
            horizon, targets, levels).
        layout: What it takes.
        quantiles: The levels.
    """

    def __init__(self, model: keras.Model, layout: ForecastLayout, *, quantiles: Sequence[float]):
        self.model, self.layout, self.quantiles = model, layout, tuple(quantiles)

    def predict(self, raw: Any) -> Outputs:
        """Forecast with the live model.

        Args:
            raw: A table, an array or windows, see :func:`kerasdl.export.raw_windows.predict_raw_windows`.

        Returns:
            "forecast": the quantile nearest to the middle, float32 (count, horizon), or (count, horizon, targets) of
            several targets; "quantiles": the same with the levels last; with several levels "lower" and "upper", the
            outermost; of a table "series" and "time".
        """
        return predict_raw_windows(raw, self.layout, on_windows=self.predict_windows)

    def predict_windows(self, windows: Mapping[str, Any]) -> Outputs:
        """Forecast from whole windows of raw values, by the names of :func:`kerasdl.forecast_layout.model_inputs`."""
        inputs = window_inputs(windows, self.layout)
        return self._outputs(self.model.predict(inputs, batch_size=len(windows["values"]), verbose=0), np)

    def _outputs(self, quantiles: Any, xp: Any) -> dict[str, Any]:
        return from_quantiles(quantiles, self.layout, self.quantiles, xp)

    def signatures(self) -> dict[str, tuple[Callable[..., dict[str, Any]], list[Any]]]:
        """Return what goes into a SavedModel: raw values in, with no other file."""
        import tensorflow as tf

        layout = self.layout
        columns = len(layout.columns.values)
        kinds = {
            "values": ((None, None, columns), tf.float32),
            "known": ((None, layout.horizon, len(layout.columns.known)), tf.float32),
            "time": ((None,), tf.int64),
            "series": ((None,), tf.string),
        }
        specifications = {name: tf.TensorSpec(*kinds[name], name=name) for name in layout.asked}

        def forecast(windows: Mapping[str, Any]) -> dict[str, Any]:
            values = windows["values"]
            enough = tf.debugging.assert_greater_equal(
                tf.shape(values)[1], layout.raw_length, f"values: at least {layout.raw_length} steps are needed"
            )
            with tf.control_dependencies([enough]):
                values = values[:, -layout.raw_length :]
            values = tf.ensure_shape(values, (None, layout.raw_length, columns))
            inputs = model_inputs(
                layout, values=values, known=windows.get("known"), clock=windows.get("time"), xp=keras.ops
            )
            if layout.numbered:
                same = windows["series"][:, None] == tf.constant(layout.series)[None]
                learnt = tf.debugging.Assert(tf.reduce_all(tf.reduce_any(same, axis=1)), ["series: an unknown name"])
                with tf.control_dependencies([learnt]):
                    inputs["series"] = tf.argmax(tf.cast(same, tf.int32), axis=1, output_type=tf.int32)
            return self._outputs(self.model(inputs, training=False), keras.ops)

        return {SIGNATURE: (forecast, [specifications])}

    def trials(self, examples: Mapping[str, Any], *, tolerance: float) -> Iterator[Trial]:
        """Yield raw windows in several batch sizes, with values that are missing, and longer than need be."""
        for windows in self._tried(examples):
            yield self._trial(SIGNATURE, windows)

    def raw_trials(self, examples: Mapping[str, Any], *, tolerance: float) -> Iterator[Trial]:
        """Yield the same windows."""
        for windows in self._tried(examples):
            yield self._trial("predict", windows)

    def _tried(self, examples: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        examples = {name: examples[name] for name in self.layout.asked}
        for size in parity_batches(len(examples["values"])):
            yield {name: values[:size] for name, values in examples.items()}
        holes = {**examples, "values": examples["values"].copy()}
        holes["values"][:, 1::3] = np.nan
        yield holes

    def _trial(self, signature: str, windows: Mapping[str, Any]) -> Trial:
        expected = self.predict_windows(windows)
        # In units of the largest forecast of all: prices in yen are not to be exact to the fifth decimal.
        unit = max(1.0, float(np.abs(expected["quantiles"]).max()))
        return Trial(signature, windows, expected, {}, unit)

    def network_facts(self) -> dict[str, Any]:
        """Return nothing: the description says all."""
        return {}

    def description(self) -> dict[str, Any]:
        """Return what somebody who loads the export must know."""
        return {"inputs": "forecast", "layout": self.layout.as_dict(), "quantiles": list(self.quantiles)}
