"""Makes `gun_point.xz`, `italy_power_demand.xz` and `basic_motions.xz`: labelled series with their archives' splits.

    pip download --no-deps aeon==1.6.0 && python kerasdl/data/samples/make_series.py aeon-1.6.0-py3-none-any.whl

It reads the files `NAME_TRAIN.ts` and `NAME_TEST.ts` that aeon ships, imports nothing of it, writes the same bytes each
time, less than 300 kB in all, and prints what is in them.

*GunPoint*: the height of a hand that draws a gun (1) or points (2); 150 steps. *ItalyPowerDemand*: the electricity that
Italy needs in the 24 hours of a day from October to March (1) or from April to September (2). *BasicMotions*: three
axes of acceleration and three of rotation of a smart watch, 10 seconds at 10 Hz.

A file is one XZ stream: a line of JSON with the shapes and labels, filled with blanks to a multiple of 4 bytes, then
the values as little-endian float32, those of the training series first.

https://www.timeseriesclassification.com https://www.aeon-toolkit.org
"""

from __future__ import annotations

import json
import lzma
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from kerasdl.data.ts_files import read_ts

HERE = Path(__file__).parent
SAMPLES = {
    "gun_point": "GunPoint",
    "italy_power_demand": "ItalyPowerDemand",
    "basic_motions": "BasicMotions",
}
NOTICE = """\
gun_point.xz, italy_power_demand.xz and basic_motions.xz hold the series of the files GunPoint, ItalyPowerDemand and
BasicMotions (_TRAIN.ts and _TEST.ts) that are distributed with aeon 1.6.0 (https://github.com/aeon-toolkit/aeon), which
has them from the UCR and UEA archives of time series classification (https://www.timeseriesclassification.com): Dau et
al., The UCR time series archive, arXiv:1810.07758; Bagnall et al., The UEA multivariate time series classification
archive, arXiv:1811.00075. aeon's licence:

"""


def pack(parts: dict[str, tuple[np.ndarray, list[str]]]) -> bytes:
    """Return the splits of a dataset as `kerasdl.data.samples` reads them."""
    facts = {split: {"shape": series.shape, "labels": labels} for split, (series, labels) in parts.items()}
    head = json.dumps(facts, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 4)
    values = b"".join(series.astype("<f4").tobytes() for series, _ in parts.values())
    # Numbers of four bytes: their place within four bytes says more than the byte before.
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 1, "lp": 2, "pb": 2}]
    return lzma.compress(head + values, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, filters=filters)


def read(wheel: zipfile.ZipFile, name: str) -> dict[str, tuple[np.ndarray, list[str]]]:
    """Return the series and labels of a dataset by split."""
    parts = {}
    with tempfile.TemporaryDirectory() as folder:
        for split in ("train", "test"):
            file = Path(folder, f"{name}_{split.upper()}.ts")
            file.write_bytes(wheel.read(f"aeon/datasets/data/{name}/{file.name}"))
            series, labels = read_ts(file)
            parts[split] = np.stack(series), labels or []
    return parts


def main(source: Path, folder: Path = HERE) -> None:
    """Write the samples and their notice into a folder."""
    with zipfile.ZipFile(source) as wheel:
        licence = next(name for name in wheel.namelist() if name.endswith("dist-info/licenses/LICENSE"))
        (folder / "series.LICENSE.txt").write_text(NOTICE + wheel.read(licence).decode())
        for name, original in SAMPLES.items():
            parts = read(wheel, original)
            packed = pack(parts)
            (folder / f"{name}.xz").write_bytes(packed)
            shapes = ", ".join(f"{split} {series.shape}" for split, (series, _) in parts.items())
            print(f"{name}: {shapes}, {len(set(parts['train'][1]))} classes; {len(packed)} bytes")


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:]))
