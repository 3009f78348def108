"""Forecasting: series of any source in, the next values with intervals out, measured beside naive forecasts.

    kerasdl train forecasting
    kerasdl train forecasting --data temperatures.csv --horizon 24

The default looks at daily prices of three shares, of which nothing is better known than the last: it says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kerasdl
from kerasdl import checks, configuration, keywords

if TYPE_CHECKING:
    import keras

# What each architecture can be told beyond what all can, and its default here.
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "nlinear": {},
    "dlinear": {},
    "tcn": {"filters": 32},
    "transformer": {"num_layers": 2, "num_heads": 4, "hidden_dim": 64},
    "lstm": {"num_layers": 1, "units": 64},
    "gru": {"num_layers": 1, "units": 64},
    "rnn": {"num_layers": 1, "units": 64},
    "sequence_to_sequence": {"num_layers": 1, "units": 64},
}
# A single layer bears long steps, and needs them: its weights start at zero and end near one.
LINEAR_RATES = dict.fromkeys(("adam", "adamw", "rmsprop", "muon"), 0.01)
LEARNING_RATES = {"nlinear": LINEAR_RATES, "dlinear": LINEAR_RATES}
OPTIONS = ("num_layers", "num_heads", "hidden_dim", "units", "filters")
CELLS = ("lstm", "gru", "rnn")
# What the data depend on.
DATA_KEYWORDS: tuple[str, ...] = (
    *("target", "time_column", "series_column", "past_covariates", "known_covariates", "frequency", "timezone"),
    *("calendar", "transform", "horizon", "sequence_length", "season", "gap", "validation_fraction", "test_fraction"),
)


def train(
    data: Any = "stocks",
    *,
    target: str | Sequence[str] | None = None,
    time_column: str | None = None,
    series_column: str | None = None,
    past_covariates: str | Sequence[str] = (),
    known_covariates: str | Sequence[str] = (),
    frequency: str | None = None,
    timezone: str | None = None,
    calendar: bool = True,
    transform: str = "none",
    horizon: int | None = None,
    sequence_length: int | None = None,
    season: int | None = None,
    gap: int | None = None,
    validation_fraction: float = 0.2,
    test_fraction: float = 0.2,
    quantiles: Sequence[float] = (0.1, 0.5, 0.9),
    scaler: str = "window",
    architecture: str = "nlinear",
    num_layers: int | None = None,
    num_heads: int | None = None,
    hidden_dim: int | None = None,
    units: int | None = None,
    filters: int | None = None,
    dropout: float = 0.1,
    l1: float = 0.0,
    l2: float = 0.0,
    epochs: int = 10,
    batch_size: int = 64,
    optimizer: str | Mapping[str, Any] | keras.optimizers.Optimizer = "adamw",
    learning_rate: float | None = None,
    schedule: str | Mapping[str, Any] | keras.optimizers.schedules.LearningRateSchedule | None = None,
    weight_decay: float | None = None,
    gradient_clip: float | None = 1.0,
    gradient_accumulation: int = 1,
    ema: float | None = None,
    early_stopping: int | None = None,
    keep: str = "best",
    precision: str = "float32",
    jit_compile: bool | str = False,
    steps_per_execution: int | str = 1,
    strategy: str | None = None,
    skip_bad_batches: int = 0,
    seed: int = 0,
    directory: str | Path | None = None,
    resume: bool = False,
    checkpoint_every: int | str = "epoch",
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int = 1,
    versions: Mapping[str, str] | None = None,
    hardware: Mapping[str, Any] | None = None,
    data_fingerprint: str | None = None,
) -> kerasdl.Result:
    """Train a forecaster.

    Splits are in the order of time, with a gap between; scalers are fitted on the training part alone and are inside
    the model. The validation split chooses the epoch whose weights are kept, and by how much intervals are widened so
    that they hold as often as they say. The test split is measured once, at the end, beside the last value, the last
    season, the drift and a linear regression.

    Args:
        data: "stocks"; a .csv or .tsv file, a DataFrame or a mapping of columns, with a row for each time; an array of
            shape (steps,) or (steps, targets); a list of arrays, each a series; or a kerasdl.data.ForecastDataset.
        target: Columns to forecast; by default one with a usual name (target, y, value, close), or the only one with
            numbers.
        time_column: When a row was observed; by default a column with a usual name (time, date, timestamp, ...).
        series_column: Which series a row is of; by default a column with a usual name (series, ticker, ...).
        past_covariates: Columns that help and are known up to now.
        known_covariates: Columns that help and are known ahead.
        frequency: Step between rows, by pandas' name (15min, h, D, MS), or rows, to count each row as one step; by
            default read off the times.
        timezone: Such as Europe/Paris, of times that name no zone: daylight saving is undone.
        calendar: Whether time of day, of week and of year are covariates, as far as training covers them twice.
        transform: What of the targets is forecast: none, returns, log_returns, or volatility, the size of the latter.
        horizon: Steps to forecast; by default a season.
        sequence_length: Steps to look back; by default three seasons or four horizons, whichever is more.
        season: Steps after which values are alike; by default 24 hours, 7 days, 12 months or 5 rows.
        gap: Steps left out between the splits; by default the horizon.
        validation_fraction: Share of the time before the test split, in (0, 1).
        test_fraction: Share of all time, its end, in (0, 1).
        quantiles: Levels to forecast, ascending; 0.5 alone for points without intervals.
        scaler: How targets are scaled inside: window (by each window), standard, robust, log (by the training part), or
            none.
        architecture: nlinear, dlinear, tcn (dilated causal convolutions), transformer (patches), lstm, gru, rnn, or
            sequence_to_sequence (encoder and decoder with attention).
        num_layers: Blocks of the transformer, layers of the recurrent ones.
        num_heads: Attention heads of each block, for the transformer.
        hidden_dim: Features of each patch, for the transformer.
        units: Features of each recurrent layer.
        filters: Features of each convolution, for tcn.
        dropout: Share of features that are dropped in training, in [0, 1).
        l1: Weight of the sum of absolute kernel values in the loss.
        l2: Weight of the sum of squared kernel values in the loss.
        epochs: Passes over the training windows.
        batch_size: Windows a step.
        optimizer: sgd, nesterov, adam, adamw, rmsprop, muon, or a Keras optimizer.
        learning_rate: Highest learning rate; by default 0.001, for nlinear and dlinear 0.01, for sgd and nesterov 0.05.
        schedule: constant, cosine, one_cycle (the default), plateau, exponential, or a Keras schedule.
        weight_decay: Decoupled weight decay; by default 0.05 for adamw and muon, else 0.
        gradient_clip: Largest global norm of the gradients.
        gradient_accumulation: Batches whose gradients are averaged before one update.
        ema: Momentum of a moving average of the weights, such as 0.99.
        early_stopping: Epochs without a lower validation loss after which training stops.
        keep: The weights of which epoch are kept: best, by the validation loss, or last; not beside early_stopping.
        precision: float32, bfloat16 or float16 (mixed precision; scaling and forecasts stay float32), or auto.
        jit_compile: XLA: true, false or auto.
        steps_per_execution: Batches that run without a return to Python, or auto. What is auto is chosen by a short
            measurement on this model and machine, at most 3 % of the expected run.
        strategy: mirrored, to train on all GPUs of the machine; each gets its part of every batch.
        skip_bad_batches: Up to so many batches whose loss is not finite are undone and passed over.
        seed: Seed of the weights, of dropout and of the order of windows.
        directory: New folder for the model, configuration, history, TensorBoard logs and report.
        resume: Go on with the run that is in `directory`, if there is one, to the bit as if it had never been killed.
        checkpoint_every: epoch (as long as that takes no more than 1 % of the time), a number of batches, or seconds as
            in "60s".
        callbacks: Further Keras callbacks.
        verbose: 0 silent, 1 a progress bar on a terminal and lines elsewhere, 2 always lines.
        versions: Recorded in `result.config`; accepted back and ignored.
        hardware: Recorded in `result.config`; accepted back and ignored.
        data_fingerprint: Recorded in `result.config`; accepted back and ignored.

    Returns:
        The result: model, history, test metrics, baselines, diagnosis, configuration, dataset.

    Raises:
        InputError: For an argument or data that cannot work, before anything is trained or written.

    Example:
        >>> result = train("stocks", transform="volatility")
        >>> result.predict(recent_prices)["upper"]
    """
    arguments = {name: value for name, value in locals().items() if name not in configuration.RECORDED}
    arguments = resolve(**arguments)

    dataset = load(**arguments)
    arguments |= dataset.keywords
    statistics = kerasdl.data.fit_statistics(dataset, scaler)
    task = kerasdl.Forecasting.of(dataset, quantiles=quantiles, load=dataset.keywords, numbered=len(statistics) > 1)
    examples, held_out = task.examples(dataset.train), task.examples(dataset.validation)
    build_keywords = configuration.matching(build, arguments) | {
        "num_targets": dataset.layout.num_targets,
        "num_past": dataset.layout.num_past,
        "num_known": dataset.layout.num_known,
        "statistics": statistics,
        **kerasdl.data.choose_start(dataset, statistics, scaler),
    }
    loss = kerasdl.training.PinballLoss(quantiles)

    def built(precision: str) -> keras.Model:
        sizes = dataset.layout.sequence_length, dataset.layout.horizon
        return build(*sizes, **build_keywords | {"precision": precision})

    def fitted(model: keras.Model, decided: dict[str, Any]) -> dict[str, list[float]]:
        keywords = configuration.matching(kerasdl.training.fit, decided)
        history = kerasdl.training.fit(model, examples, held_out, loss=loss, **keywords)
        task.calibrate(model, dataset.validation, batch_size=decided["batch_size"])
        return history

    return kerasdl.run_recipe(
        "forecasting",
        arguments,
        dataset,
        task=task,
        prepare=lambda decided: kerasdl.training.resolve_auto(decided, built, examples, loss=loss),
        build=lambda decided: built(decided["precision"]),
        fit=fitted,
        baselines=lambda: task.baselines(dataset),
    )


def backtest(data: Any = "stocks", *, folds: int = 4, **arguments: Any) -> list[dict[str, Any]]:
    """Train anew at several origins in time, each on all that lies before, and measure on what comes next.

    The test part of the time is cut into `folds` equal parts; the first fold tests on the first of them, the last on
    the last. Validation is always what lies right before.

    Args:
        data: As for :func:`train`.
        folds: How many origins.
        **arguments: As for :func:`train`; "directory" is not taken.

    Returns:
        For each fold "fold" from 1, "begin" and "end" of its test targets (`numpy.datetime64`, or step numbers), the
        test metrics, and "baselines": those of the simple methods.

    Raises:
        InputError: As :func:`train` does.

    Example:
        >>> [fold["mase"] for fold in backtest("stocks", folds=3, epochs=5)]

    Reference: Tashman, Out-of-sample tests of forecasting accuracy, 2000, doi:10.1016/S0169-2070(00)00065-0
    """
    checks.integer(1, example=4)("folds", folds)
    resolved = resolve(data=data, **arguments)
    loaded = load(**resolved)
    rows = []
    for number, dataset in enumerate(kerasdl.data.backtest_folds(loaded, folds), start=1):
        result = train(dataset, **{"verbose": 0, **arguments})
        begin, end = dataset.test_span
        rows.append({"fold": number, "begin": begin, "end": end, **result.metrics, "baselines": result.baselines})
    return rows


def load(**arguments: Any) -> kerasdl.data.ForecastDataset:
    """Return the data as :func:`train` takes them, from its resolved arguments."""
    keywords = {name: arguments[name] for name in DATA_KEYWORDS}
    return kerasdl.data.load_forecasting(arguments["data"], **keywords)


def build(
    sequence_length: int,
    horizon: int,
    *,
    num_targets: int = 1,
    num_past: int = 0,
    num_known: int = 0,
    statistics: Any = None,
    season: int | None = None,
    residual_scale: float = 1.0,
    quantiles: Sequence[float] = (0.1, 0.5, 0.9),
    scaler: str = "window",
    architecture: str = "nlinear",
    num_layers: int | None = None,
    num_heads: int | None = None,
    hidden_dim: int | None = None,
    units: int | None = None,
    filters: int | None = None,
    dropout: float = 0.1,
    l1: float = 0.0,
    l2: float = 0.0,
    precision: str = "float32",
) -> keras.Model:
    """Build the uncompiled model that :func:`train` trains.

    The keywords are those of :func:`train`, and those of the builders, such as
    :func:`kerasdl.models.linear_forecaster`.
    """
    given = dict(zip(OPTIONS, (num_layers, num_heads, hidden_dim, units, filters), strict=True))
    options = keywords.resolve_architecture(architecture, ARCHITECTURES, given)
    own = {name: value for name, value in options.items() if name in ARCHITECTURES[architecture]}
    shared: dict[str, Any] = {
        "sequence_length": sequence_length,
        "horizon": horizon,
        "num_targets": num_targets,
        "num_past": num_past,
        "num_known": num_known,
        "statistics": statistics,
        "season": season,
        "residual_scale": residual_scale,
        "quantiles": quantiles,
        "scaler": scaler,
        "dropout": dropout,
        "l1": l1,
        "l2": l2,
    }
    with kerasdl.training.precision_policy(precision):
        if architecture in ("nlinear", "dlinear"):
            return kerasdl.models.linear_forecaster(kind=architecture, **shared)
        if architecture in CELLS:
            return kerasdl.models.lstm_forecaster(cell=architecture, **own, **shared)
        if architecture == "tcn":
            return kerasdl.models.temporal_cnn(**own, **shared)
        if architecture == "transformer":
            return kerasdl.models.transformer_forecaster(**own, **shared)
        return kerasdl.models.sequence_to_sequence(**own, **shared)


def resolve(**arguments: Any) -> dict[str, Any]:
    """Return the arguments of :func:`train`, every default filled in, and all checked that needs no data.

    Raises:
        InputError: For an argument that cannot work.
    """
    resolved = keywords.resolve(train, arguments, learning_rates=LEARNING_RATES)
    for name in ("units", "filters"):
        if resolved[name] is not None:
            checks.integer(1, example=64)(name, resolved[name])
    options = {name: resolved[name] for name in OPTIONS}
    return resolved | keywords.resolve_architecture(resolved["architecture"], ARCHITECTURES, options)


def space(hp: Any) -> dict[str, Any]:
    """The hyperparameters that matter most here, in KerasTuner's language.

    Args:
        hp: A `keras_tuner.HyperParameters`.

    Returns:
        Keyword arguments of :func:`train`.
    """
    return {
        "architecture": hp.Choice("architecture", list(ARCHITECTURES)),
        "scaler": hp.Choice("scaler", ["window", "standard", "robust"]),
        "dropout": hp.Float("dropout", 0.0, 0.4, step=0.1),
        "learning_rate": hp.Float("learning_rate", 1e-4, 1e-2, sampling="log"),
        "weight_decay": hp.Float("weight_decay", 1e-3, 0.3, sampling="log"),
        "batch_size": hp.Choice("batch_size", [32, 64, 128]),
        "epochs": hp.Choice("epochs", [10, 20, 40]),
    }
