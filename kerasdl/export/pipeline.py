"""What stands before and after the network where an export holds the network alone. Needs NumPy only.

String tables, image decoders and resizing have no kernels in the runtimes of phones and servers. So raw inputs become
the network's inputs here, and its numbers answers, as in the signatures of a SavedModel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kerasdl.export import image_pixels
from kerasdl.export.formats import Network
from kerasdl.export.outputs import Outputs, from_logits, from_quantiles
from kerasdl.export.raw_images import predict_raw_images
from kerasdl.export.raw_series import predict_raw_series
from kerasdl.export.raw_texts import predict_raw_texts
from kerasdl.export.raw_windows import predict_raw_windows, window_inputs
from kerasdl.export.text_loop import TextLoop
from kerasdl.export.token_ids import TokenIds
from kerasdl.forecast_layout import ForecastLayout
from kerasdl.padding import pad
from kerasdl.series_values import padded


class Pipeline:
    """Raw inputs to answers, with any network between.

    Args:
        facts: The description of an export: "inputs" says of which kind, the rest is as each predictor's `description`
            and `network_facts` give it.
        network: From the inputs of the model to its output.
    """

    def __init__(self, facts: Mapping[str, Any], network: Network):
        self.facts, self.network = facts, network
        self.text_loop = TextLoop(facts, network) if facts["inputs"] == "prompt" else None
        if self.text_loop is not None:
            self._answer: Callable[[Any], Outputs] = self.text_loop.predict
            return
        self._answer = {
            "images": self._images,
            "text": self._texts,
            "series": self._series,
            "forecast": self._forecasts,
        }[facts["inputs"]]
        if facts["inputs"] == "text":
            self._token_ids = TokenIds(facts["vocabulary"])
        if facts["inputs"] == "forecast":
            self._layout = ForecastLayout.from_dict(facts["layout"])

    def predict(self, raw: Any) -> Outputs:
        """Answer raw inputs; see :meth:`kerasdl.export.Exported.predict`."""
        return self._answer(raw)

    def _classes(self, inputs: np.ndarray) -> Outputs:
        return from_logits(self.network(inputs), self.facts["class_names"], multi_label=self.facts["multi_label"])

    def _images(self, raw: Any) -> Outputs:
        height, width, channels = self.facts["input_shape"]

        def on_pixels(images: np.ndarray) -> Outputs:
            return self._classes(image_pixels.resize(images, (height, width)))

        def on_encoded(files: np.ndarray) -> Outputs:
            sized = [image_pixels.resize(image_pixels.decode(file, channels)[None], (height, width)) for file in files]
            return self._classes(np.concatenate(sized))

        return predict_raw_images(raw, channels=channels, on_pixels=on_pixels, on_encoded=on_encoded)

    def _texts(self, raw: Any) -> Outputs:
        length = self.facts["sequence_length"]

        def on_texts(texts: np.ndarray) -> Outputs:
            return self._classes(pad([ids[:length] for ids in self._token_ids(texts.tolist())]))

        return predict_raw_texts(raw, on_texts=on_texts)

    def _series(self, raw: Any) -> Outputs:
        shape, missing = self.facts["input_shape"], self.facts["missing"]
        return predict_raw_series(
            raw, input_shape=shape, missing=missing, on_series=lambda series: self._classes(padded(series))
        )

    def _forecasts(self, raw: Any) -> Outputs:
        def on_windows(windows: Mapping[str, Any]) -> Outputs:
            quantiles = self.network(window_inputs(windows, self._layout))
            return from_quantiles(quantiles, self._layout, self.facts["quantiles"])

        return predict_raw_windows(raw, self._layout, on_windows=on_windows)
