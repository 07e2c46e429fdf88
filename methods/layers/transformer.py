"""Post-norm transformer layers on tokens (B, T, C), positions added to queries and keys (UniAD, HVQ)."""

from __future__ import annotations

import copy

import torch
from torch import nn

Mask = torch.Tensor | None


class LearnedPosition(nn.Module):
    """Learned position embedding (h w, width): column and row embeddings concatenated, initially U[0, 1)."""

    def __init__(self, side: int, width: int) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.rand(side, width // 2))
        self.columns = nn.Parameter(torch.rand(side, width - width // 2))

    def forward(self) -> torch.Tensor:
        """Embed all positions of the grid: (h w, width)."""
        side = len(self.rows)
        columns = self.columns[None].expand(side, -1, -1)
        rows = self.rows[:, None].expand(-1, side, -1)
        return torch.cat([columns, rows], dim=2).flatten(0, 1)


class FeedForward(nn.Sequential):
    """Linear, ReLU, dropout, Linear."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__(nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, width))


class _Attention(nn.Module):
    """Multi-head attention with dropout, residual connection and post-norm."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(width)

    def forward(
        self, tokens: torch.Tensor, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: Mask
    ) -> torch.Tensor:
        """Update tokens (B, T, C) by attention; mask (T, T') is true for hidden keys."""
        update, _ = self.attention(query, key, value, attn_mask=mask, need_weights=False)
        return self.norm(tokens + self.dropout(update))


class EncoderLayer(nn.Module):
    """Transformer encoder layer: self-attention and feed-forward network."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.attend = _Attention(width, heads, dropout)
        self.feed = FeedForward(width, hidden, dropout)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: torch.Tensor, position: torch.Tensor, mask: Mask = None) -> torch.Tensor:
        """Transform tokens (B, T, C) at positions (T, C); mask (T, T) is true for hidden keys."""
        positioned = tokens + position
        tokens = self.attend(tokens, positioned, positioned, tokens, mask)
        return self.norm(tokens + self.dropout(self.feed(tokens)))


class DecoderLayer(nn.Module):
    """Transformer decoder layer: self-attention, cross-attention to a memory, feed-forward network."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.attend = _Attention(width, heads, dropout)
        self.recall = _Attention(width, heads, dropout)
        self.feed = FeedForward(width, hidden, dropout)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(width)

    def forward(
        self, tokens: torch.Tensor, memory: torch.Tensor, position: torch.Tensor, mask: Mask = None
    ) -> torch.Tensor:
        """Transform tokens (B, T, C) with a memory (B, T, C); mask (T, T) is true for hidden keys."""
        positioned = tokens + position
        tokens = self.attend(tokens, positioned, positioned, tokens, mask)
        tokens = self.recall(tokens, tokens + position, memory + position, memory, mask)
        return self.norm(tokens + self.dropout(self.feed(tokens)))


def copies(layer: nn.Module, count: int) -> nn.ModuleList:
    """Copy a layer `count` times with equal initial weights, as in the code of UniAD and HVQ-Trans."""
    return nn.ModuleList(copy.deepcopy(layer) for _ in range(count))


def neighbour_mask(side: int, window: int) -> torch.Tensor:
    """Attention mask (side^2, side^2), true (hidden) for keys within `window` x `window` of the query."""
    steps = torch.arange(side)
    close = (steps[:, None] - steps[None]).abs() <= window // 2
    return (close[:, None, :, None] & close[None, :, None, :]).reshape(side * side, side * side)


def xavier_init(module: nn.Module) -> None:
    """Initialise linear layers and convolutions Xavier-uniformly with bias 0; attention keeps its default."""
    if isinstance(module, nn.Linear | nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
