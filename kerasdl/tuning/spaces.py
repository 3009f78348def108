"""Search spaces: functions from KerasTuner's `hp` to keyword arguments of a recipe's `train`, and single entries."""

from __future__ import annotations

import json
import numbers
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kerasdl.configuration import jsonable
from kerasdl.errors import InputError

if TYPE_CHECKING:
    import keras_tuner

Space = Callable[[Any], dict[str, Any]]
# A range that spans so many times its lower end is sampled evenly in its logarithm.
WIDE = 50
# How often the space is asked for what it has beyond a condition, before it counts as known.
DISCOVERIES = 200


@dataclass(frozen=True)
class Point:
    """One point of a space.

    Args:
        values: Hyperparameters by name, those alone that the space asked for.
        keywords: Arguments of `train`.
    """

    values: dict[str, Any]
    keywords: dict[str, Any]

    @property
    def identity(self) -> str:
        """Equal for points that train the same."""
        return json.dumps(jsonable(self.keywords), sort_keys=True, default=repr)


def make_space(default: Space, given: Space | Mapping[str, Any] | None, fixed: Mapping[str, Any]) -> Space:
    """Return the space that is searched.

    Args:
        default: The recipe's own.
        given: None for the default; another function; or single entries by the name of an argument of `train`, each a
            list of values, a pair (low, high) of numbers, one of KerasTuner's hyperparameter objects, a function of
            `hp`, or a single value.
        fixed: Arguments that are the same in all trials.

    Raises:
        InputError: For an entry that is none of these.

    Example:
        >>> space = make_space(image_classification.space, {"dropout": (0.0, 0.6), "batch_size": [32, 64]}, {})
    """
    if given is not None and not callable(given) and not isinstance(given, Mapping):
        raise InputError(
            "space",
            received=repr(given),
            expected="a function of hp that returns keyword arguments of train, or a mapping of single entries",
            mend='Pass for example space={"dropout": (0.0, 0.6), "batch_size": [32, 64]}.',
        )
    entries = dict(given) if isinstance(given, Mapping) else {}
    both = sorted(set(entries) & set(fixed))
    if both:
        raise InputError(
            "space",
            received=f"{both[0]}, which is also given as an argument",
            expected="each argument searched or fixed",
            mend=f"Leave {both[0]} out of one of the two.",
        )
    whole = given if callable(given) else default

    def space(hp: Any) -> dict[str, Any]:
        # What is registered first under a name is what the default gets back for it.
        chosen = {name: _choose(hp, name, entry) for name, entry in entries.items()}
        for name, value in fixed.items():
            if isinstance(value, (bool, int, float, str)):
                hp.Fixed(name, value)
        keywords = whole(hp)
        if not isinstance(keywords, Mapping):
            raise InputError(
                "space",
                received=f"a function that returned {keywords!r}",
                expected="a mapping: keyword arguments of train",
                mend='Return for example {"dropout": hp.Float("dropout", 0.0, 0.5)}.',
            )
        return {**keywords, **chosen, **fixed}

    return space


def _choose(hp: Any, name: str, entry: Any) -> Any:
    if callable(entry) and not hasattr(entry, "random_sample"):
        return entry(hp)
    if hasattr(entry, "random_sample"):  # one of KerasTuner's objects
        return hp._retrieve(type(entry).from_config({**entry.get_config(), "name": name}))
    if isinstance(entry, list):
        return _choose_from(hp, name, entry)
    if isinstance(entry, tuple):
        return _choose_between(hp, name, entry)
    if isinstance(entry, (bool, int, float, str)):
        return hp.Fixed(name, entry)
    if entry is None:
        return None
    raise _refused(name, entry)


def _choose_from(hp: Any, name: str, values: list[Any]) -> Any:
    kinds = {type(value) for value in values}
    if not values:
        raise _refused(name, values)
    if len(kinds) == 1 and kinds <= {bool, int, float, str}:
        return hp.Choice(name, values)
    # Lists of layers, None and the like: KerasTuner chooses among their names.
    names = [repr(value) for value in values]
    return values[names.index(hp.Choice(name, names))]


def _choose_between(hp: Any, name: str, ends: tuple[Any, ...]) -> Any:
    if len(ends) != 2 or not all(isinstance(end, numbers.Real) and not isinstance(end, bool) for end in ends):
        raise _refused(name, ends)
    low, high = ends
    if not low < high:
        raise _refused(name, ends)
    sampling = "log" if low > 0 and high / low >= WIDE else "linear"
    if all(isinstance(end, numbers.Integral) for end in ends):
        return hp.Int(name, int(low), int(high), sampling=sampling)
    return hp.Float(name, float(low), float(high), sampling=sampling)


def _refused(name: str, entry: Any) -> InputError:
    return InputError(
        f"space[{name!r}]",
        received=repr(entry),
        expected="a list of values, a pair (low, high), a KerasTuner hyperparameter, a function of hp, or a value",
        mend=f'Try space={{"{name}": (low, high)}}, with low below high, or [one, another].',
    )


def discover(space: Space) -> keras_tuner.HyperParameters:
    """Return every hyperparameter of a space, also those that only some values of others bring in.

    Left to the trials, as KerasTuner does it, the first trials would have these at their defaults.
    """
    import keras_tuner

    known = keras_tuner.HyperParameters()
    space(known)
    for seed in range(DISCOVERIES):
        values = {hp.name: hp.random_sample(seed * 1000 + index) for index, hp in enumerate(known.space)}
        asked = keras_tuner.HyperParameters()
        asked.values = values
        space(asked)
        known.merge([hp for hp in asked.space if not known._exists(hp.name, hp.conditions)])
    return known


def point(space: Space, values: Mapping[str, Any]) -> Point:
    """Return the point of a space at `values`; what it asks for and is not among them takes its default."""
    import keras_tuner

    asked = keras_tuner.HyperParameters()
    asked.values = dict(values)
    keywords = space(asked)
    names = dict.fromkeys(hp.name for hp in asked.space if asked.is_active(hp) and type(hp).__name__ != "Fixed")
    return Point({name: asked.values[name] for name in names}, dict(keywords))


def log_names(hyperparameters: keras_tuner.HyperParameters) -> frozenset[str]:
    """Return the names of what is sampled evenly in its logarithm."""
    return frozenset(hp.name for hp in hyperparameters.space if getattr(hp, "sampling", None) in ("log", "reverse_log"))


def describe(hyperparameters: keras_tuner.HyperParameters) -> dict[str, Any]:
    """Return the space as JSON can hold it, each hyperparameter by its name."""
    return {
        hp.name: {
            "kind": type(hp).__name__,
            **jsonable({k: v for k, v in hp.get_config().items() if k != "conditions"}),
        }
        for hp in hyperparameters.space
    }
