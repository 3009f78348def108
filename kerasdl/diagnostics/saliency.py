"""Saliency: which pixels, tokens or time steps a model's answer rests on.

Images by Grad-CAM, on the last feature maps of a convolutional network or on the patch tokens of a vision transformer;
texts and series by integrated gradients, through the token vectors or the raw values. It says what moves the logit of
this model, and nothing of whether it ought to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from kerasdl.diagnostics import saliency_inputs
from kerasdl.diagnostics.saliency_inputs import Opened
from kerasdl.diagnostics.saliency_path import NODES, PIECES, Path, walk
from kerasdl.diagnostics.saliency_picture import saliency_picture
from kerasdl.diagnostics.saliency_places import embedding_places, feature_place, patch_tokens
from kerasdl.diagnostics.sensitivity import Point, Sensitivity, look
from kerasdl.errors import InputError, check_choice

METHODS = {"image": "grad_cam", "text": "integrated_gradients", "series": "integrated_gradients"}
# Share of the difference of the logit that integrated gradients may leave out, and how long they try.
TOLERANCE, ROUNDS = 0.01, 12


@dataclass(frozen=True, eq=False)
class Saliency:
    """What one answer of a model rests on.

    Args:
        kind: "image", "text" or "series".
        method: "grad_cam" or "integrated_gradients".
        target: Number of the class that is explained; of a language model the next token.
        label: Its name, if known, else its number.
        scores: Of an image (height, width) in [0, 1], 1 for what speaks most for the class. Of a text one number for
            each token, of a series (steps, channels): what each adds to the logit, below zero if it speaks against.
        inputs: The image or the series as it came; None of a text.
        tokens: Of a text, what stands at each position; else nothing.
        logit: Of the class.
        baseline: Logit of the class at what integrated gradients begin with: token vectors of zero, or a flat series;
            None of Grad-CAM.
        layer: Name of the layer whose output is looked at.
    """

    kind: str
    method: str
    target: int
    label: str
    scores: np.ndarray
    inputs: np.ndarray | None
    tokens: tuple[str, ...]
    logit: float
    baseline: float | None
    layer: str

    @property
    def gap(self) -> float | None:
        """What the scores miss of the logit's difference to the baseline; None of Grad-CAM."""
        return None if self.baseline is None else self.logit - self.baseline - float(self.scores.sum())

    def picture(self, *, title: str | None = None) -> str:
        """Draw it as SVG; see :func:`kerasdl.diagnostics.saliency_picture.saliency_picture`."""
        return saliency_picture(
            self.kind,
            self.scores,
            inputs=self.inputs,
            tokens=self.tokens,
            title=title if title is not None else f"What speaks for {self.label}",
        )

    def as_dict(self) -> dict[str, Any]:
        """Return all but the input as plain values for JSON."""
        known = {name: getattr(self, name) for name in ("kind", "method", "target", "label", "logit", "baseline")}
        return {**known, "layer": self.layer, "tokens": list(self.tokens), "scores": self.scores.tolist()}


def saliency(
    model: Any,
    inputs: Any,
    *,
    targets: Any = None,
    kind: str | None = None,
    method: str | None = None,
    layer: str | None = None,
    baseline: Any = None,
    vocabulary: Any = None,
    class_names: Sequence[str] = (),
) -> list[Saliency]:
    """Explain the answers of a model: which pixels, tokens or time steps they rest on.

    Args:
        model: A functional model, raw inputs in, logits out, or a :class:`kerasdl.Result` of a classifier or a language
            model, which also knows its vocabulary and the names of its classes.
        inputs: One or many. Images: uint8 (height, width, channels), or with an axis of examples. Texts: a string or a
            list of them, or ids of tokens. Series: (length, channels), or with an axis of examples, or a list.
        targets: Number of the class to explain, or one for each input; None takes the highest logit of each.
        kind: "image", "text" or "series"; None sees it by the input of the model.
        method: "grad_cam" for images, "integrated_gradients" for texts and series; None takes what fits.
        layer: Name of the layer whose feature maps Grad-CAM looks at; None takes the last of at least 4x4 positions,
            or of a vision transformer the patch tokens that its last attention reads.
        baseline: What the values of a series are compared with: a number, or one for each channel; None takes the mean
            of each channel of the series itself, so a flat line. Texts are compared with token vectors of zero.
        vocabulary: From texts to ids and back, with `encode` and `decode`; a result has its own.
        class_names: Name of each class; a result has its own.

    Returns:
        An explanation for each input. The scores of integrated gradients add up to the difference of the logit to the
        baseline, to 1 % of it (or to 0.001, if that is more) as a rule; `gap` says what is missing.

    Raises:
        InputError: For what cannot be explained: other kinds of models, images without a spatial layer, texts without
            a vocabulary, inputs of other shapes.

    Example:
        >>> found = saliency(result, "the cat sat on the mat")[0]
        >>> max(zip(found.scores, found.tokens))
        >>> Path("cat.svg").write_text(found.picture(), encoding="utf-8")

    Reference: Selvaraju et al., Grad-CAM, arXiv:1610.02391; Sundararajan, Taly and Yan, Axiomatic attribution for deep
    networks, arXiv:1703.01365
    """
    opened = saliency_inputs.open_model(model, vocabulary=vocabulary, class_names=class_names)
    kind = saliency_inputs.check_kind(opened.model, kind)
    if method is not None:
        check_choice("method", method, sorted(set(METHODS.values())))
        if method != METHODS[kind]:
            raise InputError(
                "method",
                received=f"{method!r} for a model of {kind}s".replace("seriess", "series"),
                expected=f"{METHODS[kind]!r}",
                mend="Leave method out.",
            )
    explain = {"image": _images, "text": _texts, "series": _series}[kind]
    return explain(opened, inputs, targets, layer, baseline)


