"""The PyTorch side of `convnets.py`: the same three networks, and the training loop of PyTorch's tutorial.

Nothing here needs Keras or TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn


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


def train(name: str, images: np.ndarray, targets: np.ndarray, *, batch: int, done: Callable[[], Any]) -> int:
    """Train a network for one pass, call `done` after each step, and return its number of parameters."""
    torch.manual_seed(0)
    model = {"cnn": cnn, "resnet9": resnet9, "resnet18": resnet18}[name]().train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    criterion = nn.CrossEntropyLoss()
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
    data = torch.utils.data.TensorDataset(pixels, torch.from_numpy(targets))
    for inputs, labels in torch.utils.data.DataLoader(data, batch, shuffle=True, drop_last=True):
        optimizer.zero_grad()
        criterion(model(inputs.float() / 127.5 - 1), labels).backward()
        optimizer.step()
        done()
    return sum(parameter.numel() for parameter in model.parameters())
