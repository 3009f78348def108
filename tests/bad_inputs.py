"""Bad inputs as people type them, each with the words that the one line of the answer must have.

    python tests/bad_inputs.py            runs every case as a process of its own in a fresh folder and prints a table
    python tests/bad_inputs.py npz tfds   runs the cases with one of these words in their names

The promise: exit status 2, one line on standard error, no traceback, nothing left behind. The table's own exit status
is 1 if a case breaks it. All cases take about ten minutes on two cores, as half of them import TensorFlow.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bad_files import (
    Write,
    X,
    Y,
    all_of,
    contents,
    damaged_npz,
    exported,
    exported_files,
    file,
    npz,
    picture,
    run,
    series_model,
    shapes,
)

ROOT = Path(__file__).resolve().parents[1]
# Nobody answers at the discard port, so the cases are offline wherever they run.
OFFLINE = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "no_proxy": ""}


@dataclass(frozen=True)
class Case:
    """The words of a command, the words that its answer must have, and what makes its files in an empty folder."""

    words: str
    says: Sequence[str]
    write: Write = lambda folder: None

    @property
    def arguments(self) -> list[str]:
        """The words of the command; `''` stands for an empty one."""
        return [word.replace("''", "") for word in self.words.split()]

    def broken(self, status: object, error: str, left: Sequence[str]) -> str:
        """Return how an outcome breaks the promise, or nothing."""
        missing = [word for word in self.says if word not in error]
        faults = {
            f"exit status {status}": status != 2,
            f"{error.count(chr(10))} lines": error.count("\n") != 1 or not error.endswith("\n"),
            f"left {', '.join(left)}": bool(left),
            f"does not say {', '.join(missing)}": bool(missing),
        }
        return "; ".join(fault for fault, found in faults.items() if found)


def changed(before: Mapping[str, bytes | None], after: Mapping[str, bytes | None]) -> list[str]:
    """Return the paths that were made, altered or removed."""
    return sorted({*before, *after} - {path for path in before if path in after and before[path] == after[path]})


TRAIN = "train image_classification "
KEYWORDS = {
    "--epochs 0": ["epochs: received 0", "at least 1", "--epochs 20"],
    "--epochs -1": ["epochs: received -1"],
    "--epochs 1.5": ["epochs: received 1.5", "an integer"],
    "--epochs abc": ["epochs: received 'abc'", "an integer"],
    "--epochs": ["--epochs requires an argument", "kerasdl train image_classification --help"],
    "--epochs 3 --epochs 4": ["--epochs specified multiple times"],
    "--epoch 3": ["--epoch", "Did you mean --epochs?"],
    "--batch_size 0": ["batch_size: received 0", "--batch_size 64"],
    "--learning_rate 0": ["learning_rate: received 0", "above 0", "--learning_rate 0.001"],
    "--learning_rate -1": ["learning_rate: received -1"],
    "--learning_rate nan": ["learning_rate: received nan"],
    "--learning_rate inf": ["learning_rate: received inf"],
    "--learning_rate ''": ["learning_rate: received ''"],
    "--dropout 1": ["dropout: received 1;", "below 1", "--dropout 0.2"],
    "--dropout 1.5": ["dropout: received 1.5"],
    "--l1 -0.1": ["l1: received -0.1"],
    "--weight_decay -1": ["weight_decay: received -1"],
    "--optimizer adm": ["optimizer: received 'adm'", "'adam'"],
    "--schedule cosin": ["schedule: received 'cosin'", "'cosine'"],
    "--architecture resnet19": ["architecture: received 'resnet19'", "Did you mean 'resnet"],
    "--filters 0": ["filters: received (0,)", "--filters 32 64"],
    "--filters 32,64": ["filters: received ('32,64',)", "--filters 32 64"],
    "--filters 8 8 8": ["filters: received 3 numbers", "4 numbers", "--filters 32 64 128 128"],
    "--architecture resnet18 --filters 8 8 8": ["filters: received 3 numbers", "resnet18"],
    "--architecture mlp --filters 8": ["filters", "mlp has only units", "Leave filters out"],
    "--units 8": ["units", "resnet9 has only filters"],
    "--num_layers 2": ["num_layers: received 2 for resnet9", "resnet9 has only filters"],
    "--architecture vit --filters 8": ["filters: received (8,) for vit", "vit has only num_layers"],
    "--architecture vit --num_layers 0": ["num_layers: received 0"],
    "--architecture vit --num_heads 3": ["hidden_dim: received 128", "--num_heads 3", "--hidden_dim 129"],
    "--architecture vit --hidden_dim 1.5": ["hidden_dim: received 1.5", "--hidden_dim 128"],
    "--architecture vit --patch_size 0": ["patch_size: received 0", "--patch_size 4"],
    "--architecture vit --patch_size 3": ["patch_size: received 3", "a power of 2", "--patch_size 4, or --stem patch"],
    "--architecture vit --stem conv": ["stem: received 'conv'", "patch, convolution"],
    "--architecture vit --pooling men": ["pooling: received 'men'", "Did you mean 'mean'"],
    "--architecture vit --normalization batch": ["normalization: received 'batch'", "layer, rms"],
    "--architecture vit --stem patch --normalization_momentum 0.9": [
        "normalization_momentum: received 0.9 for the stem patch",
        "--stem convolution",
    ],
    "--architecture vit --stem patch --stem_depth 2": ["stem_depth: received 2 for the stem patch"],
    "--normalization rms": ["normalization: received 'rms'", "one of batch, layer, group, none"],
    "--activation rleu": ["activation: received 'rleu'", "'relu'"],
    "--normalization bacth": ["normalization: received 'bacth'", "'batch'"],
    "--precision fp16": ["precision: received 'fp16'", "float16"],
    "--jit_compile maybe": ["jit_compile: received 'maybe'", "--jit_compile auto"],
    "--label_smoothing 1": ["label_smoothing: received 1", "below 1"],
    "--class_weight nosuch": ["class_weight: received 'nosuch'", "--class_weight balanced"],
    "--gradient_clip 0": ["gradient_clip: received 0"],
    "--gradient_accumulation 0": ["gradient_accumulation: received 0"],
    "--early_stopping 0": ["early_stopping: received 0"],
    "--augmentation ligth": ["augmentation: received 'ligth'", "light"],
    "--augmentation light,-rotate": ["augmentation: received", "rotate"],
    "--checkpoint_every often": ["checkpoint_every: received 'often'", "60s"],
    "--l1_mode lasso": ["l1_mode: received 'lasso'", "proximal"],
    "--learning_rate fast": ["learning_rate: received 'fast'", "auto"],
    "--steps_per_execution 0": ["steps_per_execution: received 0;"],
    "--skip_bad_batches -1": ["skip_bad_batches: received -1;"],
    "--stochastic_depth 0.1": ["stochastic_depth: received 0.1 for resnet9"],
    "--spatial_dropout 1": ["spatial_dropout: received 1;"],
    "--normalization_momentum 1": ["normalization_momentum: received 1;"],
    "--ema 1": ["ema: received 1;", "--ema 0.99"],
    "--seed -1": ["seed: received -1", "--seed 0"],
    "--image_size 0": ["image_size: received 0", "--image_size 32"],
    "--image_size 8 8 8": ["image_size: received (8, 8, 8)"],
    "--input_shape 8 8": ["input_shape: received (8, 8)", "--input_shape 32 32 3"],
    "--input_shape 8 8 2": ["input_shape", "--input_shape 8 8 1"],
    "--image_size 4 --input_shape 8 8 1": ["image_size", "only one"],
    "--num_classes 1": ["num_classes: received 1", "Leave num_classes out"],
    "--num_classes 9": ["the first (9)", "0 to 8", "num_classes"],
    "--verbose 5": ["verbose: received 5", "from 0 to 2"],
    "--directory /proc/kerasdl": ["directory: received '/proc/kerasdl'", "can be made"],
    "--directory ''": ["directory: received ''"],
    "--export ''": ["export: received ''"],
    "digits more": ["'more'", "--help"],
    "--data dijits": ["data: received 'dijits'", "'digits'"],
    "--data xqzvkw": ["data: received 'xqzvkw'", "Check the spelling", "catalog/overview"],
    "--data " + "x" * 300: ["data: received 'xxx", "Check the spelling"],
    "--data photos/none": ["photos/none", "does not exist"],
    "--data none.npz": ["none.npz", "does not exist"],
    "--data mnist": ["mnist", "does not answer", "digits"],
    "--data tfds:cifar10": ["cifar10", "digits"],
    "--data mnist/9.9.9": ["9.9.9"],
    "--data tfds:mnits": ["'mnist'"],
    "--data imdb_reviews": ["text: Text", "an Image and a ClassLabel"],
    "--data tfds:voc/2007": ["an Image and a ClassLabel"],
}
COMMANDS = {
    "train": ["recipe", "image_classification"],
    "train image_clasification": ["'image_classification'"],
    "train --epochs 3": ["--epochs", "kerasdl train --help"],
    "trian": ["trian", "train"],
    "predict": ["MODEL", "--help"],
    "predict model": ["RAW", "--help"],
    "predict nowhere photo.png": ["nowhere", "no such folder", "Check the path"],
    "report": ["DIRECTORY", "--help"],
    "report runs/none": ["runs/none", "result.json"],
    "diagnose runs/none": ["runs/none", "result.json"],
}
# name -> (what writes the files, the command, the words of its answer)
FILES = {
    "directory holds a run": (run(), TRAIN + "--directory runs/ab", ["runs/ab", "a finished run"]),
    "directory holds files": (file("a/b"), TRAIN + "--directory a", ["'a', which holds files"]),
    "directory is a file": (file("a"), TRAIN + "--directory a", ["directory: received 'a'"]),
    "directory below a file": (file("a"), TRAIN + "--directory a/b", ["directory: received 'a/b'"]),
    "runs is a file": (file("runs"), TRAIN, ["directory: received 'runs/digits'"]),
    "export onto a file": (file("a"), TRAIN + "--export a", ["export: received 'a'"]),
    "data: empty folder": (shapes(classes=""), TRAIN + "--data .", ["no class folders", "holds nothing"]),
    "data: one class": (shapes(classes="a"), TRAIN + "--data shapes", ["one class folder (a)"]),
    "data: no class folders": (shapes(classes="a"), TRAIN + "--data shapes/a", ["no class folders", "12 entries"]),
    "data: corrupt PNG": (shapes(picture("shapes/a/x.png", end=20)), TRAIN + "shapes", ["a/x.png", "replace"]),
    "data: truncated PNG": (shapes(picture("shapes/a/x.png", end=300)), TRAIN + "shapes", ["a/x.png", "cut short"]),
    "data: truncated JPEG": (shapes(picture("shapes/a/x.jpg", end=500)), TRAIN + "shapes", ["a/x.jpg", "cut short"]),
    "data: empty file": (shapes(file("shapes/a/x.png")), TRAIN + "shapes", ["a/x.png", "an empty file"]),
    "data: WebP": (shapes(file("shapes/a/x.webp")), TRAIN + "shapes", ["a/x.webp", "Convert"]),
    "data: grey and colour": (
        shapes(picture("shapes/a/x.png", "RGB")), TRAIN + "shapes", ["1 and of 3 channels", "--input_shape 32 32 3"],
    ),
    "data: empty class": (
        shapes(lambda folder: (folder / "shapes/c").mkdir()), TRAIN + "shapes", ["without images: c"],
    ),
    "data: too few of a class": (shapes(count=2), TRAIN + "shapes", ["'a' (2)", "'b' (2)"]),
    "data: misspelt folder": (shapes(), TRAIN + "shapse", ["'shapes'"]),
    "data: text file": (file("a.txt", "words"), TRAIN + "a.txt", ["a.txt", ".npz"]),
    "data: csv": (file("a.csv", "x,y\n1,2\n"), TRAIN + "a.csv", ["a.csv", ".npz"]),
    "data: one image": (picture("a.png"), TRAIN + "a.png", ["a.png", "folder"]),
    "npz: not a zip": (file("data.npz", "text"), TRAIN + "data.npz", ["data.npz", "no zip archive", "np.savez"]),
    "npz: damaged": (damaged_npz, TRAIN + "data.npz", ["data.npz", "damaged"]),
    "npz: missing keys": (npz(a=X, b=Y), TRAIN + "data.npz", ["the arrays a, b", "x_train"]),
    "npz: no labels": (npz(x_train=X), TRAIN + "data.npz", ["y_train"]),
    "npz: lengths differ": (npz(x=X, y=Y[1:]), TRAIN + "data.npz", ["40 images and 39 labels"]),
    "npz: NaN": (npz(x=np.where(X < 9, np.nan, X), y=Y), TRAIN + "data.npz", ["NaN", "index 0"]),
    "npz: pickled objects": (npz(x=X.astype(object), y=Y), TRAIN + "data.npz", ["pickled objects"]),
    "npz: floats in [0, 1]": (npz(x=X / 255, y=Y), TRAIN + "data.npz", ["uint8", "x * 255"]),
    "npz: all images the same": (npz(x=X * 0, y=Y), TRAIN + "data.npz", ["all the same", "0 to 0"]),
    "npz: too few of a class": (npz(x=X, y=np.arange(40) // 39), TRAIN + "data.npz", ["'1' (1)", "drop"]),
    "predict: folder without a model": (file("model/a"), "predict model a.png", ["without saved_model.pb"]),
    "predict: damaged model": (
        all_of(file("model/1/saved_model.pb", "x"), picture("a.png")), "predict model a.png", ["model/1", "Export"],
    ),
    "predict: no such image": (exported(), "predict model photo.png", ["photo.png", "no such file"]),
    "predict: not an image": (exported(file("a.png", "text")), "predict model a.png", ["a.png", "no decoder"]),
    "predict: truncated JPEG": (exported(picture("a.jpg", end=500)), "predict model a.jpg", ["a.jpg", "no decoder"]),
    "predict: top 0": (exported(picture("a.png")), "predict model a.png --top 0", ["top: received 0", "--top 1"]),
    "predict: top 1.5": (exported(picture("a.png")), "predict model a.png --top 1.5", ["top: received 1.5"]),
    "predict: damaged description": (
        exported(file("model/1/assets.extra/kerasdl.json", "{"), picture("a.png")), "predict model a.png", ["model/1"],
    ),
    "predict: no description": (
        exported(lambda folder: (folder / "model/1/assets.extra/kerasdl.json").unlink(), picture("a.png")),
        "predict model a.png", ["model/1", "kerasdl exported"],
    ),
    "report: damaged model": (run(), "report runs/ab", ["runs/ab", "a damaged run", "model.keras"]),
    "report: damaged result": (run("{"), "report runs/ab", ["runs/ab", "a damaged run"]),
    "report: result without facts": (run("{}"), "report runs/ab", ["runs/ab", "a damaged run"]),
    "diagnose: damaged result": (run("[]"), "diagnose runs/ab", ["runs/ab", "a damaged run"]),
    "report: output in no folder": (run(), "report runs/ab --output none/a.html", ["none/a.html", "a file in"]),
    "report: output is a folder": (run(), "report runs/ab --output runs", ["output: received 'runs'"]),
}  # fmt: skip
PRICES = "date,close\n2024-01-01,1\n2024-01-02,2\n2024-01-03,4\n"
FORECAST = "train forecasting --data "
SERIES = "train sequence_classification "
TS = "@univariate false\n@dimensions 2\n@classLabel true a b\n@data\n1,2:3,4:a\n"
S = np.random.default_rng(0).normal(size=(40, 5, 2))
FILES |= {
    "series: epochs 0": (all_of(), SERIES + "--epochs 0", ["epochs: received 0", "--epochs 20"]),
    "series: architecture": (all_of(), SERIES + "--architecture fnc", ["'fnc'", "Did you mean 'fcn'"]),
    "series: option": (all_of(), SERIES + "--units 8", ["units", "fcn has only filters"]),
    "series: filters": (all_of(), SERIES + "--filters 8 8", ["received 2 numbers", "--filters 64 128 64"]),
    "series: augmentation": (all_of(), SERIES + "--augmentation flip", ["'flip'", "jitter"]),
    "series: missing": (all_of(), SERIES + "--missing drop", ["missing: received 'drop'", "interpolate"]),
    "series: name": (all_of(), SERIES + "gun_pont", ["'gun_pont'", "Did you mean 'gun_point'"]),
    "series: text": (all_of(), SERIES + "glosses", ["'glosses'", "gun_point"]),
    "series: empty folder": (file("a/b"), SERIES + "a", ["a: received a folder without", "name_TRAIN.ts"]),
    "series: no header": (file("a.ts", "1,2:a\n"), SERIES + "a.ts", ["a.ts, line 1", "@classLabel"]),
    "series: malformed header": (
        file("a.ts", "@classLabel true\n@data\n"), SERIES + "a.ts", ["line 1", "Name the classes"],
    ),
    "series: channels": (file("a.ts", TS + "1,2:b\n"), SERIES + "a.ts", ["line 6", "1 channels", "2, as the header"]),
    "series: missing label": (file("a.ts", TS + "1,2:3,4\n"), SERIES + "a.ts", ["line 6", "'3,4'", "a, b"]),
    "series: unlabelled": (file("a.csv", "x,y\n1,2\n3,4\n"), SERIES + "a.csv", ["a.csv", "without labels"]),
    "series: NaN inside": (
        file("a.ts", TS + "1,2:?,4:b\n"), SERIES + "a.ts", ["line 6", "missing value", "--missing interpolate"],
    ),
    "series: infinite": (file("a.ts", TS + "1,2:inf,4:b\n"), SERIES + "a.ts", ["line 6", "inf at step 1, channel 2"]),
    "series: word": (file("a.csv", "label,x,y\na,1,two\n"), SERIES + "a.csv", ["a.csv, line 2", "'two'"]),
    "series: npz NaN": (
        npz(x=np.where(S > 2, np.nan, S), y=Y), SERIES + "data.npz", ["data.npz train series, index", "missing value"],
    ),
    "series: npz all the same": (npz(x=S * 0, y=Y), SERIES + "data.npz", ["all the same"]),
    "series: npz images": (npz(x=X[..., np.newaxis], y=Y), SERIES + "data.npz", ["(40, 8, 8, 1, 1)", "(count, length"]),
    "forecast: horizon": (all_of(), FORECAST + "stocks --horizon 0", ["horizon: received 0", "--horizon 24"]),
    "forecast: quantiles": (all_of(), FORECAST + "stocks --quantiles 0.9 0.1", ["quantiles", "ascending"]),
    "forecast: option": (all_of(), FORECAST + "stocks --units 8", ["units", "nlinear has no options"]),
    "forecast: name": (all_of(), FORECAST + "stonks", ["'stonks'", "Did you mean 'stocks'"]),
    "forecast: no column": (file("a.csv", PRICES), FORECAST + "a.csv --target clsoe", ["Did you mean 'close'"]),
    "forecast: times": (file("a.csv", "date,close\nMay,1\nnext,2\n"), FORECAST + "a.csv", ["cannot be read"]),
    "forecast: twice": (file("a.csv", PRICES + "2024-01-02,3\n"), FORECAST + "a.csv", ["occur twice", "2024-01-02"]),
    "forecast: word": (
        file("a.csv", PRICES + "2024-01-04,n/k\n"), FORECAST + "a.csv --target close", ["'n/k' in row 4"],
    ),
    "forecast: short": (file("a.csv", PRICES), FORECAST + "a.csv", ["3 steps", "Bring longer series"]),
    "predict series: no file": (series_model(), "predict model a.ts", ["a.ts", "no such file"]),
    "predict series: type": (series_model(file("a.txt", "1")), "predict model a.txt", ["a.txt", ".ts, .csv"]),
    "predict series: shape": (
        series_model(file("a.ts", TS)), "predict model a.ts", ["a.ts, index 0", "2 time steps", "4 time steps"],
    ),
}  # fmt: skip
CASES = {
    **{words: Case(TRAIN + words, says) for words, says in KEYWORDS.items()},
    **{words: Case(words, says) for words, says in COMMANDS.items()},
    **{name: Case(words, says, write) for name, (write, words, says) in FILES.items()},
}


def run_process(case: Case) -> tuple[int, str, list[str]]:
    """Run a case as a user does and return its exit status, its standard error, and what it left behind."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "work")
        folder.mkdir()
        case.write(folder)
        before = contents(folder)
        # TFDS may keep its own record of what it looked for, so its folder is another.
        settings = {"PYTHONPATH": str(ROOT), "TFDS_DATA_DIR": str(Path(name, "tfds"))}
        done = subprocess.run(
            [sys.executable, "-m", "recipes", *case.arguments],
            cwd=folder, env=os.environ | OFFLINE | settings, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        return done.returncode, done.stderr, changed(before, contents(folder))


def main(words: Sequence[str]) -> int:
    """Run the cases whose names have one of `words`, or all; print the table; return 1 if one breaks the promise."""
    chosen = {name: case for name, case in CASES.items() if not words or any(word in name for word in words)}
    exported_files()
    failures = 0
    with ThreadPoolExecutor(2) as pool:
        for (name, case), (status, error, left) in zip(
            chosen.items(), pool.map(run_process, chosen.values()), strict=True
        ):
            fault = case.broken(status, error, left)
            failures += bool(fault)
            print(
                f"{name[:60]}\n  exit {status}, left {', '.join(left) or 'nothing'}{f'; FAULT: {fault}' * bool(fault)}"
            )
            print(f"  {error.strip()}", flush=True)
    print(f"{len(chosen)} cases, {failures} break the promise")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
