"""Transformer blocks of Dinomaly and INP-Former on tokens (B, T, C)."""

from __future__ import annotations

import torch
from torch import nn

from ltbench.methods.layers.attention import CosineCrossAttention, LinearAttention, SoftmaxCrossAttention

LAYER_NORM_EPS = 1e-8


class Mlp(nn.Sequential):
    """Linear, GELU, Linear with biases, and dropout before, between and after the two."""

    def __init__(self, width: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__(
            nn.Dropout(dropout),
            nn.Linear(width, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, width),
            nn.Dropout(dropout),
        )


class LinearAttentionBlock(nn.Module):
    """Pre-norm block of Dinomaly's decoder: linear attention and MLP, both with a residual connection."""

    def __init__(self, width: int, heads: int, ratio: float = 4.0) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.attention = LinearAttention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.mlp = Mlp(width, int(width * ratio))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Transform tokens (B, T, C)."""
        tokens = tokens + self.attention(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))


class PrototypeExtractor(nn.Module):
    """INP-Former's prototype extractor: learned prototypes attend to an image's tokens (one shared norm)."""

    def __init__(self, width: int, heads: int, ratio: float = 4.0) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.attention = SoftmaxCrossAttention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.mlp = Mlp(width, int(width * ratio))

    def forward(self, prototypes: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """Extract the prototypes (B, M, C) of each image from its tokens (B, T, C)."""
        prototypes = prototypes + self.attention(self.norm1(prototypes), self.norm1(tokens))
        return prototypes + self.mlp(self.norm2(prototypes))


class PrototypeDecoderBlock(nn.Module):
    """INP-Former's decoder block: without a residual around its attention, tokens consist of prototypes."""

    def __init__(self, width: int, heads: int, ratio: float = 4.0) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.attention = CosineCrossAttention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=LAYER_NORM_EPS)
        self.mlp = Mlp(width, int(width * ratio))

    def forward(self, tokens: torch.Tensor, prototypes: torch.Tensor) -> torch.Tensor:
        """Compose tokens (B, T, C) of prototypes (B, M, C)."""
        tokens = self.attention(self.norm1(tokens), self.norm1(prototypes))
        return tokens + self.mlp(self.norm2(tokens))


def narrow_init(module: nn.Module) -> None:
    """Initialise as Dinomaly and INP-Former do: linear weights N(0, 0.01) truncated at 0.03, biases 0."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.01, a=-0.03, b=0.03)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.LayerNorm):
        nn.init.ones_(module.weight)
        nn.init.zeros_(module.bias)
