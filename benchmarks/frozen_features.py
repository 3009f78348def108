"""What computing a frozen backbone's features once saves: seconds an epoch of the first phase, with and without.

    python benchmarks/frozen_features.py        # two minutes on two cores

EfficientNet-Lite0 on the digits, enlarged to 96 pixels; the same head learns the same in both.
"""

from __future__ import annotations

import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from checkpoint_cost import Clock  # noqa: E402 - TensorFlow reads the variable when it is imported

from recipes import fine_tuning  # noqa: E402

EPOCHS = 5


def main() -> None:
    """Measure both and print the table."""
    rows = []
    for passes in (0, 1):
        clock, began = Clock(), time.perf_counter()
        result = fine_tuning.train(
            "digits",
            backbone="efficientnet_lite0",
            unfreeze=0.0,
            frozen_epochs=EPOCHS,
            feature_passes=passes,
            dropout=0.0,
            callbacks=[clock],
            verbose=0,
        )
        # The first epoch compiles.
        seconds = statistics.median(b - a for a, b in zip(clock.begun[1:], clock.begun[2:], strict=False))
        rows.append((passes, seconds, clock.begun[0] - began, min(result.history["val_loss"])))
    print(f"{'features':<26}{'seconds an epoch':>17}{'seconds before':>16}{'best val_loss':>15}")
    for passes, seconds, before, loss in rows:
        name = "computed once" if passes else "computed in every epoch"
        print(f"{name:<26}{seconds:>17.3f}{before:>16.1f}{loss:>15.5f}")
    print(f"{rows[0][1] / rows[1][1]:.0f} times as fast")


if __name__ == "__main__":
    main()
