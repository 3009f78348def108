"""Forecasts by the recipe's defaults beside naive ones, on data that ship and on three more: errors and coverage.

    pip download --no-deps vega_datasets && python benchmarks/forecasting.py vega_datasets-*.whl
    python benchmarks/forecasting.py vega_datasets-*.whl --seeds 1 --architecture lstm --only sf-temps

Daily prices of three shares (5 days ahead), their returns and their volatility; hourly temperatures of San Francisco
(24 hours ahead); daily wind and highest temperature of Seattle (7 days ahead). The last fifth of the time is the test.
Target: on the temperatures at least 30 % below the mean absolute error of the seasonal naive forecast.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import time
import zipfile
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pandas as pd  # noqa: E402 - TensorFlow reads the variable when it is imported

from recipes import forecasting  # noqa: E402

# Name: (file in the wheel, or None for the sample; keywords).
DATA: dict[str, tuple[str | None, dict[str, Any]]] = {
    "stocks": (None, {}),
    "stocks, returns": (None, {"transform": "returns"}),
    "stocks, volatility": (None, {"transform": "volatility"}),
    "sf-temps": ("sf-temps", {}),
    "seattle wind": ("seattle-weather", {"target": "wind"}),
    "seattle temp_max": ("seattle-weather", {"target": "temp_max"}),
}
NAIVE = ("last value", "seasonal naive", "drift", "linear")


def main() -> None:
    """Train on each, and print a line a data set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", nargs="?", help="vega_datasets; without it only the sample is measured")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--architecture", default="nlinear")
    parser.add_argument("--only", choices=list(DATA))
    options = parser.parse_args()
    print(
        "| data | MAE, seeds | "
        + " | ".join(NAIVE)
        + " | under seasonal naive | MASE | coverage of 80 % | p | seconds |"
    )
    print("|---" * (len(NAIVE) + 7) + "|")
    for name, (file, keywords) in DATA.items():
        if (file and not options.wheel) or options.only not in (None, name):
            continue
        data: Any = "stocks"
        if file:
            with zipfile.ZipFile(options.wheel) as wheel:
                data = pd.read_csv(io.BytesIO(wheel.read(f"vega_datasets/_data/{file}.csv")))
        runs, began = [], time.perf_counter()
        for seed in range(options.seeds):
            result = forecasting.train(data, seed=seed, verbose=0, architecture=options.architecture, **keywords)
            runs.append(result)
        seconds = (time.perf_counter() - began) / options.seeds
        errors = [run.metrics["mae"] for run in runs]
        naive = [result.baselines[method]["mae"] for method in NAIVE]
        mean = {key: statistics.mean(run.metrics[key] for run in runs) for key in ("mase", "coverage", "p_value")}
        cells = [
            name,
            f"{statistics.mean(errors):.4f} ({' '.join(f'{error:.4f}' for error in errors)})",
            *(f"{error:.4f}" for error in naive),
            f"{100 * (1 - statistics.mean(errors) / naive[1]):.0f} %",
            *(f"{value:.3f}" for value in mean.values()),
            f"{seconds:.0f}",
        ]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
