"""What saliency and attention are asked about, made ready: models and results, images, texts, series, classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kerasdl.errors import InputError, check_choice
from kerasdl.series_values import padded

KINDS = ("image", "text", "series")


@dataclass(frozen=True)
class Opened:
    """A model and what is known of its inputs and outputs.

    Args:
        model: The functional model.
        vocabulary: From texts to ids and back; None where it is not known.
        class_names: Name of each class; may be empty.
        sequence_length: Tokens of a text that the model reads, from its start; None for all.
    """

    model: keras.Model
    vocabulary: Any
    class_names: tuple[str, ...]
    sequence_length: int | None


def open_model(model: Any, *, vocabulary: Any = None, class_names: Sequence[str] = ()) -> Opened:
    """Return a model, or that of a result with what the result knows of it.

    Raises:
        InputError: Unless it is a functional model with one input and one output.
    """
    task = getattr(model, "task", None)
    if task is not None and not isinstance(model, keras.Model):
        model = model.model
        vocabulary = vocabulary if vocabulary is not None else getattr(task, "vocabulary", None)
        class_names = class_names or task.class_names
    functional = isinstance(model, keras.Model) and hasattr(model, "_nodes_by_depth")
    if not functional or len(model.inputs) != 1 or len(model.outputs) != 1:
        raise InputError(
            "model",
            received=type(model).__name__
            + (f" with {len(model.inputs)} inputs and {len(model.outputs)} outputs" if functional else ""),
            expected="a functional model with one input and one output, or a result that has one",
            mend="Build it by keras.Model(input, logits), as the builders of kerasdl.models do.",
        )
    length = getattr(task, "sequence_length", None)
    fixed = model.inputs[0].shape[1] if len(model.inputs[0].shape) == 2 else None
    return Opened(model, vocabulary, tuple(class_names), fixed or length)


def check_kind(model: keras.Model, kind: str | None) -> str:
    """Return the kind of a model's inputs, as its input says.

    Raises:
        InputError: For a model of something else, or of another kind than is said.
    """
    if kind is not None:
        check_choice("kind", kind, KINDS)
    tensor = model.inputs[0]
    whole = "int" in tensor.dtype
    seen = {4: "image", 3: None if whole else "series", 2: "text" if whole else None}.get(len(tensor.shape))
    classes = model.outputs[0].shape
    if seen is None or len(classes) != (3 if seen == "text" and len(classes) == 3 else 2):
        raise InputError(
            "model",
            received=f"{model.name!r} from {tensor.dtype} of shape {tuple(tensor.shape)} to shape {tuple(classes)}",
            expected="a model from images, ids of tokens or series to the logits of classes",
            mend="Vectors of features and forecasts are not explained.",
        )
    if kind not in (None, seen):
        raise InputError(
            "kind", received=repr(kind), expected=f"{seen!r}, as the model's input is", mend="Leave kind out."
        )
    return seen


def images(model: keras.Model, inputs: Any) -> np.ndarray:
    """Return images as (count, height, width, channels)."""
    array = np.asarray(inputs)
    shape = tuple(model.inputs[0].shape[1:])
    array = array[None] if array.ndim == 3 else array
    fits = array.ndim == 4 and all(want in (None, have) for want, have in zip(shape, array.shape[1:], strict=True))
    if not fits or not array.size or array.dtype.kind not in "uif":
        raise InputError(
            "inputs",
            received=f"{array.dtype} of shape {np.shape(inputs)}",
            expected=f"images of shape {shape}",
            mend="Resize them as in training; one image, or many in one array.",
        )
    return array


def token_ids(opened: Opened, inputs: Any) -> tuple[np.ndarray, list[int]]:
    """Return ids int32 (count, length) with zeros on the right, and how many tokens each text has."""
    many = [inputs] if isinstance(inputs, str) or np.ndim(_first(inputs)) == 0 and not _are_texts(inputs) else inputs
    sequences = list(many) if isinstance(many, (Sequence, np.ndarray)) else []
    if _are_texts(sequences):
        if opened.vocabulary is None:
            raise InputError(
                "vocabulary",
                received="None with texts",
                expected="what turns texts into ids, with encode and decode",
                mend="Pass a result in place of its model, or vocabulary=result.task.vocabulary, or ids.",
            )
        sequences = opened.vocabulary.encode(sequences)
    elif len(opened.model.outputs[0].shape) == 2:  # a language model has no padding
        sequences = [np.trim_zeros(np.asarray(ids), "b") for ids in sequences]
    sequences = [np.asarray(ids)[: opened.sequence_length] for ids in sequences]
    if not sequences or any(ids.ndim != 1 or not len(ids) or ids.dtype.kind not in "iu" for ids in sequences):
        raise InputError(
            "inputs",
            received=f"{inputs!r}"[:80],
            expected="a text or several, or ids of tokens, at least one token in each",
            mend="Pass for example saliency(result, 'a text').",
        )
    lengths = [len(ids) for ids in sequences]
    if len(opened.model.outputs[0].shape) == 3 and len(set(lengths)) > 1:
        raise InputError(
            "inputs",
            received=f"texts of {min(lengths)} to {max(lengths)} tokens for a language model",
            expected="texts of one length: nothing in them is padding",
            mend="Pass one text at a time.",
        )
    fixed = opened.model.inputs[0].shape[1]
    ids = np.zeros((len(sequences), fixed or max(lengths)), np.int32)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = sequence
    return ids, lengths


def _first(inputs: Any) -> Any:
    return inputs[0] if isinstance(inputs, (Sequence, np.ndarray)) and len(inputs) else None


def _are_texts(inputs: Any) -> bool:
    return not isinstance(inputs, str) and isinstance(_first(inputs), str) and all(isinstance(x, str) for x in inputs)


def token_names(opened: Opened, ids: np.ndarray) -> tuple[str, ...]:
    """Return what stands at each position, by the vocabulary if it is known."""
    if opened.vocabulary is None:
        return tuple(str(each) for each in ids.tolist())
    return tuple(opened.vocabulary.decode([each]) for each in ids.tolist())


def series(model: keras.Model, inputs: Any) -> tuple[np.ndarray, list[int]]:
    """Return series float32 (count, length, channels) with NaN on the right, and how many steps each has."""
    length, channels = model.inputs[0].shape[1:]
    many = [np.asarray(inputs)] if np.ndim(inputs[0] if len(inputs) else 0) == 1 else [np.asarray(x) for x in inputs]
    if not many or any(
        one.ndim != 2 or one.shape[1] != channels or length not in (None, len(one)) or one.dtype.kind not in "iuf"
        for one in many
    ):
        raise InputError(
            "inputs",
            received=", ".join(str(one.shape) for one in many[:3]) or "nothing",
            expected=f"series of shape ({length or 'steps'}, {channels})",
            mend="Pass one series, or many in an array or a list.",
        )
    if length is None:
        # Steps that are missing in every channel at the end are padding.
        ends = [int(np.flatnonzero(~np.isnan(one).all(axis=1)).max(initial=-1)) + 1 for one in many]
        many = [one[:end] for one, end in zip(many, ends, strict=True)]
    lengths = [len(one) for one in many]
    if not min(lengths):
        raise InputError("inputs", received="an empty series", expected="at least one step", mend="Leave it out.")
    stacked = np.empty(len(many), object)
    stacked[:] = [one.astype(np.float32) for one in many]
    return padded(stacked, max(lengths)), lengths


def flat_lines(series: np.ndarray, baseline: Any) -> np.ndarray:
    """Return what each series is compared with, (count, 1, channels): its own means, or what is given."""
    if baseline is None:
        return np.asarray(np.nanmean(series, axis=1, keepdims=True, dtype=np.float64))
    given = np.asarray(baseline, np.float64)
    if given.ndim > 1 or given.size not in (1, series.shape[-1]) or not np.isfinite(given).all():
        raise InputError(
            "baseline",
            received=f"{baseline!r}"[:80],
            expected=f"a number, or one for each of the {series.shape[-1]} channels",
            mend="Leave it out to compare with each channel's mean.",
        )
    return np.broadcast_to(given, (len(series), 1, series.shape[-1]))


def check_targets(targets: Any, logits: np.ndarray) -> np.ndarray:
    """Return the class of each example, (count,): what is given, or the highest logit."""
    if targets is None:
        return logits.argmax(axis=-1)
    given = np.asarray(targets)
    fits = given.dtype.kind in "iu" and given.shape in ((), (len(logits),))
    if not fits or (given < 0).any() or (given >= logits.shape[1]).any():
        raise InputError(
            "targets",
            received=f"{targets!r}"[:80],
            expected=f"numbers of classes from 0 to {logits.shape[1] - 1}: one for all inputs or {len(logits)}",
            mend="Leave targets out to explain the class with the highest logit.",
        )
    return np.broadcast_to(given, (len(logits),))


def class_label(opened: Opened, target: int) -> str:
    """Return the name of a class, of a language model that of the next token, or its number."""
    if opened.class_names:
        return opened.class_names[target]
    if len(opened.model.outputs[0].shape) == 3 and opened.vocabulary is not None:
        return repr(opened.vocabulary.decode([target]))
    return f"class {target}"


def refuse(**arguments: Any) -> None:
    """Raise :class:`InputError` for arguments that are given and do not belong to this kind of model."""
    for name, value in arguments.items():
        if value is not None:
            raise InputError(
                name,
                received=repr(value),
                expected="nothing: layer is for images, baseline for series",
                mend=f"Leave {name} out.",
            )
