"""Layer-wise learning rates: a share of the optimizer's learning rate for each layer, for Keras's own optimizers.

Here belong the optimizers that do so, one for each of Keras's that the kit names, and the function that picks one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from kerasdl.errors import InputError
from kerasdl.training.remade import remade

if TYPE_CHECKING:
    from keras.optimizers import Optimizer as Base
else:  # a base of its own would come before the optimizer's constructor
    Base = object


def layerwise(optimizer: keras.optimizers.Optimizer, shares: Mapping[str, float]) -> Any:
    """Return `optimizer` with a learning rate of its own for some layers: a share of the common one.

    Scaling gradients would not do: Adam divides the scale out again. Here the update itself and decoupled weight decay
    are made with the layer's rate, whatever schedule the common one follows.

    Args:
        optimizer: A new SGD, Adam, AdamW or RMSprop; its settings are taken over, it is not changed.
        shares: Share of the learning rate by name of the layer, at least 0; 1 for layers that are not named.

    Returns:
        A new optimizer, a subclass of Keras's with the same name.

    Raises:
        InputError: For another optimizer, one that has already trained, or shares that cannot be.

    Example:
        >>> model.compile(layerwise(keras.optimizers.AdamW(1e-3), {"stem_conv": 0.1}), loss)

    Reference: Howard and Ruder, Universal Language Model Fine-tuning, arXiv:1801.06146, section 3.2.
    """
    for layer, share in shares.items():
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share < float("inf"):
            raise InputError(
                f"the share of layer {layer!r}",
                received=repr(share),
                expected="a finite number of at least 0",
                mend="Try 0.1.",
            )
    return remade(optimizer, LAYERWISE, what="layer-wise learning rates", shares=dict(shares))


class Layerwise(Base):
    """What the layer-wise optimizers share; it stands before one of Keras's optimizers among the bases of a class.

    Args:
        *arguments: Those of the optimizer.
        shares: As in :func:`layerwise`.
        **options: Those of the optimizer.
    """

    def __init__(self, *arguments: Any, shares: Mapping[str, float] | None = None, **options: Any):
        super().__init__(*arguments, **options)
        self.shares = dict(shares or {})

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Make the optimizer's variables and note each variable's share."""
        super().build(variables)
        self._shares = tuple(float(self.shares.get(variable.path.split("/")[0], 1.0)) for variable in variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update `variable` with its own learning rate."""
        super().update_step(gradient, variable, learning_rate * self._shares[self._get_variable_index(variable)])

    def _apply_weight_decay(self, variables: Sequence[Any]) -> None:
        if self.weight_decay is None:
            return
        for variable in variables:
            if self._use_weight_decay(variable):
                share = self._shares[self._get_variable_index(variable)]
                decay = ops.cast(self.learning_rate * (self.weight_decay * share), variable.dtype)
                self.assign(variable, variable - variable * decay)

    def get_config(self) -> dict[str, Any]:
        """Return the optimizer's configuration."""
        return {**super().get_config(), "shares": self.shares}


@keras.saving.register_keras_serializable("kerasdl")
class LayerwiseSGD(Layerwise, keras.optimizers.SGD):
    """SGD with a learning rate for each layer; see :func:`layerwise`."""


@keras.saving.register_keras_serializable("kerasdl")
class LayerwiseAdam(Layerwise, keras.optimizers.Adam):
    """Adam with a learning rate for each layer; see :func:`layerwise`."""


@keras.saving.register_keras_serializable("kerasdl")
class LayerwiseAdamW(Layerwise, keras.optimizers.AdamW):
    """AdamW with a learning rate for each layer; see :func:`layerwise`."""


@keras.saving.register_keras_serializable("kerasdl")
class LayerwiseRMSprop(Layerwise, keras.optimizers.RMSprop):
    """RMSprop with a learning rate for each layer; see :func:`layerwise`."""


LAYERWISE: dict[str, Any] = {
    "SGD": LayerwiseSGD,
    "Adam": LayerwiseAdam,
    "AdamW": LayerwiseAdamW,
    "RMSprop": LayerwiseRMSprop,
}
