"""Proximal L1: the soft threshold after each update that makes weights exactly zero, for Keras's own optimizers.

Here belong the optimizers that do so, one for each of Keras's that the kit names, and the function that picks one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from kerasdl import keywords
from kerasdl.errors import InputError
from kerasdl.training.remade import remade

KERNELS = r"kernel$"

if TYPE_CHECKING:
    from keras.optimizers import Optimizer as Base
else:  # a base of its own would come before the optimizer's constructor
    Base = object


def proximal(optimizer: keras.optimizers.Optimizer, *, l1: float, kernels: str = KERNELS) -> Any:
    """Return `optimizer` with a proximal L1 penalty: weights that matter too little become exactly zero.

    An L1 penalty in the loss makes weights small, but SGD and Adam step over zero and never land on it. Here the
    penalty stays out of the loss; after each update every kernel is soft-thresholded instead:
    w <- sign(w) max(|w| - t, 0) with t = l1 * step. The step is how far a constant gradient of one moves that weight
    in one update: learning_rate / (1 - momentum) for SGD; learning_rate / (root of the second moment) for each weight
    of Adam, AdamW and RMSprop; the like for each matrix of Muon. A weight thus rests at zero as long as its gradient,
    averaged, is below `l1`, the condition for a minimum of loss + l1 * sum |w|: `l1` means with every optimizer, and
    at every learning rate, what it means as the weight of a penalty.

    Biases and normalization are not touched; decoupled weight decay, gradient clipping, accumulation (thresholds come
    with real updates only), schedules and loss scaling work as before. A moving average of the weights is zero where
    the weight itself is. The optimizer keeps no state of its own and is saved and loaded with the model.

    Args:
        optimizer: A new SGD, Adam, AdamW, RMSprop or Muon; its settings are taken over, it is not changed.
        l1: Weight of the sum of absolute kernel weights, at least 0; 0 changes nothing. The model needs no penalty of
            its own beside it.
        kernels: Regular expression found in the paths of the variables that may become zero, such as
            "dense1/kernel"; by default all whose name ends in "kernel".

    Returns:
        A new optimizer, a subclass of Keras's with the same name.

    Raises:
        InputError: For another optimizer, one that has already trained, or an `l1` or `kernels` that cannot be.

    Example:
        >>> model.compile(proximal(keras.optimizers.AdamW(1e-3), l1=1e-3), loss)

    Reference: Parikh and Boyd, Proximal algorithms, 2014, section 4.2; with the preconditioner of an adaptive
    optimizer: Yun, Lozano and Yang, arXiv:2007.07714.
    """
    keywords.check({"l1": l1})
    try:
        re.compile(kernels)
    except (re.error, TypeError) as error:
        raise InputError(
            "kernels",
            received=f"{kernels!r} ({error})",
            expected="a regular expression",
            mend=f"Leave it out, or try kernels={KERNELS!r}.",
        ) from None
    return remade(optimizer, PROXIMAL, what="proximal L1", l1=float(l1), kernels=kernels)


class Proximal(Base):
    """What the proximal optimizers share; it stands before one of Keras's optimizers among the bases of a class.

    Args:
        *arguments: Those of the optimizer.
        l1: As in :func:`proximal`.
        kernels: As in :func:`proximal`.
        **options: Those of the optimizer.
    """

    def __init__(self, *arguments: Any, l1: float = 0.0, kernels: str = KERNELS, **options: Any):
        super().__init__(*arguments, **options)
        self.l1 = l1
        self.kernels = kernels

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Make the optimizer's variables and note which of the model's may become zero."""
        super().build(variables)
        self._may_be_zero = tuple(bool(re.search(self.kernels, variable.path)) for variable in variables)

    def effective_step(self, variable: Any, learning_rate: Any) -> Any:
        """Return how far a constant gradient of one moves `variable` in one update: a number, or one a weight."""
        raise NotImplementedError

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update `variable`, then move it towards zero by the threshold, and no further than zero."""
        super().update_step(gradient, variable, learning_rate)
        if self._may_be_zero[self._get_variable_index(variable)]:
            threshold = self.l1 * self.effective_step(variable, ops.cast(learning_rate, variable.dtype))
            # Exact on both sides: w - w is zero, and w - 0 is w.
            self.assign(variable, variable - ops.clip(variable, -threshold, threshold))

    def _update_model_variables_moving_average(self, trainable_variables: Sequence[Any]) -> None:
        # An average over a weight's past is not zero until long after the weight has become so.
        super()._update_model_variables_moving_average(trainable_variables)
        for variable, average in zip(trainable_variables, self._model_variables_moving_average, strict=True):
            if self._may_be_zero[self._get_variable_index(variable)]:
                average.assign(ops.multiply(average, ops.cast(ops.not_equal(variable, 0), average.dtype)))

    def get_config(self) -> dict[str, Any]:
        """Return the optimizer's configuration."""
        return {**super().get_config(), "l1": self.l1, "kernels": self.kernels}


