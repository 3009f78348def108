"""A recipe whose trainings go wrong on purpose: what a search must survive."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import kerasdl
from recipes import image_classification

DATA_KEYWORDS: tuple[str, ...] = ()
FAULTS = ("none", "raises", "memory", "dies", "hangs", "refused", "not_finite")
LOSSES = 6
"""Times that the process which starts trials is killed, by the fault "loses_server"."""


def train(data: Any = "digits", *, fault: str = "none", epochs: int = 1, **arguments: Any) -> kerasdl.Result:
    """Go wrong, or train a small network."""
    if fault == "raises":
        raise ZeroDivisionError("on purpose")
    if fault == "memory":
        raise MemoryError("on purpose")
    if fault == "dies":
        os.kill(os.getpid(), signal.SIGSEGV)
    if fault == "hangs":
        time.sleep(600)
    if fault == "loses_server":
        _lose_server(Path(arguments["directory"]).parent / "losses")
    rate = 1e30 if fault == "not_finite" else 0.01
    settings = {"architecture": "mlp", "units": 8, "optimizer": "sgd", "schedule": "constant", "learning_rate": rate}
    settings |= {"normalization": "none", "gradient_clip": None}
    return image_classification.train(data, epochs=epochs, **settings, **arguments)


def _lose_server(count: Path) -> None:
    before = len(count.read_bytes()) if count.exists() else 0
    if before < LOSSES:
        count.write_bytes(b"." * (before + 1))
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(600)  # this process ends with it


def load(**arguments: Any) -> kerasdl.data.Dataset:
    """Return the data."""
    return kerasdl.data.load(arguments["data"])


def resolve(**arguments: Any) -> dict[str, Any]:
    """Refuse one of the faults."""
    if arguments.get("fault") == "refused":
        raise kerasdl.InputError("fault", received="refused", expected="anything else", mend="Try none.")
    return {"epochs": 1, **arguments}


def space(hp: Any) -> dict[str, Any]:
    """All faults."""
    return {"fault": hp.Choice("fault", list(FAULTS))}
