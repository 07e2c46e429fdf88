"""Reconstruction transformer of UniAD (You et al., NeurIPS 2022) with neighbour-masked attention."""

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
    """Decoder layer with its own learned query, which attends to the encoder, then to the layer before."""

    def __init__(self, query: torch.Tensor, *, heads: int, hidden: int, dropout: float = 0.1) -> None:
        """Build the layer with the initial query (T, width)."""
        super().__init__(query.shape[1], heads, hidden, dropout)
        self.query = nn.Parameter(query)

    def forward(
        self,
        tokens: torch.Tensor,
        memory: torch.Tensor,
        position: torch.Tensor,
        mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Decode one layer.

        Args:
            tokens: (B, T, C) output of the layer before; the encoder's output for the first layer.
            memory: (B, T, C) output of the encoder.
            position: (T, C) position embedding, added to queries and keys.
            mask: (T, T) attention mask, true = hidden.
        """
        query = self.query.expand_as(tokens)
        update = self.attend(query, query + position, memory + position, memory, mask)
        update = self.recall(update, update + position, tokens + position, tokens, mask)
        return self.norm(update + self.dropout(self.feed(update)))


class ReconstructionTransformer(nn.Module):
    """Transformer that reconstructs normal tokens (B, side * side, channels).

    A linear layer to `width`, encoder layers, as many decoder layers with learned queries, a norm and a
    linear layer back. Neighbour masking: every attention hides the keys in the `neighbours` x `neighbours`
    square around a query, so that a token cannot be copied. Positions are learned row and column embeddings.
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
        """Build the transformer.

        Args:
            channels: Channels of the tokens.
            side: Rows and columns of the token grid.
            width: Width of the transformer.
            heads: Attention heads.
            hidden: Width of the feed-forward networks.
            layers: Number of encoder layers, and of decoder layers.
            neighbours: Side of the hidden square; 0 hides nothing.
            dropout: Dropout of attention and feed-forward networks.
            query_scale: Standard deviation of the initial learned queries.

        Raises:
            BadParameter: If the hidden square covers the whole grid, or heads do not divide the width.
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
        # `xavier_init` skips queries and attention projections, so they start equal in all layers.
        self.encoder = copies(EncoderLayer(width, heads, hidden, dropout), layers)
        query = query_scale * torch.randn(side * side, width)
        self.decoder = copies(QueryDecoderLayer(query, heads=heads, hidden=hidden, dropout=dropout), layers)
        self.norm = nn.LayerNorm(width)
        self.back = nn.Linear(width, channels)
        mask = neighbour_mask(side, neighbours) if neighbours else None
        self.register_buffer("mask", mask, persistent=False)
        self.apply(xavier_init)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Reconstruct tokens (B, side * side, channels)."""
        position = self.position()
        memory = self.into(tokens)
        for encode in self.encoder:
            memory = encode(memory, position, self.mask)
        output = memory
        for decode in self.decoder:
            output = decode(output, memory, position, self.mask)
        return self.back(self.norm(output))


def feature_jitter(tokens: torch.Tensor, scale: float, probability: float = 1.0) -> torch.Tensor:
    """Add Gaussian noise to tokens p: p + eps * scale * |p| / C, eps from N(0, I) (UniAD, feature jittering).

    Args:
        tokens: (B, T, C) tokens.
        scale: Strength of the noise relative to a token's length.
        probability: Probability that the batch gets noise at all.
    """
    if probability < 1 and float(torch.rand(())) >= probability:
        return tokens
    length = tokens.norm(dim=-1, keepdim=True) / tokens.shape[-1]
    return tokens + torch.randn_like(tokens) * scale * length
