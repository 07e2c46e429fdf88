"""Attention over tokens (B, T, C): linear, softmax cross-attention and rectified-cosine cross-attention."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from ltbench.methods.training.precision import in_full_precision


class LinearAttention(nn.Module):
    """Self-attention without a softmax, linear in the number of tokens (Katharopoulos et al., ICML 2020).

    out_i = phi(q_i) (sum_j phi(k_j)^T v_j) / (phi(q_i) . sum_j phi(k_j)) with phi(u) = elu(u) + 1. It cannot
    focus on single tokens, which keeps Dinomaly's decoder from copying its input. Sums are float32 even
    under mixed precision; `eps` in the denominator keeps the quotient finite.
    """

    def __init__(self, width: int, heads: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.heads, self.eps = heads, eps
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Attend from tokens (B, T, C) to themselves."""
        heads = (_split(part, self.heads) for part in self.qkv(tokens).chunk(3, dim=-1))
        return self.proj(_join(_linear_attention(*heads, self.eps)).to(tokens.dtype))


class _Cross(nn.Module):
    """Cross-attention: queries from one sequence, keys and values from another."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)

    def _heads(self, queries: torch.Tensor, source: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Project to queries, keys and values, each split into heads."""
        key, value = self.kv(source).chunk(2, dim=-1)
        return tuple(_split(part, self.heads) for part in (self.q(queries), key, value))


class SoftmaxCrossAttention(_Cross):
    """softmax(q k^T / sqrt(d)) v, the attention of INP-Former's prototypes to an image's tokens."""

    def forward(self, queries: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        """Attend from queries (B, T, C) to a source (B, M, C); returns (B, T, C)."""
        return self.proj(_join(functional.scaled_dot_product_attention(*self._heads(queries, source))))


class CosineCrossAttention(_Cross):
    """relu(gain_h cos(q, k)) v without softmax, by which INP-Former reconstructs tokens from prototypes.

    The weights of a token need not sum to one, so a token that resembles no prototype is reconstructed as
    almost zero.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads)
        self.gain = nn.Parameter(torch.ones(heads, 1, 1))

    def forward(self, queries: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        """Attend from queries (B, T, C) to a source (B, M, C); returns (B, T, C)."""
        query, key, value = self._heads(queries, source)
        weights = functional.relu(self.gain * _cosines(query, key))
        return self.proj(_join(weights.to(value.dtype) @ value))


def fitting_heads(width: int, wanted: int) -> int:
    """Largest number of attention heads, up to `wanted`, that divides the width.

    >>> fitting_heads(768, 12), fitting_heads(225, 12)
    (12, 9)
    """
    return next(heads for heads in range(min(wanted, width), 0, -1) if width % heads == 0)


@in_full_precision
def _linear_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, eps: float
) -> torch.Tensor:
    """Linear attention of heads (B, heads, T, d), see `LinearAttention`."""
    query, key = functional.elu(query) + 1, functional.elu(key) + 1
    summary = key.transpose(-2, -1) @ value
    norm = query @ key.sum(dim=-2).unsqueeze(-1)
    return (query @ summary) / (norm + eps)


@in_full_precision
def _cosines(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    """Cosine similarities (B, heads, T, T') of all pairs of tokens."""
    return functional.normalize(query, dim=-1) @ functional.normalize(key, dim=-1).transpose(-2, -1)


def _split(tokens: torch.Tensor, heads: int) -> torch.Tensor:
    """Split channels into heads: (B, T, C) -> (B, heads, T, C / heads)."""
    return tokens.unflatten(-1, (heads, -1)).transpose(1, 2)


def _join(parts: torch.Tensor) -> torch.Tensor:
    """Concatenate heads: (B, heads, T, C / heads) -> (B, T, C)."""
    return parts.transpose(1, 2).flatten(2)
