"""What TensorFlow Serving would make of an export: its layout, its signatures, and its REST interface, without Docker.

The rules of the server's conversion between JSON and tensors are those of its `json_tensor.cc`:
https://github.com/tensorflow/serving/blob/master/tensorflow_serving/util/json_tensor.cc
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np

from kerasdl.export import load_exported
from kerasdl.export.card_usage import requests


def check(version: Path) -> None:
    """Check that an export is as TensorFlow Serving wants it, and that the requests of its card are answered."""
    import tensorflow as tf

    assert version.name.isdecimal()
    assert (version / "saved_model.pb").is_file()
    assert (version / "variables" / "variables.index").is_file()
    loaded = tf.saved_model.load(str(version))
    for function in loaded.signatures.values():
        positional, named = function.structured_input_signature
        assert positional == ()
        assert named
        # Single values go by columns; all else has a batch of any size.
        assert all(spec.shape.rank == 0 or spec.shape[0] is None for spec in named.values())
        assert all(spec.shape[0] is None for spec in function.structured_outputs.values())
    exported = load_exported(version)
    bodies = requests(exported.description, exported.description["inputs"])
    picture = tf.io.encode_png(np.zeros((5, 4, 1), np.uint8)).numpy()
    for body in bodies:
        text = json.dumps(body).replace("<base64>", base64.b64encode(picture).decode())
        answer = predict(loaded, json.loads(text))
        json.dumps(answer)
        inputs = tensors(loaded, json.loads(text))
        expected = exported.run(body.get("signature_name", "serving_default"), inputs)
        for name, values in expected.items():
            rows = [row[name] for row in answer["predictions"]] if "instances" in body else answer["outputs"]
            assert np.array_equal(np.array(rows).astype(values.dtype), values)
    check_card(version, exported.description, len(bodies))


def check_card(version: Path, facts: dict[str, Any], count: int) -> None:
    """Check that the card says what the facts say."""
    card = (version / "README.md").read_text("utf-8")
    for words in ("is a program", *facts["files_sha256"].values(), facts["data_fingerprint"], facts["recipe"]):
        assert words in card
    for name, ends in facts["signatures"].items():
        assert f"### Signature `{name}`" in card
        for row in [*ends["inputs"], *ends["outputs"]]:
            (line, *_) = [
                line for line in card.splitlines() if line.startswith((f"| in | `{row}`", f"| out | `{row}`"))
            ]
            assert not line.endswith("|  |"), line
    for name, value in facts["metrics"].items():
        assert f"| `{name}` | {value:.3f}"[:-1] in card or value < 1e-3
    assert card.count(":predict") == count
    assert "(None" not in card
    assert "| nan" not in card.lower()


def tensors(loaded: Any, body: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return the inputs that the server makes of a request's body, or refuse it as the server does."""
    specs = loaded.signatures[body.get("signature_name", "serving_default")].structured_input_signature[1]
    assert ("instances" in body) != ("inputs" in body)
    if "instances" in body:
        rows = [
            row if isinstance(row, dict) and "b64" not in row else dict.fromkeys(specs, row)
            for row in body["instances"]
        ]
        assert all(row.keys() == specs.keys() for row in rows)
        values = {name: [row[name] for row in rows] for name in specs}
    else:
        values = body["inputs"]
        assert values.keys() == specs.keys()
    return {name: _tensor(values[name], spec) for name, spec in specs.items()}


def _tensor(values: Any, spec: Any) -> np.ndarray:
    def leaf(value: Any) -> Any:
        if isinstance(value, list):
            return [leaf(each) for each in value]
        if spec.dtype.name == "string":
            return base64.b64decode(value["b64"]) if isinstance(value, dict) else value.encode()
        assert isinstance(value, (int, float))
        assert spec.dtype.is_floating or float(value).is_integer()
        return value

    found = np.array(leaf(values), object if spec.dtype.name == "string" else spec.dtype.as_numpy_dtype)
    assert spec.shape.is_compatible_with(found.shape)
    return found


def predict(loaded: Any, body: dict[str, Any]) -> dict[str, Any]:
    """Return the server's answer to a request's body."""
    import tensorflow as tf

    function = loaded.signatures[body.get("signature_name", "serving_default")]
    specs = function.structured_input_signature[1]
    inputs = {name: tf.constant(values, specs[name].dtype) for name, values in tensors(loaded, body).items()}
    outputs = {name: values.numpy() for name, values in function(**inputs).items()}
    answers = {name: _json(values.tolist(), name) for name, values in outputs.items()}
    if "inputs" in body:
        return {"outputs": answers if len(answers) > 1 else next(iter(answers.values()))}
    # "Tensor name: ... has inconsistent batch size"
    assert {len(values) for values in answers.values()} == {len(body["instances"])}
    rows = [{name: values[row] for name, values in answers.items()} for row in range(len(body["instances"]))]
    return {"predictions": rows}


def _json(value: Any, name: str) -> Any:
    if isinstance(value, list):
        return [_json(each, name) for each in value]
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()} if name.endswith("_bytes") else value.decode("utf-8")
    return value
