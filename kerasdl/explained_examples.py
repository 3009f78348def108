"""Examples of a result with what its answers rest on: pictures for the report.

They are of the validation split: nobody is to choose by the test split, not even what is looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kerasdl import measuring
from kerasdl.errors import InputError
from kerasdl.spread import spread

if TYPE_CHECKING:
    from kerasdl.data import Split
    from kerasdl.result import Result

# Examples to pick from, spread over the validation split.
CANDIDATES = 512
# Of a language model, whose attention is shown: more tokens make a picture of many heads too large.
TOKENS = 24
KINDS = ("images", "text", "series")


def explained_examples(result: Result, *, count: int = 4) -> list[tuple[str, str]]:
    """Explain some answers of a model: half of them right, half of them wrong, those it is surest of.

    Images are explained by Grad-CAM, texts and series by integrated gradients, each for the class that the model says.
    Of a language model with attention, who attends to whom at the start of the held-out text is shown.

    Args:
        result: Of any recipe.
        count: Examples at most; there are fewer where the model is never wrong.

    Returns:
        Captions and pictures as SVG; nothing for models of which nothing can be explained, as forecasters and
        networks without spatial layers.

    Example:
        >>> for caption, picture in explained_examples(result):
        ...     print(caption)
    """
    from kerasdl.diagnostics import attention_map, saliency

    try:
        if result.task.kind == "language":
            text = result.dataset.validation.inputs[0]
            ids = result.task.vocabulary.encode([text[: 4 * TOKENS]])[0][:TOKENS]  # type: ignore[attr-defined]
            found = attention_map(result, ids)
            return [("Who attends to whom at the start of the held-out text", found.picture(title="Attention"))][:count]
        if result.task.kind not in KINDS:
            return []
        picked = _picked(result, count)
        if not picked:
            return []
        captions, examples, said = zip(*picked, strict=True)
        # All at once: what computes gradients is compiled anew for each call.
        inputs = np.stack(examples) if result.task.kind == "images" else list(examples)
        return [
            (caption, found.picture(title=f"What speaks for {result.class_names[target]}"))
            for caption, found, target in zip(captions, saliency(result, inputs, targets=said), said, strict=True)
        ]
    except InputError:  # a network without spatial layers or attention, or one that somebody built otherwise
        return []


def _picked(result: Result, count: int) -> list[tuple[str, Any, int]]:
    """Return captions, examples as :func:`saliency` takes them, and what the model says of them."""
    from kerasdl.data import Split

    validation: Split = result.dataset.validation
    split = Split(*validation.batch(spread(len(validation), CANDIDATES)))
    task: Any = result.task
    scores = task.scores(result.model, split, batch_size=result.config["batch_size"])
    said = scores.argmax(axis=-1)
    rows = np.arange(len(said))
    sure = scores[rows, said]
    if result.multi_label:
        right = split.targets[rows, said] == 1
        # A class that is not said to be there is no answer.
        considered = sure > measuring.THRESHOLD
    else:
        right, considered = split.targets == said, np.ones(len(said), bool)
    chosen = _surest(sure, said, right & considered, count - count // 2)
    chosen += _surest(sure, said, ~right & considered, count // 2)
    found = []
    for index in chosen:
        name = result.class_names[said[index]]
        caption = f"Right: {name}, {sure[index]:.2f}"
        if not right[index]:
            caption = f"Wrong: says {name}, {sure[index]:.2f}; it is {_truth(result, split.targets[index])}"
        example = split.inputs[index]
        found.append((caption, example if task.kind == "text" else np.asarray(example), int(said[index])))
    return found


def _surest(sure: np.ndarray, said: np.ndarray, wanted: np.ndarray, count: int) -> list[int]:
    """Return the surest of the wanted, of different classes as far as there are."""
    order = [int(index) for index in np.argsort(-sure, kind="stable") if wanted[index]]
    first: list[int] = []
    for index in order:
        if said[index] not in said[first]:
            first.append(index)
    return [*first, *(index for index in order if index not in set(first))][:count]


def _truth(result: Result, target: Any) -> str:
    if not result.multi_label:
        return result.class_names[int(target)]
    return ", ".join(result.class_names[index] for index in np.flatnonzero(target)) or "none of the classes"
