"""What a model card says of inputs, outputs and calls, by kind of model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kerasdl.export.outputs import DEFAULTS, THRESHOLD

# What a user sees before the first answer of a server.
_EXAMPLES = {
    "images": '"photo.png"',
    "text": '"a text to classify"',
    "prompt": '"The "',
    "series": "series",
    "forecast": '"table.csv"',
    "detection": '"photo.png"',
}
# What matters most comes first.
_ORDER = (
    "prompt",
    *DEFAULTS,
    "values",
    "known",
    "time",
    "boxes",
    "label",
    "scores",
    "count",
    "forecast",
    "lower",
    "upper",
    "quantiles",
)
MEANINGS: dict[str, str] = {
    "image_bytes": "whole PNG, JPEG, GIF or BMP files, of any size",
    "text": "texts in UTF-8, of any length, also empty",
    "prompt": "how texts begin, in UTF-8, also empty",
    "max_new_tokens": "tokens written at most after each prompt",
    "temperature": "what logits are divided by; 0 takes the most likely token always",
    "top_k": "draw among that many of the most likely tokens; 0 for all",
    "top_p": "then among as few as have this probability together; 1 for all",
    "seed": "of the draws",
}


def specification(facts: Mapping[str, Any], kind: str) -> str:
    """Return the section on what goes in and what comes out, for every signature that the facts name."""
    lines = ["## Inputs and outputs"]
    for signature, ends in facts.get("signatures", {}).items():
        lines.append(f"### Signature `{signature}`")
        for end, described in (("in", _input), ("out", _output)):
            rows = [
                f"| {end} | `{name}` | {spec['dtype']} | {_shape(spec['shape'])} | {described(name, facts, kind)} |"
                for name, spec in sorted(ends[f"{end}puts"].items(), key=_place)
            ]
            lines.append("\n".join(["| | name | type | shape | meaning |", "|---|---|---|---|---|", *rows]))
    return "\n\n".join(_merged(lines)) if len(lines) > 1 else ""


def _place(end: tuple[str, Any]) -> tuple[int, str]:
    return (_ORDER.index(end[0]) if end[0] in _ORDER else len(_ORDER)), end[0]


def _merged(lines: list[str]) -> list[str]:
    """Put the rows of outputs under the table of the inputs."""
    merged: list[str] = []
    for line in lines:
        if line.startswith("| |") and merged and merged[-1].startswith("| |"):
            merged[-1] += "\n" + "\n".join(line.splitlines()[2:])
        else:
            merged.append(line)
    return merged


def _shape(shape: list[int | None]) -> str:
    return "one value" if not shape else "(" + ", ".join("any" if size is None else str(size) for size in shape) + ")"


def _input(name: str, facts: Mapping[str, Any], kind: str) -> str:
    if kind in ("images", "detection") and name == "image":
        height, width, channels = facts["input_shape"]
        colours = {1: "grey", 3: "red, green, blue"}.get(channels, f"{channels} channels")
        if kind == "detection":
            return f"pixels from 0 to 255, {colours}; any size, letterboxed to {height} x {width} inside"
        return f"pixels from 0 to 255, {colours}; any size, brought to {height} x {width} inside"
    if kind == "series" and name == "series":
        short = ", shorter ones padded by NaN on the right" if facts["input_shape"][0] is None else ""
        gaps = "; `.predict` fills values that are missing inside" if facts.get("missing") == "interpolate" else ""
        return f"series (count, time steps, channels) in the units of the training data{short}; no NaN inside{gaps}"
    if kind == "forecast":
        return _forecast_input(name, facts["layout"])
    return MEANINGS.get(name, "")


def _forecast_input(name: str, layout: Mapping[str, Any]) -> str:
    columns = layout["columns"]
    length = layout["sequence_length"] + (layout["transform"] != "none")
    if name == "values":
        listed = ", ".join(f"`{each}`" for each in (*columns["target"], *columns["past"], *columns["known"]))
        return (
            f"the latest steps, {layout['frequency']} apart, at least {length}, in the units of the training data; "
            f"columns: {listed}; NaN where a value is missing"
        )
    if name == "known":
        listed = ", ".join(f"`{each}`" for each in columns["known"])
        return f"what is known of the next {layout['horizon']} steps: {listed}"
    if name == "time":
        zone = (
            f", on the clock of {layout['timezone']}" if layout["timezone"] else ", as the times of the training data"
        )
        return f"the last observation's time in seconds since 1970-01-01 00:00{zone}"
    names = layout["series"]
    listed = ", ".join(f"`{each}`" for each in names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    return f"which series of the training it is: {listed}"


def _output(name: str, facts: Mapping[str, Any], kind: str) -> str:
    if kind == "forecast":
        layout, levels = facts["layout"], facts["quantiles"]
        what = "" if layout["transform"] == "none" else f"{layout['transform'].replace('_', ' ')} of "
        what += ", ".join(f"`{each}`" for each in layout["columns"]["target"])
        middle = min(levels, key=lambda level: abs(level - 0.5))
        return {
            "forecast": f"{what}, the next {layout['horizon']} steps: the quantile at {middle:g}",
            "quantiles": f"all levels, last axis: {', '.join(f'{level:g}' for level in levels)}",
            "lower": f"the quantile at {levels[0]:g}",
            "upper": f"the quantile at {levels[-1]:g}",
        }.get(name, "")
    if kind == "detection":
        return {
            "boxes": "left, top, right, bottom in pixels of the image that was given, the best first; -1 for padding",
            "scores": "of each box, in [0, 1]; -1 for padding",
            "label": "the class of each box; empty for padding",
            "count": "how many boxes there are before padding",
        }.get(name, "")
    several = facts.get("multi_label")
    return {
        "scores": "of each class by itself, in [0, 1]" if several else "of each class, together 1",
        "label": "the class with the highest score",
        "present": f"which classes are there: score above {THRESHOLD:g}",
        "text": "each prompt with what follows it",
        "loss": f"mean loss in nats a token, of the first {facts.get('sequence_length')} tokens",
    }.get(name, "")


def usage(facts: Mapping[str, Any], kind: str, name: str) -> str:
    """Return the section on how to call the model: from Python, from a shell, and through TensorFlow Serving."""
    raw = _EXAMPLES.get(kind, "raw")
    if kind == "images" and "encoded" not in facts.get("signatures", {"encoded": None}):
        raw = "pixels"
    answer = {"forecast": '["forecast"]', "prompt": '["text"]', "detection": '["boxes"]'}.get(kind, '["label"]')
    arrays = {"pixels": "uint8 (height, width, channels)", "series": "numbers (time steps, channels)"}
    note = f"  # {raw}: an array of {arrays[raw]}" if raw in arrays else ""
    text = [
        "## How to use it",
        f"Here `{name}` is the path of the folder that holds this version's folder.",
        "```python\nfrom kerasdl.export import load_exported\n\n"
        f'load_exported("{name}").predict({raw}){answer}{note}\n```',
    ]
    if kind == "prompt":
        text.append(f"By default {', '.join(f'{key} {value}' for key, value in DEFAULTS.items())}.")
    if raw != "pixels":
        shown = "series.csv" if kind == "series" else raw if kind in ("text", "prompt") else raw.strip('"')
        text.append(f"```sh\nkerasdl predict {name} {shown}\n```")
    if facts.get("format", "saved_model") != "saved_model":
        return "\n\n".join(text)
    text.append(
        "The folder is as TensorFlow Serving wants it:\n\n```sh\n"
        f'docker run --rm -p 8501:8501 -v "$PWD/{name}:/models/{name}" -e MODEL_NAME={name} tensorflow/serving\n'
        + "\n".join(_curl(body, name) for body in requests(facts, kind))
        + "\n```"
    )
    return "\n\n".join(text)


def requests(facts: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    """Return a body of each kind of request that TensorFlow Serving's REST interface takes.

    "<...>" in a body stands for what is filled in. https://www.tensorflow.org/tfx/serving/api_rest
    """
    signatures = facts.get("signatures", {})
    if kind in ("images", "detection"):
        channels = facts["input_shape"][2]
        found: list[dict[str, Any]] = [{"instances": [{"image": [[[0] * channels, [255] * channels]] * 2}]}]
        if "encoded" in signatures:
            found.append({"signature_name": "encoded", "instances": [{"image_bytes": {"b64": "<base64>"}}]})
        return found
    if kind == "prompt":
        # Options are single values, which only the form by columns can say.
        return [
            {"instances": [{"prompt": "The "}]},
            {"signature_name": "generate", "inputs": {"prompt": ["The "], **DEFAULTS}},
        ]
    if kind == "text":
        return [{"instances": [{"text": "a text to classify"}]}]
    if kind == "series":
        length, channels = facts["input_shape"]
        return [{"instances": [{"series": [[0.0] * channels] * (length or 3)}]}]
    layout = facts["layout"]
    columns, steps = layout["columns"], layout["sequence_length"] + (layout["transform"] != "none")
    width = len(columns["target"]) + len(columns["past"]) + len(columns["known"])
    one: dict[str, Any] = {"values": [[1.0] * width] * steps}
    one |= {"known": [[0.0] * len(columns["known"])] * layout["horizon"]} if columns["known"] else {}
    one |= {"time": 1704067200} if layout["calendar"] else {}
    one |= {"series": layout["series"][0]} if layout["numbered"] else {}
    return [{"instances": [one]}]


def _curl(body: Mapping[str, Any], name: str) -> str:
    place = f"http://localhost:8501/v1/models/{name}:predict"
    text = json.dumps(body, ensure_ascii=False).replace("'", "'\\''")
    if "<base64>" in text:
        text = text.replace("<base64>", "%s")
        return f"printf '{text}' \"$(base64 -w0 photo.png)\" | curl -d @- {place}"
    # A whole series would fill the page.
    return f"curl -d '{text}' {place}" if len(text) < 400 else f"curl -d @request.json {place}  # {_abridged(body)}"


def _abridged(body: Mapping[str, Any]) -> str:
    (one,) = body["instances"]
    return json.dumps(
        {"instances": [{key: "<nested lists>" if isinstance(value, list) else value for key, value in one.items()}]}
    )