def _adam_step(optimizer: Any, learning_rate: Any, velocity: Any, beta_2: float) -> Any:
    steps = ops.cast(optimizer.iterations + 1, velocity.dtype)
    correction = ops.sqrt(1 - ops.power(ops.cast(beta_2, velocity.dtype), steps))
    return learning_rate * correction / (ops.sqrt(velocity) + optimizer.epsilon)


@keras.saving.register_keras_serializable("kerasdl")
class ProximalSGD(Proximal, keras.optimizers.SGD):
    """SGD, with momentum and Nesterov's, followed by a soft threshold; see :func:`proximal`."""

    def effective_step(self, variable: Any, learning_rate: Any) -> Any:
        """Return the learning rate times the gain of the momentum."""
        return learning_rate / (1 - self.momentum)


@keras.saving.register_keras_serializable("kerasdl")
class ProximalAdam(Proximal, keras.optimizers.Adam):
    """Adam followed by a soft threshold; see :func:`proximal`."""

    def effective_step(self, variable: Any, learning_rate: Any) -> Any:
        """Return the learning rate over the root of the second moment of each weight's gradient."""
        velocities = self._velocity_hats if self.amsgrad else self._velocities
        return _adam_step(self, learning_rate, velocities[self._get_variable_index(variable)], self.beta_2)


@keras.saving.register_keras_serializable("kerasdl")
class ProximalAdamW(Proximal, keras.optimizers.AdamW):
    """AdamW followed by a soft threshold; see :func:`proximal`."""

    effective_step = ProximalAdam.effective_step


@keras.saving.register_keras_serializable("kerasdl")
class ProximalRMSprop(Proximal, keras.optimizers.RMSprop):
    """RMSprop followed by a soft threshold; see :func:`proximal`."""

    def effective_step(self, variable: Any, learning_rate: Any) -> Any:
        """Return the learning rate over the root mean square of each weight's gradient."""
        index = self._get_variable_index(variable)
        power = ops.convert_to_tensor(self._velocities[index])
        if self.centered:
            power = power - ops.square(self._average_gradients[index])
        return learning_rate / ops.sqrt(power + self.epsilon) / (1 - self.momentum)


@keras.saving.register_keras_serializable("kerasdl")
class ProximalMuon(Proximal, keras.optimizers.Muon):
    """Muon followed by a soft threshold; see :func:`proximal`."""

    def effective_step(self, variable: Any, learning_rate: Any) -> Any:
        """Return one step a matrix: the size of an update over the size of the averaged gradient; else Adam's."""
        index = self._get_variable_index(variable)
        if self.adam_velocities[index] is not None:
            return _adam_step(self, learning_rate * self.adam_lr_ratio, self.adam_velocities[index], self.adam_beta_2)
        # The entries of an orthogonal n x m matrix have a root mean square of 1 / sqrt(max(n, m)), which Muon
        # multiplies by sqrt(max(n, m)) * rms_rate; its momentum is a sum of gradients, not their mean.
        size = max(variable.shape) ** -0.5 if self.rms_rate is None else self.rms_rate
        gradient = (1 - self.momentum) * ops.sqrt(ops.mean(ops.square(self.momentums[index])))
        return learning_rate * size / (gradient + self.epsilon)


PROXIMAL: dict[str, Any] = {
    "SGD": ProximalSGD,
    "Adam": ProximalAdam,
    "AdamW": ProximalAdamW,
    "RMSprop": ProximalRMSprop,
    "Muon": ProximalMuon,
}