def _images(opened: Opened, inputs: Any, targets: Any, layer: str | None, baseline: Any) -> list[Saliency]:
    saliency_inputs.refuse(baseline=baseline)
    images = saliency_inputs.images(opened.model, inputs)
    place, grid = feature_place(opened.model, layer)
    (values,), logits = look(opened.model, [place], images)
    chosen = saliency_inputs.check_targets(targets, logits)
    sensitivity = Sensitivity(opened.model, [place], [values.shape])
    slopes = sensitivity.gradients(images, np.eye(logits.shape[1], dtype=np.float32)[chosen])[0]
    maps = _class_activation(values, slopes) if grid is None else _token_activation(values, slopes, grid)
    large = keras.ops.image.resize(
        maps[..., None].astype(np.float32), images.shape[1:3], data_format="channels_last", interpolation="bilinear"
    )
    large = np.asarray(keras.ops.convert_to_numpy(large), np.float64)[..., 0]
    highest = large.max(axis=(1, 2), keepdims=True)
    # All zeros where nothing of these maps speaks for the class.
    scores = np.divide(large, highest, out=np.zeros_like(large), where=highest > 0)
    return [
        _explained(opened, "image", int(target), scores[index], logits[index], inputs=images[index], layer=place.name)
        for index, target in enumerate(chosen)
    ]


def _class_activation(values: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Return the maps of Grad-CAM, (examples, rows, columns): features times their mean slopes, what is above zero."""
    weights = slopes.mean(axis=(1, 2), keepdims=True)
    return np.maximum((weights * values).sum(axis=-1), 0)


def _token_activation(values: np.ndarray, slopes: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Return the same for tokens of patches, each with its own slopes (HiResCAM, arXiv:2011.08891).

    A mean of slopes fits convolutions, to which a place is like any other. What attention does with a token depends on
    what it says: with mean slopes, maps of small vision transformers were hardly better than chance.
    """
    return np.maximum((patch_tokens(slopes, grid) * patch_tokens(values, grid)).sum(axis=-1), 0)


def _texts(opened: Opened, inputs: Any, targets: Any, layer: str | None, baseline: Any) -> list[Saliency]:
    saliency_inputs.refuse(layer=layer, baseline=baseline)
    places = embedding_places(opened.model)
    ids, lengths = saliency_inputs.token_ids(opened, inputs)
    paths = _walk_all(opened.model, places, ids, targets, [0.0] * len(places))
    found = []
    for row, length, (target, logits, path) in zip(ids, lengths, paths, strict=True):
        scores = sum(each.sum(axis=-1)[:length] for each in path.attributions)
        found.append(
            _explained(
                opened,
                "text",
                target,
                np.asarray(scores),
                logits,
                tokens=saliency_inputs.token_names(opened, row[:length]),
                baseline=path.start,
                layer=", ".join(place.name for place in places),
            )
        )
    return found


def _series(opened: Opened, inputs: Any, targets: Any, layer: str | None, baseline: Any) -> list[Saliency]:
    saliency_inputs.refuse(layer=layer)
    series, lengths = saliency_inputs.series(opened.model, inputs)
    flat = saliency_inputs.flat_lines(series, baseline)
    place = Point(None, 0, opened.model.inputs[0])
    paths = _walk_all(opened.model, [place], series, targets, [flat])
    return [
        _explained(
            opened,
            "series",
            target,
            path.attributions[0][:length],
            logits,
            inputs=one[:length],
            baseline=path.start,
            layer=place.name,
        )
        for one, length, (target, logits, path) in zip(series, lengths, paths, strict=True)
    ]


def _walk_all(
    model: keras.Model, places: Sequence[Point], inputs: np.ndarray, targets: Any, baselines: Sequence[Any]
) -> list[tuple[int, np.ndarray, Path]]:
    """Return for each example the class, all logits and the path; baselines are for each example, or one for all."""
    values, logits = look(model, places, inputs)
    chosen = saliency_inputs.check_targets(targets, logits)
    # One for all examples, which are of one length: JAX compiles it once.
    sensitivity = Sensitivity(model, places, [(NODES * PIECES, *value.shape[1:]) for value in values])
    found = []
    for index, target in enumerate(chosen):
        path = walk(
            sensitivity,
            inputs[index],
            [value[index] for value in values],
            [base[index] if isinstance(base, np.ndarray) else base for base in baselines],
            int(target),
            tolerance=TOLERANCE,
            rounds=ROUNDS,
        )
        found.append((int(target), logits[index], path))
    return found


def _explained(
    opened: Opened, kind: str, target: int, scores: np.ndarray, logits: np.ndarray, **known: Any
) -> Saliency:
    facts: dict[str, Any] = {"inputs": None, "tokens": (), "baseline": None, **known}
    label = saliency_inputs.class_label(opened, target)
    return Saliency(kind, METHODS[kind], target, label, scores, logit=float(logits[target]), **facts)
