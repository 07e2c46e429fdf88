"""Stub encoder `toy-vl` for tests and the demo: two small transformers with seeded random weights.

It was never trained, so it contributes no knowledge of language to a score.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ltbench.methods.errors import BadParameter
from ltbench.methods.language.encoder import NOTHING, Encoder, Tokens
from ltbench.methods.language.paths import TransformerImages, attention_among_values
from ltbench.methods.language.pixels import normalised

RECIPE = "toy-vl/1"
SEED = 20240607
DIM = 64
WIDTH, HEADS = 48, 4
IMAGE_SIZE, PATCH, IMAGE_DEPTH = 224, 16, 4
CONTEXT, VOCABULARY, TEXT_DEPTH = 32, 4096, 3
_PAD, _START, _END = 0, 1, 2
_MEAN, _STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)


class Block(nn.Module):
    """Pre-norm transformer block, as in CLIP."""

    def __init__(self) -> None:
        super().__init__()
        self.first_norm, self.second_norm = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.queries_keys_values = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.feed_forward = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, tokens: torch.Tensor, causal: bool = False) -> torch.Tensor:
        """Transform tokens (B, T, C); with `causal`, tokens attend to earlier ones only."""
        batch, count, _ = tokens.shape
        projected = self.queries_keys_values(self.first_norm(tokens))
        split = projected.view(batch, count, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(*split, is_causal=causal)
        tokens = tokens + self.out(mixed.transpose(1, 2).reshape(batch, count, WIDTH))
        return tokens + self.feed_forward(self.second_norm(tokens))

    def among_values(self, tokens: torch.Tensor) -> torch.Tensor:
        """Value-to-value attention of the block, without residual."""
        values = self.queries_keys_values(self.first_norm(tokens)).chunk(3, dim=-1)[2]
        return self.out(attention_among_values(values, HEADS))


class ToyImages(nn.Module):
    """Vision transformer with four blocks and patches of 16 pixels."""

    image_size, grid, depth, width = IMAGE_SIZE, IMAGE_SIZE // PATCH, IMAGE_DEPTH, WIDTH

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, PATCH, stride=PATCH)
        self.class_token = nn.Parameter(torch.empty(1, 1, WIDTH))
        self.positions = nn.Parameter(torch.empty(1, 1 + self.grid**2, WIDTH))
        self.blocks = nn.ModuleList(Block() for _ in range(IMAGE_DEPTH))
        self.norm = nn.LayerNorm(WIDTH)
        self.projection = nn.Linear(WIDTH, DIM, bias=False)

    def embed(self, pixels: torch.Tensor) -> torch.Tensor:
        """Embed patches behind a class token: (B, 1 + grid * grid, width)."""
        images = normalised(pixels.to(self.positions.device), IMAGE_SIZE, _MEAN, _STD)
        patches = self.patches(images).flatten(2).transpose(1, 2)
        return torch.cat([self.class_token.expand(len(images), -1, -1), patches], dim=1) + self.positions

    def block(self, index: int, tokens: torch.Tensor) -> torch.Tensor:
        """Transform tokens by one block."""
        return self.blocks[index](tokens)

    def value_attention(self, index: int, tokens: torch.Tensor) -> torch.Tensor:
        """Transform tokens by one block's attention among values."""
        return self.blocks[index].among_values(tokens)

    def project(self, tokens: torch.Tensor, *, normalise: bool = True) -> torch.Tensor:
        """Project tokens to the shared space (..., dim)."""
        return self.projection(self.norm(tokens) if normalise else tokens)


class ToyText(nn.Module):
    """Causal text transformer with three blocks over hashed words."""

    width, context, depth = WIDTH, CONTEXT, TEXT_DEPTH

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, WIDTH)
        self.positions = nn.Parameter(torch.empty(CONTEXT, WIDTH))
        self.blocks = nn.ModuleList(Block() for _ in range(TEXT_DEPTH))
        self.norm = nn.LayerNorm(WIDTH)
        self.projection = nn.Linear(WIDTH, DIM, bias=False)

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        """Tokenise texts; every word or punctuation mark is one token, numbered by its hash."""
        rows = [[_START, *map(_number, re.findall(r"[a-z0-9]+|[^\sa-z0-9]", t.lower())), _END] for t in texts]
        longest = max(map(len, rows))
        if longest > CONTEXT:
            text = texts[[len(row) for row in rows].index(longest)]
            raise BadParameter(f"the text '{text}' has {longest} tokens: 'toy-vl' takes at most {CONTEXT}")
        ids = torch.tensor([row + [_PAD] * (longest - len(row)) for row in rows])
        read = torch.tensor([len(row) - 1 for row in rows])
        device = self.positions.device
        return Tokens(ids.to(device), (ids != _PAD).to(device), read.to(device))

    @torch.no_grad()
    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """Look up token embeddings (B, N, width)."""
        return self.words(ids)

    def encode(
        self, embeddings: torch.Tensor, tokens: Tokens, overwrite: Mapping[int, torch.Tensor] = NOTHING
    ) -> torch.Tensor:
        """Encode token embeddings as text embeddings (B, dim), read at each text's last token."""
        hidden = embeddings + self.positions[: embeddings.shape[1]]
        for index, block in enumerate(self.blocks):
            if index in overwrite:
                deep = overwrite[index]
                repeated = deep.expand(len(hidden), -1, -1)
                hidden = torch.cat([hidden[:, :1], repeated, hidden[:, 1 + len(deep) :]], dim=1)
            hidden = block(hidden, causal=True)
        ends = hidden[torch.arange(len(hidden), device=hidden.device), tokens.read]
        return self.projection(self.norm(ends))

    @torch.no_grad()
    def forward(self, texts: Sequence[str]) -> torch.Tensor:
        """Embed texts: (B, dim)."""
        tokens = self.tokenize(texts)
        return self.encode(self.embed(tokens.ids), tokens)


def load(model: str, *, device: str, weights_root: Path | None) -> Encoder:
    """Build the stub encoder; raises BadParameter for any option."""
    del weights_root
    if model:
        raise BadParameter(f"encoder 'toy-vl' takes no options, got '{model}': write 'toy-vl'")
    draws = np.random.Generator(np.random.PCG64(SEED))
    images, text = _seeded(ToyImages(), draws).to(device), _seeded(ToyText(), draws).to(device)
    return Encoder(
        name="toy-vl",
        digest=hashlib.sha256(f"{RECIPE}/{SEED}".encode()).hexdigest(),
        dim=DIM,
        logit_scale=10.0,
        images=TransformerImages(images),
        text=text,
        transformer=images,
    )


def _number(word: str) -> int:
    """Token id of a word, by its CRC-32; the first three ids are special tokens."""
    return 3 + zlib.crc32(word.encode()) % (VOCABULARY - 3)


def _seeded(module: nn.Module, draws: np.random.Generator) -> nn.Module:
    """Freeze a module with weights N(0, 1 / inputs) from NumPy, whose random streams never change."""
    for name, parameter in module.named_parameters():
        shape = tuple(parameter.shape)
        if name.endswith("bias"):
            values = np.zeros(shape)
        elif "norm" in name:
            values = np.ones(shape)
        elif name in ("class_token", "positions", "words.weight"):
            values = draws.standard_normal(shape) * (0.3 if name == "positions" else 1.0)
        else:
            values = draws.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
        parameter.data = torch.from_numpy(values.astype(np.float32))
    return module.eval().requires_grad_(False)
