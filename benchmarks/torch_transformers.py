"""The PyTorch side of `transformer_speed.py`: the same three models, written as a tutorial would.

One linear layer for queries, keys and values, `scaled_dot_product_attention`, normalization before each branch, AdamW.
Nothing here needs Keras or TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    """Attention and a feed-forward layer, each in a residual branch that begins with a normalization."""

    def __init__(self, features: int, heads: int, dropout: float, causal: bool):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.norm1, self.norm2 = nn.LayerNorm(features), nn.LayerNorm(features)
        self.qkv, self.proj = nn.Linear(features, 3 * features), nn.Linear(features, features)
        self.mlp = nn.Sequential(
            nn.Linear(features, 4 * features), nn.GELU(), nn.Linear(4 * features, features), nn.Dropout(dropout)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        """Return a tensor of the shape of `x`, (batch, length, features)."""
        batch, length, features = x.shape
        qkv = self.qkv(self.norm1(x)).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2], attn_mask=mask, is_causal=self.causal)
        x = x + self.dropout(self.proj(y.transpose(1, 2).reshape(batch, length, features)))
        return x + self.mlp(self.norm2(x))


class Transformer(nn.Module):
    """A text classifier, a causal language model or a vision transformer, by the sizes it is given."""

    def __init__(self, sizes: dict[str, Any]):
        super().__init__()
        self.kind, features = sizes["kind"], sizes["hidden_dim"]
        if self.kind == "vit":
            self.patches = nn.Conv2d(sizes.get("channels", 1), features, sizes["patch_size"], sizes["patch_size"])
        else:
            self.tokens = nn.Embedding(sizes["vocabulary_size"], features)
            nn.init.normal_(self.tokens.weight, std=0.02)
        self.positions = nn.Parameter(0.02 * torch.randn(sizes["length"], features))
        self.dropout = nn.Dropout(sizes["dropout"])
        arguments = features, sizes["num_heads"], sizes["dropout"], self.kind == "causal"
        self.blocks = nn.ModuleList(Block(*arguments) for _ in range(sizes["num_layers"]))
        self.norm = nn.LayerNorm(features)
        if self.kind != "causal":
            self.head = nn.Linear(features, sizes["num_classes"])

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        mask = keep = None
        if self.kind == "vit":
            x = self.patches(inputs.permute(0, 3, 1, 2).float() / 127.5 - 1).flatten(2).transpose(1, 2)
        else:
            x = self.tokens(inputs)
        if self.kind == "text":
            keep = inputs != 0
            mask = keep[:, None, None, :]
        x = self.dropout(x + self.positions)
        for block in self.blocks:
            x = block(x, mask)
        x = self.norm(x)
        if self.kind == "causal":
            return F.linear(x, self.tokens.weight)
        if keep is None:
            return self.head(x.mean(dim=1))
        weights = keep.unsqueeze(-1).to(x.dtype)
        return self.head((x * weights).sum(dim=1) / weights.sum(dim=1))


def training_step(
    sizes: dict[str, Any], inputs: np.ndarray, targets: np.ndarray, *, precision: str, compiled: bool
) -> tuple[Callable[[], Any], int]:
    """Return a function that trains one step, and the number of parameters of its model."""
    torch.manual_seed(0)
    model = Transformer(sizes).train()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    x, y = (
        torch.from_numpy(inputs).long() if sizes["kind"] != "vit" else torch.from_numpy(inputs),
        torch.from_numpy(targets),
    )
    forward = torch.compile(model) if compiled else model

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16"):
            logits = forward(x)
        loss = F.cross_entropy(logits.float().flatten(0, -2), y.flatten())
        loss.backward()
        optimizer.step()
        return loss.item()

    return step, parameters
