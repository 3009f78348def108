"""Generated tokens: the same with and without kept keys and values, alone or together, at once or piece by piece."""

from __future__ import annotations

import functools
import pathlib
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops
from other_backend import needed, run_tests

from kerasdl import InputError, models
from kerasdl.models import generation, generator, windows
from kerasdl.models.generation import generate_tokens, stream_tokens

array = ops.convert_to_numpy
BACKEND = keras.backend.backend()
WINDOW = 12
VARIANTS: dict[str, dict[str, Any]] = {
    "rotary": {"sequence_length": None, "activation": "swiglu"},
    "learned": {"sequence_length": WINDOW, "positions": "learned", "norm_first": False, "tie_embeddings": False},
    "sinusoidal": {"sequence_length": 20, "positions": "sinusoidal", "normalization": "rms"},
}
# Longer than the window, empty, within it, and one whose window is full at another time.
PROMPTS = [[*range(1, 17)], [], [3, 4, 5], [7] * 9]
DRAWN = {"max_new_tokens": 32, "temperature": 1.5, "seed": 5, "window": WINDOW}


def made(sequence_length: int | None = None, **variant: Any) -> keras.Model:
    """A model with weights large enough that its logits differ clearly."""
    keras.utils.set_random_seed(0)
    model = models.causal_transformer(sequence_length, 20, num_layers=2, num_heads=2, hidden_dim=16, **variant)
    rng = np.random.default_rng(0)
    for w in model.trainable_variables:
        w.assign(array(w) + rng.standard_normal(w.shape, "float32") * 0.3)
    return model


@functools.cache
def shared(variant: str) -> keras.Model:
    """A model for all tests, so that its programs are compiled once."""
    return made(**VARIANTS[variant])


@functools.cache
def greedy(variant: str) -> list[np.ndarray]:
    return generate_tokens(shared(variant), PROMPTS, max_new_tokens=32, temperature=0, window=WINDOW)


@functools.cache
def drawn() -> list[np.ndarray]:
    return generate_tokens(shared("rotary"), PROMPTS, **DRAWN)


