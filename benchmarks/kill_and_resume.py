"""Kill trainings at random moments and show that they end bit-identical to ones that were never killed.

    python benchmarks/kill_and_resume.py                 # 30 kills over three models, some ten minutes on two cores
    python benchmarks/kill_and_resume.py --kills 6

Each model (an image classifier by its recipe, an LSTM and a Transformer by `training.fit`) is trained once undisturbed.
Then it is trained again and again with SIGKILL at random moments, between its first batch and its end (for the recipe
this includes measuring and writing the result and exporting it), and started with the same call until it is done.
Compared to the bit: weights, optimizer state, seed generators, history and, for the recipe, metrics, diagnosis and the
scores of the exported model; beside the one export nothing may be left.
Dropout, a schedule or plateau, EarlyStopping, the moving average and mid-epoch checkpoints are on.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

KINDS = ("image", "lstm", "transformer")
READY, FINAL, EXPORTS = "ready", "final.npz", "exports"


def child(kind: str, folder: Path) -> None:
    """Train to the end, going on from what is there, and write all that must be equal."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import numpy as np

    import kerasdl

    class Ready(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if not (folder / READY).exists():  # before the first batch nothing but compilation could be hit
                (folder / READY).touch()

    if kind == "image":
        from recipes import image_classification

        result = image_classification.train(
            "digits",
            architecture="cnn",
            filters=(8, 16),
            units=(32,),
            epochs=40,
            schedule="plateau",
            early_stopping=15,
            augmentation="light",
            ema=0.9,
            directory=folder / "run",
            resume=True,
            checkpoint_every=5,
            callbacks=[Ready()],
            verbose=0,
        )
        (folder / READY).touch()  # a run that had ended trains no batch, and its export can be hit as well
        exports = folder / EXPORTS
        version = exports / "1" if (exports / "1").exists() else result.export(exports)
        scores = kerasdl.export.load_exported(version).predict(result.dataset.test.inputs)["scores"]
        # As it was written: a run that was killed after its end is loaded, and a loaded model is not compiled.
        model, history = keras.models.load_model(folder / "run" / "model.keras"), result.history
        facts = {
            "metrics": result.metrics,
            "diagnosis": [finding.as_dict() for finding in result.diagnosis],
            "exported": hashlib.sha256(scores.tobytes()).hexdigest(),
            "exports": sorted(path.name for path in exports.iterdir()),
        }
        optimizer = model.optimizer.variables
    else:
        dataset = kerasdl.data.load("digits")
        keras.utils.set_random_seed(1)
        model = lstm() if kind == "lstm" else transformer()
        history = kerasdl.training.fit(
            model,
            dataset.train,
            dataset.validation,
            loss=keras.losses.CategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            encode_targets=functools.partial(keras.utils.to_categorical, num_classes=10),
            epochs=40,
            schedule="one_cycle",
            gradient_accumulation=2,
            early_stopping=15,
            checkpoint_directory=folder / "checkpoints",
            resume=True,
            checkpoint_every=5,
            callbacks=[Ready()],
            verbose=0,
        )
        facts, optimizer = {}, model.optimizer.variables
    # Seed generators are no part of a .keras file; those of the other two models are compared.
    variables = model.weights if kind == "image" else model.variables
    arrays = {f"model/{index}": np.asarray(variable) for index, variable in enumerate(variables)}
    arrays |= {f"optimizer/{index}": np.asarray(variable) for index, variable in enumerate(optimizer)}
    text = json.dumps({"history": history, **facts}, sort_keys=True)
    with open(folder / "beside", "wb") as file:
        np.savez(file, **arrays, facts=np.frombuffer(text.encode(), dtype=np.uint8))
    os.replace(folder / "beside", folder / FINAL)


def lstm() -> Any:
    """Each digit's rows as a sequence, through an LSTM with recurrent noise from dropout."""
    import keras

    rows = keras.Input((8, 8, 1), dtype="uint8")
    x = keras.layers.Reshape((8, 8))(keras.layers.Rescaling(1 / 255)(rows))
    x = keras.layers.Dropout(0.2)(keras.layers.LSTM(32, return_sequences=True)(x))
    x = keras.layers.LSTM(32)(x)
    return keras.Model(rows, keras.layers.Dense(10)(x))


def transformer() -> Any:
    """Each digit's rows as tokens, through one pre-norm block with dropout."""
    import keras

    rows = keras.Input((8, 8, 1), dtype="uint8")
    x = keras.layers.Reshape((8, 8))(keras.layers.Rescaling(1 / 255)(rows))
    x = keras.layers.Dense(32)(x)
    y = keras.layers.LayerNormalization()(x)
    x = x + keras.layers.MultiHeadAttention(4, 8, dropout=0.1)(y, y)
    y = keras.layers.Dense(64, activation="gelu")(keras.layers.LayerNormalization()(x))
    x = x + keras.layers.Dropout(0.1)(keras.layers.Dense(32)(y))
    return keras.Model(rows, keras.layers.Dense(10)(keras.layers.Flatten()(x)))


def start(kind: str, folder: Path) -> subprocess.Popen[bytes]:
    """Start a training in a process of its own."""
    (folder / READY).unlink(missing_ok=True)
    return subprocess.Popen([sys.executable, __file__, "--child", kind, str(folder)], stderr=subprocess.DEVNULL)


def wait_until_ready(process: subprocess.Popen[bytes], folder: Path) -> bool:
    """Wait until batches are trained; False when the process ended before."""
    while not (folder / READY).exists():
        if process.poll() is not None:
            return False
        time.sleep(0.02)
    return True


def undisturbed(kind: str, folder: Path) -> float:
    """Train once without a kill; return the seconds from the first batch to the end."""
    folder.mkdir()
    process = start(kind, folder)
    if not wait_until_ready(process, folder):
        raise SystemExit(f"{kind}: the undisturbed training failed")
    began = time.monotonic()
    if process.wait():
        raise SystemExit(f"{kind}: the undisturbed training failed")
    return time.monotonic() - began


def killed(kind: str, folder: Path, seconds: float, kills: int, dice: random.Random) -> list[str]:
    """Train with `kills` SIGKILLs at random moments; return what was going on at each."""
    folder.mkdir()
    moments: list[str] = []
    while not (folder / FINAL).exists():
        process = start(kind, folder)
        if len(moments) < kills and wait_until_ready(process, folder):
            time.sleep(dice.uniform(0, 0.6 * seconds))
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                moments.append(progress(folder))
        if process.wait() not in (0, -signal.SIGKILL):
            raise SystemExit(f"{kind}: a resumed training failed")
    return moments


def progress(folder: Path) -> str:
    """Return how far a killed training had come, from its files."""
    names = sorted(path.name for path in folder.rglob("*checkpoint-*"))
    torn = any(name.startswith(".") for name in names)
    whole = [name for name in names if not name.startswith(".")]
    if any((folder / EXPORTS).glob(".staging-*")):
        return "the end, while exporting"
    at = int(whole[-1].removeprefix("checkpoint-").removesuffix(".npz")) if whole else 0
    return f"batch {at}" + (" while writing a checkpoint" if torn else "")


def same(one: Path, other: Path) -> bool:
    """Return whether two trainings ended bit-identical."""
    import numpy as np

    with np.load(one / FINAL) as first, np.load(other / FINAL) as second:
        return first.files == second.files and all(
            first[name].dtype == second[name].dtype and first[name].tobytes() == second[name].tobytes()
            for name in first.files
        )


def main() -> None:
    """Run the campaign and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child[0], Path(options.child[1]))
        return
    dice = random.Random(options.seed)
    each, total, equal = 3, 0, 0
    with tempfile.TemporaryDirectory() as scratch:
        seconds = {kind: undisturbed(kind, Path(scratch) / kind) for kind in KINDS}
        number = 0
        while total < options.kills:
            kind = KINDS[number % len(KINDS)]
            folder = Path(scratch) / f"{kind}-{number}"
            moments = killed(kind, folder, seconds[kind], min(each, options.kills - total), dice)
            identical = same(Path(scratch) / kind, folder)
            number, total, equal = number + 1, total + len(moments), equal + identical
            print(
                f"{kind:<12} killed at {', '.join(moments) or 'no moment'}: "
                f"{'bit-identical' if identical else 'DIFFERENT'}",
                flush=True,
            )
    print(f"{total} kills in {number} trainings; {equal} of {number} ended bit-identical")
    raise SystemExit(equal != number)


if __name__ == "__main__":
    main()
