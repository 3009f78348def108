"""What writes the files of `tests/bad_inputs.py` into an empty folder: each function returns one that writes."""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

X = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), np.uint8)
Y = np.arange(40) % 2
Write = Callable[[Path], object]


def contents(folder: Path) -> dict[str, bytes | None]:
    """Return every path below a folder, with its bytes if it is a file."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def all_of(*writes: Write) -> Write:
    return lambda folder: [write(folder) for write in writes]


def file(name: str, content: bytes | str = "") -> Write:
    def write(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)

    return write


def npz(**arrays: object) -> Write:
    return lambda folder: np.savez(folder / "data.npz", **arrays)  # type: ignore[arg-type]


def damaged_npz(folder: Path) -> None:
    npz(x=X, y=Y)(folder)
    content = (folder / "data.npz").read_bytes()
    (folder / "data.npz").write_bytes(content[:200] + bytes(700) + content[900:])


def picture(name: str, mode: str = "L", *, end: int | None = None) -> Write:
    def write(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((32, 32), 50).convert(mode).save(folder / name)
        (folder / name).write_bytes((folder / name).read_bytes()[:end])

    return write


def shapes(*more: Write, classes: str = "ab", count: int = 12) -> Write:
    def write(folder: Path) -> None:
        for name in classes:
            for index in range(count):
                picture(f"shapes/{name}/{index}.png")(folder)
        all_of(*more)(folder)

    return write


@functools.cache
def exported_files() -> dict[str, bytes | None]:
    """Return the files of the export of an untrained model."""
    from kerasdl import models
    from kerasdl.data import images
    from kerasdl.export import ImageClassifier, export

    model = models.mlp((8, 8, 1), 2, hidden=(2,))
    classifier = ImageClassifier(model, ("a", "b"), decode=images.decode, resize=images.resize)
    with tempfile.TemporaryDirectory() as folder:
        export(classifier, folder, examples=X[:1])
        return contents(Path(folder))


@functools.cache
def exported_series() -> dict[str, bytes | None]:
    """Return the files of the export of an untrained model of series of 4 steps and 2 channels."""
    from kerasdl import models
    from kerasdl.export import SeriesClassifier, export

    classifier = SeriesClassifier(models.fcn((4, 2), 2, filters=(2,), kernel_sizes=(3,)), "ab", input_shape=(4, 2))
    with tempfile.TemporaryDirectory() as folder:
        export(classifier, folder, examples=np.zeros((1, 4, 2), np.float32))
        return contents(Path(folder))


def series_model(*more: Write) -> Write:
    def write(folder: Path) -> None:
        for name, content in exported_series().items():
            if content is not None:
                file(f"model/{name}", content)(folder)
        all_of(*more)(folder)

    return write


def exported(*more: Write) -> Write:
    def write(folder: Path) -> None:
        for name, content in exported_files().items():
            if content is not None:
                file(f"model/{name}", content)(folder)
        all_of(*more)(folder)

    return write


def run(result: str | None = None) -> Write:
    facts = {"recipe": "image_classification", "diagnosis": [], "task": {}, "metrics": {}, "baselines": {}}
    facts |= {"data_fingerprint": "", "files_sha256": dict.fromkeys(("model.keras", "config.json", "history.csv"), "0")}
    files = {
        "result.json": json.dumps(facts) if result is None else result,
        "config.json": "{}",
        "history.csv": "epoch,loss,val_loss\n1,0.5,0.5\n",
        "model.keras": "cut short",
    }
    return lambda folder: [file(f"runs/ab/{name}", content)(folder) for name, content in files.items()]
