"""UniAD's reconstruction transformer (You et al., NeurIPS 2022): tokens rebuilt without looking nearby."""

from __future__ import annotations

import torch
from torch import nn

from ltbench.methods.errors import BadParameter
from ltbench.methods.layers.transformer import (
    DecoderLayer,
    EncoderLayer,
    LearnedPosition,
    copies,
    neighbour_mask,
    xavier_init,
)


class QueryDecoderLayer(DecoderLayer):
    """A decoder layer with a learned query of its own: it asks the encoder, then the layer before it."""

    def __init__(self, query: torch.Tensor, *, heads: int, hidden: int, dropout: float = 0.1) -> None:
        """query: (T, width), at first."""
        super().__init__(query.shape[1], heads, hidden, dropout)
        self.query = nn.Parameter(query)

    def forward(
        self,
        tokens: torch.Tensor,
        memory: torch.Tensor,
        position: torch.Tensor,
        mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """tokens: what the layer before gave (of the first: the encoder's answer); memory: the encoder's."""
        query = self.query.expand_as(tokens)
        asked = self.attend(query, query + position, memory + position, memory, mask)
        asked = self.recall(asked, asked + position, tokens + position, tokens, mask)
        return self.norm(asked + self.dropout(self.feed(asked)))


class ReconstructionTransformer(nn.Module):
    """Rebuilds tokens (B, side * side, channels) as normal ones look.

    Linear to `width`, encoder layers, as many decoder layers with learned queries, norm, linear back. In
    every attention the keys in the `neighbours` x `neighbours` square around a query are hidden from it, so
    that a token cannot be copied from itself; 0 hides nothing. Position: a learned row and column, added to
    queries and keys.
    """

    def __init__(
        self,
        channels: int,
        side: int,
        *,
        width: int = 256,
        heads: int = 8,
        hidden: int = 1024,
        layers: int = 4,
        neighbours: int = 7,
        dropout: float = 0.1,
        query_scale: float = 1.0,
    ) -> None:
        """query_scale: deviation of the learned queries at first.

        Raises BadParameter where the hidden square leaves a query nothing to look at.
        """
        super().__init__()
        if neighbours and side <= 2 * (neighbours // 2) + 1:
            raise BadParameter(
                f"neighbours is {neighbours} on a grid of {side}: expected a grid of more than "
                f"{2 * (neighbours // 2) + 1}, or 0 to hide nothing"
            )
        if width % heads:
            raise BadParameter(f"width is {width} with {heads} heads: expected a multiple of the heads")
        self.into = nn.Linear(channels, width)
        self.position = LearnedPosition(side, width)
        # `xavier_init` passes over queries and projections into attention: they begin alike in all layers.
        self.encoder = copies(EncoderLayer(width, heads, hidden, dropout), layers)
        query = query_scale * torch.randn(side * side, width)
        self.decoder = copies(QueryDecoderLayer(query, heads=heads, hidden=hidden, dropout=dropout), layers)
        self.norm = nn.LayerNorm(width)
        self.back = nn.Linear(width, channels)
        mask = neighbour_mask(side, neighbours) if neighbours else None
        self.register_buffer("mask", mask, persistent=False)
        self.apply(xavier_init)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        position = self.position()
        memory = self.into(tokens)
        for encode in self.encoder:
            memory = encode(memory, position, self.mask)
        rebuilt = memory
        for decode in self.decoder:
            rebuilt = decode(rebuilt, memory, position, self.mask)
        return self.back(self.norm(rebuilt))


def feature_jitter(tokens: torch.Tensor, scale: float, probability: float = 1.0) -> torch.Tensor:
    """Pseudo-anomalies: normal noise whose length follows each token's own, on a whole batch or not at all.

    p + eps * scale * |p| / C with eps from N(0, I) and C the channels (You et al. 2022, feature jittering).
    """
    if probability < 1 and float(torch.rand(())) >= probability:
        return tokens
    length = tokens.norm(dim=-1, keepdim=True) / tokens.shape[-1]
    return tokens + torch.randn_like(tokens) * scale * length
