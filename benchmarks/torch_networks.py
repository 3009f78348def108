"""The PyTorch sides of the speed benchmarks: the same networks, trained by a plain loop, by Lightning and by fastai.

Nothing here needs Keras or TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch_transformers import Transformer

# Lightning's Trainer says and writes nothing with these.
QUIET: dict[str, Any] = dict.fromkeys(
    ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
)


def convolution(inside: int, outside: int, kernel: int = 3, *, stride: int = 1, active: bool = True) -> nn.Sequential:
    """Return convolution, batch normalization, rectifier."""
    layers: list[nn.Module] = [
        nn.Conv2d(inside, outside, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outside),
    ]
    return nn.Sequential(*layers, nn.ReLU()) if active else nn.Sequential(*layers)


class Residual(nn.Module):
    """A block of ResNet-18."""

    def __init__(self, inside: int, outside: int, stride: int):
        super().__init__()
        self.branch = nn.Sequential(
            convolution(inside, outside, stride=stride), convolution(outside, outside, active=False)
        )
        same = stride == 1 and inside == outside
        self.shortcut = nn.Identity() if same else convolution(inside, outside, 1, stride=stride, active=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the activation of shortcut and branch."""
        return torch.relu(self.shortcut(x) + self.branch(x))


class Added(nn.Module):
    """Two convolutions around which the input is added."""

    def __init__(self, width: int):
        super().__init__()
        self.branch = nn.Sequential(convolution(width, width), convolution(width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return input and branch."""
        return x + self.branch(x)


class Largest(nn.Module):
    """Global max pooling and a factor of 1/8."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return features of shape (batch, channels)."""
        return x.amax(dim=(2, 3)) / 8


def cnn() -> nn.Module:
    """Return `kerasdl.models.cnn((28, 28, 1), 10)`."""
    layers: list[nn.Module] = []
    for inside, outside in ((1, 32), (32, 64), (64, 128)):
        layers += [convolution(inside, outside), nn.MaxPool2d(2)]
    hidden = nn.Dropout(0.25), nn.Linear(128 * 3 * 3, 128, bias=False), nn.BatchNorm1d(128), nn.ReLU(), nn.Dropout(0.25)
    return nn.Sequential(*layers, nn.Flatten(), *hidden, nn.Linear(128, 10))


def resnet9() -> nn.Module:
    """Return `kerasdl.models.resnet9((28, 28, 1), 10, filters=(32, 64, 128, 256))`."""
    pool = nn.MaxPool2d(2, ceil_mode=True)
    return nn.Sequential(
        *(convolution(1, 32), convolution(32, 64), pool, Added(64)),
        *(convolution(64, 128), pool, convolution(128, 256), pool, Added(256)),
        *(Largest(), nn.Linear(256, 10)),
    )


def resnet18() -> nn.Module:
    """Return `kerasdl.models.resnet18((28, 28, 1), 10)`."""
    layers: list[nn.Module] = [convolution(1, 64)]
    for inside, outside, stride in ((64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)):
        layers += [Residual(inside, outside, stride), Residual(outside, outside, 1)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


class Recurrent(nn.Module):
    """An LSTM whose end goes to the logits; of two biases, of which Keras has one, the other stays 0."""

    def __init__(self, features: int = 28, units: int = 128, classes: int = 10, *, layers: int = 1) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(features, units, layers, batch_first=True), nn.Linear(units, classes)
        for layer in range(layers):
            bias = getattr(self.lstm, f"bias_hh_l{layer}")
            nn.init.zeros_(bias)
            bias.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        return self.head(self.lstm(x)[0][:, -1])


class Pixels(nn.Module):
    """Scales images of uint8, channels first."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return values in [-1, 1]."""
        return x.float() / 127.5 - 1


def network(name: str, sizes: dict[str, Any] | None) -> nn.Module:
    """Return the network of that name, from what a loader gives to logits."""
    if sizes is not None:
        return Transformer(sizes)
    if name == "lstm":
        return Recurrent()
    return nn.Sequential(Pixels(), {"cnn": cnn, "resnet9": resnet9, "resnet18": resnet18}[name]())


def tensors(name: str, inputs: np.ndarray, targets: np.ndarray) -> torch.utils.data.TensorDataset:
    """Return examples as the network of that name takes them: images channels first, but for the transformer."""
    examples = torch.from_numpy(inputs)
    if name in ("cnn", "resnet9", "resnet18"):
        examples = examples.permute(0, 3, 1, 2)
    return torch.utils.data.TensorDataset(examples.long() if name == "text" else examples, torch.from_numpy(targets))


def train(
    name: str,
    side: str,
    inputs: np.ndarray,
    targets: np.ndarray,
    *,
    batch: int,
    sizes: dict[str, Any] | None,
    done: Callable[[], Any],
) -> int:
    """Train a network for one pass by one of the three, call `done` after each step, and return its parameters.

    Args:
        name: Of the network.
        side: "PyTorch", "Lightning" or "fastai".
        inputs: Examples as Keras has them.
        targets: Class indices.
        batch: Examples a step.
        sizes: Of a transformer.
        done: Called after each step.
    """
    torch.manual_seed(0)
    model = network(name, sizes).train()
    data = tensors(name, inputs, targets)
    {"PyTorch": by_a_loop, "Lightning": by_lightning, "fastai": by_fastai}[side](model, data, batch, done)
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def by_a_loop(model: nn.Module, data: Any, batch: int, done: Callable[[], Any]) -> None:
    """Train as PyTorch's tutorial does."""
    optimizer = adam(model)
    criterion = nn.CrossEntropyLoss()
    for inputs, labels in torch.utils.data.DataLoader(data, batch, shuffle=True, drop_last=True):
        optimizer.zero_grad()
        criterion(model(inputs), labels).backward()
        optimizer.step()
        done()


def lightning_fit(
    model: nn.Module, loader: Any, optimizers: Any, *, epochs: int, done: Callable[[], Any] = lambda: None
) -> None:
    """Train by Lightning's Trainer, which writes nothing here.

    Args:
        model: The network.
        loader: Its batches.
        optimizers: What `configure_optimizers` returns.
        epochs: Passes over the batches.
        done: Called after each step.
    """
    import lightning

    class Module(lightning.LightningModule):
        """What the Trainer trains."""

        def __init__(self) -> None:
            super().__init__()
            self.model, self.criterion = model, nn.CrossEntropyLoss()

        def training_step(self, batch: Any, index: int) -> torch.Tensor:
            """Return the loss."""
            return self.criterion(self.model(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            """Return optimizer and schedule."""
            return optimizers

    class Clock(lightning.Callback):
        """Says when a step is done."""

        def on_train_batch_end(self, *arguments: Any) -> None:
            """Say so."""
            done()

    trainer = lightning.Trainer(max_epochs=epochs, accelerator="cpu", callbacks=[Clock()], **QUIET)
    trainer.fit(Module(), loader)


def adam(model: nn.Module) -> torch.optim.Optimizer:
    """Return Adam for what is trained of a network."""
    return torch.optim.Adam((each for each in model.parameters() if each.requires_grad), lr=1e-3)


def by_lightning(model: nn.Module, data: Any, batch: int, done: Callable[[], Any]) -> None:
    """Train by Lightning's Trainer."""
    loader = torch.utils.data.DataLoader(data, batch, shuffle=True, drop_last=True)
    lightning_fit(model, loader, adam(model), epochs=1, done=done)


def by_fastai(model: nn.Module, data: Any, batch: int, done: Callable[[], Any]) -> None:
    """Train by fastai's Learner and its DataLoaders."""
    from fastai.callback import progress  # noqa: F401 - gives the Learner `no_bar`
    from fastai.callback.core import Callback
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner
    from fastai.losses import CrossEntropyLossFlat

    class Clock(Callback):
        """Says when a step is done."""

        def after_batch(self) -> None:
            """Say so, but for the few batches of validation."""
            if self.training:
                done()

    few = torch.utils.data.Subset(data, range(32))
    loaders = DataLoaders.from_dsets(data, few, bs=batch, shuffle=True, drop_last=True, num_workers=0, device="cpu")
    learner = Learner(loaders, model, loss_func=CrossEntropyLossFlat(), cbs=[Clock()])
    with learner.no_bar(), learner.no_logging():
        learner.fit(1, 1e-3)
