"""Files of any origin: good ones load as they were saved, crafted ones are refused before Keras or HDF5 see them.

What Keras alone makes of each attack stands beside it: Keras 3.15.1, safe_mode=True.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest

from benchmarks import fuzz_mutations, fuzz_objects, fuzz_weights
from benchmarks.fuzz_mutations import CONFIG, WEIGHTS, members, packed
from kerasdl import InputError, models
from kerasdl.safe_loading import load_keras
from kerasdl.safe_loading.budget import limited_weights


@pytest.fixture(scope="module", autouse=True)
def canary() -> Any:
    """What crafted files point to."""
    folder = Path(fuzz_mutations.CANARY)
    folder.mkdir(exist_ok=True)
    fuzz_weights.plant(folder)
    before = sorted(folder.iterdir())
    yield
    assert sorted(folder.iterdir()) == before, "somebody wrote where no file may"
    for path in before:
        path.unlink()
    folder.rmdir()


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """A tiny perceptron."""
    return models.mlp((4,), 3, hidden=(5,))


@pytest.fixture(scope="module")
def good(model: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a good file."""
    path = tmp_path_factory.mktemp("good") / "model.keras"
    model.save(path)
    return path.read_bytes()


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Load bytes, which must be refused in the words given, and before Keras and HDF5 are asked."""

    def check(content: bytes, words: str = "damaged or refused model") -> None:
        path = tmp_path / "model.keras"
        path.write_bytes(content)
        for place, name in ((keras.models, "load_model"), (h5py, "File")):
            monkeypatch.setattr(place, name, lambda *_, name=name, **__: pytest.fail(f"{name} was called"))
        with pytest.raises(InputError, match=words) as caught:
            load_keras(path)
        assert len(str(caught.value)) < 1000 + len(str(path))

    return check


def with_config(good: bytes, change: Callable[[dict[str, Any]], Any]) -> bytes:
    """Return a file with its configuration changed in place."""
    config = json.loads(members(good)[CONFIG])
    change(config)
    return packed({**members(good), CONFIG: json.dumps(config).encode()})


def layer(config: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(item for item in config["config"]["layers"] if item["class_name"] == kind)


# Good files.


def described(model: keras.Model) -> Any:
    """Return the configuration of a model but for how it, or a model in it, was compiled."""

    def without(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: without(item) for key, item in value.items() if key not in ("compile_config", "shared_object_id")
            }
        return [without(item) for item in value] if isinstance(value, list) else value

    return without(json.loads(model.to_json()))


def nested() -> keras.Model:
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, "relu"), keras.layers.BatchNormalization()])
    inner.compile("sgd", "mse")
    one, other = keras.Input((4,), name="one"), keras.Input((4,), name="other")
    x = keras.layers.Add()([inner(one), inner(other)])
    return keras.Model({"one": one, "other": other}, keras.ops.concatenate([x[:, :2], keras.ops.tanh(x)], axis=-1))


def in_bfloat16() -> keras.Model:
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, dtype="bfloat16")])


def with_much() -> keras.Model:
    given = keras.Input((6, 4))
    x = keras.layers.Bidirectional(keras.layers.LSTM(3, return_sequences=True, kernel_constraint="unit_norm"))(given)
    x = keras.layers.MultiHeadAttention(2, 3, dropout=0.1)(x, x)
    x = keras.layers.TimeDistributed(keras.layers.Dense(2, kernel_regularizer="l2", activation="gelu"))(x)
    return keras.Model(given, keras.layers.GlobalAveragePooling1D()(x))


@pytest.mark.parametrize("make", [nested, in_bfloat16, with_much])
def test_good_files_load_as_they_were_saved(make: Callable[[], keras.Model], tmp_path: Path) -> None:
    model = make()
    model.compile("adam", "mse")
    model.save(tmp_path / "model.keras")
    loaded = load_keras(tmp_path / "model.keras")
    assert not loaded.compiled
    assert described(loaded) == described(model)
    for ours, theirs in zip(loaded.weights, model.weights, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(ours), keras.ops.convert_to_numpy(theirs))


def test_every_kind_of_number_is_read_as_hdf5_reads_it(tmp_path: Path) -> None:
    from kerasdl.safe_loading.hdf5 import read_hdf5

    rng = np.random.default_rng(0)
    kinds = ["i1", "<i2", ">i4", "<i8", "u1", ">u2", "<u4", "<u8", "<f2", ">f4", "<f4", ">f8", "<f8", "?"]
    # More groups than one node of a tree holds.
    found = {
        f"layers/group{index}/vars/{kind[-2:]}": rng.integers(0, 2, (3, index % 4)).astype(kind)
        for index in range(300)
        for kind in kinds[index % 14 : index % 14 + 1]
    }
    found |= {"scalar": np.float32(3.5).reshape(()), "empty": np.zeros((0, 4), "f4")}
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for path, array in found.items():
            file[path] = array
            file[path].parent.attrs["name"] = "a name"
    groups, arrays = read_hdf5((tmp_path / "a.h5").read_bytes())
    assert arrays.keys() == found.keys()
    assert {"layers", "layers/group299", "layers/group299/vars"} < set(groups)
    for path, array in found.items():
        assert arrays[path].dtype == array.dtype
        np.testing.assert_array_equal(arrays[path], array)


# The file: Keras follows links, and waits for ever for a pipe.


@pytest.mark.parametrize("kind", ["missing", "link", "pipe", "folder", "device", "empty"])
def test_only_a_regular_file_is_read(kind: str, good: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    if kind == "link":
        (tmp_path / "other.keras").write_bytes(good)
        path.symlink_to(tmp_path / "other.keras")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    with pytest.raises(InputError, match="no such file" if kind == "missing" else "damaged or refused"):
        load_keras("/dev/zero" if kind == "device" else path)


# The archive: Keras reads compressed members, up to 4 GiB of them from a few bytes, and ignores what else there is.


@pytest.mark.parametrize("name", ["../escaped", "/tmp/escaped", "assets/x", "assets/../../x", "a\\b", "x.py"])
def test_no_other_members(name: str, good: bytes, refused: Callable[..., None]) -> None:
    refused(packed({**members(good), name: b"x"}), "the archive holds")


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS, "metadata.json"])
def test_no_member_is_missing(name: str, good: bytes, refused: Callable[..., None]) -> None:
    refused(packed({other: content for other, content in members(good).items() if other != name}), "the archive holds")


def test_no_member_twice(good: bytes, refused: Callable[..., None]) -> None:
    other = "x" * len(CONFIG)
    refused(packed({**members(good), other: b"{}"}).replace(other.encode(), CONFIG.encode()), "the archive holds")


def test_no_bomb(good: bytes, refused: Callable[..., None]) -> None:
    found = members(good)
    bomb = packed({**found, CONFIG: found[CONFIG] + b" " * (1 << 24)}, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 1 << 17
    refused(bomb, "compressed")


def test_no_links_in_it(good: bytes, refused: Callable[..., None]) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members(good).items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o120777 << 16
            archive.writestr(entry, content)
    refused(file.getvalue(), "is a link")


@pytest.mark.parametrize("place", ["front", "behind", "comment"])
def test_nothing_around_it(place: str, good: bytes, refused: Callable[..., None]) -> None:
    if place == "comment":
        file = io.BytesIO(good)
        with zipfile.ZipFile(file, "a") as archive:
            archive.comment = b"x"
        good = file.getvalue()
    refused({"front": b"x" * 9 + good, "behind": good + b"x" * 9}.get(place, good))


@pytest.mark.parametrize(("place", "size", "value"), [(8, 2, 1), (24, 4, 1 << 30), (20, 4, 1 << 30), (42, 4, 1 << 30)])
def test_no_lies_about_members(place: int, size: int, value: int, good: bytes, refused: Callable[..., None]) -> None:
    at = good.rfind(b"PK\x01\x02") + place  # encryption, both sizes, where it lies
    refused(good[:at] + value.to_bytes(size, "little") + good[at + size :])


# The configuration: Keras makes any public object of its own that is no function, and imports its modules by name.


@pytest.mark.parametrize("name", fuzz_objects.OBJECTS)
def test_no_other_objects(name: str, good: bytes, refused: Callable[..., None]) -> None:
    for seed in range(4):
        text = fuzz_objects.poisoned(members(good)[CONFIG], name, "itself", np.random.default_rng(seed))
        refused(packed({**members(good), CONFIG: text}))


@pytest.mark.parametrize("wrapper", fuzz_objects.WRAPPERS)
def test_no_other_objects_inside_of_others(wrapper: str, good: bytes, refused: Callable[..., None]) -> None:
    for seed, name in enumerate(["Lambda of a lambda", "StringLookup", "os.system"]):
        text = fuzz_objects.poisoned(members(good)[CONFIG], name, wrapper, np.random.default_rng(seed))
        refused(packed({**members(good), CONFIG: text}))


def test_a_registered_class_of_others_is_refused_by_its_name_alone(good: bytes, refused: Callable[..., None]) -> None:
    # Keras looks any string up among what the program has registered.
    change = with_config(good, lambda config: layer(config, "Dense")["config"].update(activation="others>act"))
    refused(change, "not of this kit")


def test_a_layer_called_on_numbers_would_compute(good: bytes, refused: Callable[..., None]) -> None:
    def change(config: dict[str, Any]) -> None:
        number = {"class_name": "__numpy__", "config": {"value": [1.0], "dtype": "float32"}}
        layer(config, "Dense")["inbound_nodes"] = [{"args": [number], "kwargs": {}}]

    refused(with_config(good, change), "not called on the output")


@pytest.mark.parametrize("value", ["NaN", "1e999", "Infinity", "1" * 5000])
def test_no_numbers_that_are_none(value: str, good: bytes, refused: Callable[..., None]) -> None:
    text = members(good)[CONFIG].replace(b'"trainable": true', f'"trainable": {value}'.encode(), 1)
    assert value.encode() in text
    refused(packed({**members(good), CONFIG: text}))


def test_no_key_twice(good: bytes, refused: Callable[..., None]) -> None:
    # A scanner that takes the first sees a Functional, Keras takes the last.
    text = members(good)[CONFIG]
    refused(packed({**members(good), CONFIG: text[:-1] + b', "class_name": "Lambda"}'}), "a key twice")


def test_neither_deep_nor_long(good: bytes, refused: Callable[..., None]) -> None:
    for text in (
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b'{"a":' * 150 + b"1" + b"}" * 150,
        b"{" + b" " * (1 << 23) + b"}",
    ):
        refused(packed({**members(good), CONFIG: text}))


# The weights: the HDF5 library opens other files, makes arrays of any shape from nothing, and crashes where damaged.


@pytest.mark.parametrize("name", fuzz_weights.CRAFTED)
def test_no_other_hdf5(name: str, good: bytes, refused: Callable[..., None]) -> None:
    weights = fuzz_weights.changed(members(good)[WEIGHTS], fuzz_weights.CRAFTED[name], np.random.default_rng(0))
    refused(packed({**members(good), WEIGHTS: weights}), "weights")


@pytest.mark.parametrize("libver", ["latest", "v110"])
def test_no_newer_format(libver: str, good: bytes, refused: Callable[..., None]) -> None:
    file = io.BytesIO()
    with h5py.File(file, "w", libver=libver) as opened:
        opened["vars/0"] = np.zeros(3)
    refused(packed({**members(good), WEIGHTS: file.getvalue()}), "not in HDF5 as Keras writes it")


@pytest.mark.parametrize("name", fuzz_weights.OTHER)
def test_weights_of_another_model_are_refused(name: str, good: bytes, tmp_path: Path) -> None:
    weights = fuzz_weights.changed(members(good)[WEIGHTS], fuzz_weights.OTHER[name], np.random.default_rng(0))
    (tmp_path / "model.keras").write_bytes(packed({**members(good), WEIGHTS: weights}))
    if name == "other type":  # the same numbers in other bytes
        load_keras(tmp_path / "model.keras")
    else:
        with pytest.raises(InputError):
            load_keras(tmp_path / "model.keras")


# Sizes: Keras allocates what the configuration asks for before it looks at the weights.


@pytest.mark.parametrize("units", [10**9, 10**6, 2**31, 2**62, 10**30])
def test_no_more_weights_than_the_file_has(units: int, good: bytes, tmp_path: Path) -> None:
    content = with_config(good, lambda config: layer(config, "Dense")["config"].update(units=units))
    (tmp_path / "model.keras").write_bytes(content)
    with pytest.raises(InputError, match="weights for more than"):
        load_keras(tmp_path / "model.keras")


def test_the_limit_is_gone_after_an_error() -> None:
    before = keras.layers.Layer.add_weight
    with pytest.raises(ValueError, match="weights for more than"), limited_weights(0):
        keras.layers.Dense(10**6).build((None, 10))
    assert keras.layers.Layer.add_weight is before
    with limited_weights(33):
        keras.layers.Dense(3).build((None, 10))


@pytest.mark.parametrize("shape", [[None, 2**40], [None, -1], [None, 1.5], [None, True], 7])
def test_no_inputs_of_any_size(shape: Any, good: bytes, refused: Callable[..., None]) -> None:
    change = with_config(good, lambda config: layer(config, "InputLayer")["config"].update(batch_shape=shape))
    refused(change, "a tensor of shape")


# All at once, as `benchmarks/fuzz_loading.py` does with thousands.

MUTATIONS = {
    **fuzz_mutations.RAW,
    "zip": fuzz_mutations.zip_structure,
    "config": fuzz_mutations.in_member(CONFIG),
    "values": fuzz_mutations.in_config(fuzz_mutations.json_values),
    "sizes": fuzz_mutations.in_config(fuzz_mutations.sizes),
    "JSON": fuzz_mutations.in_config(fuzz_mutations.json_text),
    "objects": fuzz_mutations.in_config(fuzz_objects.objects),
    "weights": fuzz_mutations.in_member(WEIGHTS),
    "structure": fuzz_weights.structure,
    "crafted": fuzz_weights.hdf5(fuzz_weights.CRAFTED),
}


@pytest.mark.filterwarnings("ignore")  # an error by another name must not hide what is loaded
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_small_campaign(name: str, good: bytes, tmp_path: Path) -> None:
    path, outcomes = tmp_path / "model.keras", []
    for seed in range(12):
        path.write_bytes(MUTATIONS[name](good, np.random.default_rng((7, seed))))
        try:
            loaded = load_keras(path)
        except InputError:
            outcomes.append("refused")
        else:
            outcomes.append("loaded")
            kinds = {type(part).__module__ for part in loaded._flatten_layers()}
            assert all(kind.startswith(("keras.src.layers.", "keras.src.models.", "kerasdl.layers.")) for kind in kinds)
    assert "refused" in outcomes
    if name in ("objects", "crafted"):
        assert "loaded" not in outcomes
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["model.keras"]
