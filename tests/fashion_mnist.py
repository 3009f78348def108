"""Fashion-MNIST as TensorFlow Datasets wants it, from the Debian package `dataset-fashion-mnist`.

Debian ships the four files with the name and the time taken out of their gzip headers. With those put back they are
bit for bit the files whose SHA-256 TFDS has registered, so its real builder runs without a network:

    python tests/fashion_mnist.py ~/tensorflow_datasets
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
TIMES = {
    "train-images-idx3-ubyte": 1504176606,
    "train-labels-idx1-ubyte": 1504176606,
    "t10k-images-idx3-ubyte": 1504176627,
    "t10k-labels-idx1-ubyte": 1504176627,
}


def available() -> bool:
    """Return whether the Debian package is installed."""
    return all((DEBIAN / f"{name}.gz").exists() for name in TIMES)


def restore(data_dir: str | Path) -> Path:
    """Write the four original files to `data_dir/downloads/manual/` and return that folder."""
    manual = Path(data_dir) / "downloads" / "manual"
    manual.mkdir(parents=True, exist_ok=True)
    for name, time in TIMES.items():
        content = (DEBIAN / f"{name}.gz").read_bytes()
        header = b"\x1f\x8b\x08\x08" + struct.pack("<I", time) + content[8:10] + name.encode() + b"\0"
        (manual / f"{name}.gz").write_bytes(header + content[10:])
    return manual


if __name__ == "__main__":
    print(restore(sys.argv[1]))
