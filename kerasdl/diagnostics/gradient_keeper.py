"""Gradients on every backend by Keras alone: an optimizer that is given them and keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras


class Keeper(keras.optimizers.Optimizer):
    """An optimizer that keeps the gradients and changes no weight."""

    def __init__(self) -> None:
        super().__init__(learning_rate=0.0)

    def build(self, variables: Sequence[Any]) -> None:
        """Make room for a gradient of each variable."""
        if not self.built:
            super().build(variables)
            self.kept = self.add_optimizer_variables(variables, "gradient")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Keep the gradient of a variable."""
        self.assign(self.kept[self._get_variable_index(variable)], gradient)