def same(first: Any, second: Any) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def short_of_the_best(model: keras.Model, prompt: list[int], written: list[int]) -> list[float]:
    """How far the logit of each written token is below the plain model's highest, given those before it.

    The plain model looks at all until the window is full, then its last half goes on.
    """
    text, context, found = list(prompt) or [0], [], []
    for token in text:
        context = [*context, token] if len(context) < WINDOW else [*context, token][-(WINDOW // 2) :]
    for token in written:
        # Zeros behind the context change nothing in it.
        tokens = np.zeros((1, model.inputs[0].shape[1] or WINDOW), "int32")
        tokens[0, : len(context)] = context
        logits = array(model(tokens, training=False))[0, len(context) - 1]
        found.append(float(logits.max() - logits[token]))
        context = [*context, token] if len(context) < WINDOW else [*context, token][-(WINDOW // 2) :]
    return found


@pytest.mark.parametrize("variant", VARIANTS)
def test_greedy_tokens_are_those_of_the_plain_model(variant: str) -> None:
    found = greedy(variant)
    assert {row.dtype for row in found} == {np.dtype("int32")}
    assert len(np.unique(found)) > 5
    for prompt, row in zip(PROMPTS, found, strict=True):
        # Of two that are as likely to the fifth digit, the kernels of the processor decide which is the likelier.
        assert max(short_of_the_best(shared(variant), prompt, row.tolist())) <= 1e-4


@pytest.mark.parametrize("variant", VARIANTS)
def test_without_a_cache_the_same_is_written(variant: str) -> None:
    keywords = {"max_new_tokens": 32, "window": WINDOW, "use_cache": False}
    assert same(generate_tokens(shared(variant), PROMPTS, temperature=0, **keywords), greedy(variant))
    if variant == "rotary":
        assert same(generate_tokens(shared("rotary"), PROMPTS, **{**keywords, **DRAWN}), drawn())


def test_a_row_alone_writes_the_same() -> None:
    for row, prompt in enumerate(PROMPTS):
        keywords: dict[str, Any] = {"window": WINDOW, "max_new_tokens": 32}
        assert same(generate_tokens(shared("rotary"), [prompt], temperature=0, **keywords), [greedy("rotary")[row]])
        assert same(generate_tokens(shared("rotary"), [prompt], rows=[row], **DRAWN), [drawn()[row]])


def test_within_a_window_that_is_never_full() -> None:
    prompts = [[3, 4, 5], []]
    found = generate_tokens(shared("rotary"), prompts, max_new_tokens=6, temperature=0)
    for prompt, row in zip(prompts, found, strict=True):
        assert max(short_of_the_best(shared("rotary"), prompt, row.tolist())) <= 1e-4


def test_draws_repeat_by_seed_row_and_place() -> None:
    assert same(generate_tokens(shared("rotary"), PROMPTS, **DRAWN), drawn())
    assert not same(generate_tokens(shared("rotary"), PROMPTS, **{**DRAWN, "seed": 2**32 - 1}), drawn())
    first, second, *_ = generate_tokens(shared("rotary"), [[3]] * 4, **DRAWN)
    assert not np.array_equal(first, second)
    # what was written goes on as a prompt as it went on before
    half = [[*(prompt or [0]), *row[:10]] for prompt, row in zip(PROMPTS, drawn(), strict=True)]
    rest = generate_tokens(shared("rotary"), half, **{**DRAWN, "max_new_tokens": 22})
    assert same(rest, [row[10:] for row in drawn()])


@pytest.mark.parametrize("every", [1, 5, 99])
def test_a_stream_writes_the_same(every: int) -> None:
    pieces = list(stream_tokens(shared("rotary"), PROMPTS, every=every, **DRAWN))
    assert len(pieces) == -(-32 // every)
    assert all(len(row) == every for row in pieces[0]) or every == 99
    assert same([np.concatenate(rows) for rows in zip(*pieces, strict=True)], drawn())


def test_a_choice_of_one_is_greedy() -> None:
    for keywords in ({"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-6}, {"top_k": 1, "top_p": 1.0}):
        assert same(generate_tokens(shared("rotary"), PROMPTS, **{**DRAWN, **keywords}), greedy("rotary"))
    # all is the same as no choice at all
    assert same(generate_tokens(shared("rotary"), PROMPTS, top_k=20, top_p=1, **DRAWN), drawn())
    assert not same(generate_tokens(shared("rotary"), PROMPTS, top_k=2, **DRAWN), drawn())


def test_a_text_ends_at_the_stop_token() -> None:
    rows = [row.tolist() for row in drawn()]
    stop = next(token for token in rows[0][3:] if all(token in row for row in rows) and token not in rows[0][:3])
    expected = [row[: row.index(stop)] for row in rows]
    assert max(map(len, expected)) < 30
    assert [row.tolist() for row in generate_tokens(shared("rotary"), PROMPTS, stop_token=stop, **DRAWN)] == expected
    pieces = list(stream_tokens(shared("rotary"), PROMPTS, stop_token=stop, **DRAWN))
    assert len(pieces) == max(map(len, expected)) + 1, "it ends when all have met the stop token"
    assert [np.concatenate(rows).tolist() for rows in zip(*pieces, strict=True)] == expected
    # the loop on the device ends there too
    made = generator.Generator(shared("rotary"), window=WINDOW)
    tokens, lengths = generation._padded(PROMPTS, 20)
    options = {"temperature": ops.convert_to_tensor(1.5), "stop_token": stop}
    state = made.begin(ops.convert_to_tensor(tokens), ops.convert_to_tensor(lengths), capacity=32, seed=5, **options)
    assert int(array(made.proceed(state, 32, **options)["step"])) == max(map(len, expected)) + 1


def test_weights_that_change_are_followed() -> None:
    model, before = shared("learned"), greedy("learned")
    weights = model.get_weights()
    try:
        model.set_weights([w[..., ::-1] for w in weights])
        after = generate_tokens(model, PROMPTS, max_new_tokens=32, temperature=0, window=WINDOW)
        assert not same(after, before)
        assert max(short_of_the_best(model, PROMPTS[2], after[2].tolist())) <= 1e-4
    finally:
        model.set_weights(weights)


@pytest.mark.skipif(BACKEND == "torch", reason="PyTorch runs eagerly")
def test_other_lengths_need_no_new_program(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn()
    monkeypatch.setattr(generator.Generator, "_write", None)
    for prompts in (PROMPTS, [[1], [2, 3], [4, 5, 6], []]):
        keywords = {**DRAWN, "max_new_tokens": 20, "seed": 1, "temperature": 0.3}
        assert all(len(row) == 20 for row in generate_tokens(shared("rotary"), prompts, **keywords))


def test_rounded_sizes() -> None:
    rounded = [generation._rounded(size) for size in range(1, 2000)]
    assert sorted(set(rounded))[:9] == [16, 32, 48, 64, 80, 96, 112, 128, 160]
    assert all(size <= found < max(size + 16, size * 1.25) for size, found in enumerate(rounded, 1))


@pytest.mark.parametrize("window", [1, 2, 3, 7, 8])
def test_a_full_window_starts_again_from_its_last_half(window: int) -> None:
    length = 0
    for count in range(1, 50):
        length = length + 1 if length < window else max(window // 2, 1)
        assert int(array(windows.context_length(ops.convert_to_tensor(count), window))) == length


@pytest.mark.skipif(BACKEND != "tensorflow", reason="a SavedModel needs the TensorFlow backend")
def test_traced_for_any_batch_and_number_of_tokens(tmp_path: pathlib.Path) -> None:
    import tensorflow as tf

    model = shared("rotary")
    loop = generator.Generator(model, window=WINDOW)

    def serve(tokens: Any, lengths: Any, count: Any, temperature: Any, top_k: Any, top_p: Any, seed: Any) -> Any:
        options = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
        written, counts = loop.generate(tokens, lengths, max_new_tokens=count, seed=seed, **options)
        return {"tokens": written, "counts": counts}

    kinds = [((None, None), "int32"), ((None,), "int32"), ((), "int32"), ((), "float32"), ((), "int32")]
    kinds += [((), "float32"), ((), "int32")]
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", serve, input_signature=[tf.TensorSpec(*kind) for kind in kinds])
    archive.write_out(tmp_path / "export", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "export")
    tokens, lengths = tf.ragged.constant(PROMPTS, dtype="int32").to_tensor(), [len(prompt) for prompt in PROMPTS]
    found = loaded.serve(tokens, lengths, 32, 0.0, 0, 1.0, 5)
    assert same(found["tokens"].numpy(), greedy("rotary"))
    found = loaded.serve(tokens, lengths, 32, 1.5, 0, 1.0, 5)
    assert same(found["tokens"].numpy(), drawn())
    found = loaded.serve(tokens[2:, :9], lengths[2:], 5, 1.5, 1, 1.0, 5)
    assert same(found["tokens"].numpy(), [row[:5] for row in greedy("rotary")[2:]])


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"prompts": []}, "prompts"),
        ({"prompts": "The"}, "Encode"),
        ({"prompts": ["The"]}, "prompts"),
        ({"prompts": [[1, 20]]}, "0 to 19"),
        ({"prompts": [[-1]]}, "prompts"),
        ({"prompts": [[0.5]]}, "prompts"),
        ({"prompts": [[[1]]]}, "prompts"),
        ({"prompts": [1, 2]}, "prompts"),
        ({"prompts": 3}, "prompts"),
        ({"max_new_tokens": 0}, "max_new_tokens"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_k": 0}, "top_k"),
        ({"top_p": 0}, "top_p"),
        ({"top_p": 1.1}, "top_p"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**32}, "seed"),
        ({"stop_token": 20}, "stop_token"),
        ({"window": 0}, "window"),
        ({"window": 13}, "window=12"),
        ({"use_cache": 1}, "use_cache"),
        ({"rows": [1, 2]}, "rows"),
        ({"rows": [0.5]}, "rows"),
        ({"every": 0}, "every"),
        ({"model": models.mlp((4,), 2)}, "causal"),
        ({"model": "model"}, "causal"),
    ],
)
def test_bad_arguments(keywords: dict[str, Any], message: str) -> None:
    arguments = {"model": shared("learned"), "prompts": [[1]], **keywords}
    with pytest.raises(InputError, match=message):
        stream_tokens(arguments.pop("model"), arguments.pop("prompts"), **arguments)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends(backend: str) -> None:
    needed(backend)
    if BACKEND != "tensorflow":
        pytest.skip("run from the process of the TensorFlow backend")
    files = [pathlib.Path(__file__).with_name(f"test_{name}.py") for name in ("generation", "decoding", "sampling")]
    # One kind of positions writes; that the logits behind it are right is asked for all kinds, in test_decoding.
    others = "(greedy_tokens or without_a_cache) and not rotary"
    assert " passed" in run_tests(backend, *files, chosen=f"not ({others})")
