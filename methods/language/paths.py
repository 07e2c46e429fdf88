"""Feature maps of a vision transformer and their names.

block5                 tokens after block 5 (from 0), as a map (B, width, grid, grid)
block5.projected       the same after the last layer norm and the projection: (B, dim, grid, grid)
vv5-23                 tokens after block 23 of the value-to-value stream that branches off before block 5
vv5-23.projected       the same after the last layer norm and the projection
class23                the class token after block 23: (B, width, 1, 1)
windows2               class embeddings of all 2 x 2 windows of patches: (B, dim, grid - 1, grid - 1)

Names that fit a tower of any depth:

blocklast, classlast   after the last block
block3/4               after the first three quarters of the blocks
vvlast19               the value-to-value stream over the last 19 blocks; all but the first if there are fewer
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from ltbench.methods.errors import BadParameter
from ltbench.methods.language.encoder import VisionTransformer

_NAME = re.compile(r"(?:(block|class)(\d+)|vv(\d+)-(\d+)|windows(\d+))(\.projected)?")
_RELATIVE = re.compile(r"(block|class|vv)(?:last(\d*)|(\d+)/(\d+))(\.projected)?")
_WINDOWS_AT_ONCE = 512


@dataclass(frozen=True)
class Wanted:
    """Parsed name of a layer."""

    kind: str
    """"block", "class", "vv" or "windows"."""
    last: int
    """Block whose output is read; for "windows", the side of a window."""
    first: int = 0
    """Block before which the value-to-value stream branches off."""
    projected: bool = False


@torch.inference_mode()
def layer_maps(
    tower: VisionTransformer, pixels: torch.Tensor, layers: Sequence[str]
) -> dict[str, torch.Tensor]:
    """Compute the named maps of pixels uint8 (B, 3, H, W), and "pooled", the image embedding (B, dim).

    The image embedding is the projected class token after the last block. Raises BadParameter for an unknown
    layer.
    """
    wanted = {name: parsed(name, tower) for name in layers}
    start = tower.embed(pixels)
    streams = tuple(sorted({entry.first for entry in wanted.values() if entry.kind == "vv"}))
    plain, by_values = walk(tower, start, streams)
    maps = {}
    for name, entry in wanted.items():
        if entry.kind == "windows":
            maps[name] = window_embeddings(tower, start, entry.last)
        else:
            tokens = by_values[entry.first, entry.last] if entry.kind == "vv" else plain[entry.last]
            tokens = tokens[:, :1] if entry.kind == "class" else tokens[:, 1:]
            maps[name] = as_map(tower.project(tokens) if entry.projected else tokens)
    maps["pooled"] = tower.project(plain[-1][:, 0])
    return maps


def parsed(name: str, tower: VisionTransformer) -> Wanted:
    """Parse a layer's name; raises BadParameter if this tower has no such layer."""
    match = _NAME.fullmatch(absolute(name, tower.depth))
    if match is not None:
        projected = match[6] is not None
        if match[5] and 1 <= int(match[5]) <= tower.grid and not projected:
            return Wanted("windows", int(match[5]))
        if match[1] and int(match[2]) < tower.depth:
            return Wanted(match[1], int(match[2]), projected=projected)
        if match[3] and 0 < int(match[3]) <= int(match[4]) < tower.depth:
            return Wanted("vv", int(match[4]), int(match[3]), projected)
    raise BadParameter(
        f"the encoder has no layer '{name}': expected block0 to block{tower.depth - 1}, class0 to "
        f"class{tower.depth - 1}, vvFIRST-LAST with 0 < FIRST <= LAST < {tower.depth}, each with .projected "
        f"if wanted, windows1 to windows{tower.grid}, or blocklast, block3/4, vvlast19"
    )


def absolute(name: str, depth: int) -> str:
    """Resolve a name relative to the depth; other names are returned unchanged.

    >>> absolute("blocklast", 12), absolute("block3/4", 12), absolute("block5", 12)
    ('block11', 'block8', 'block5')
    """
    match = _RELATIVE.fullmatch(name)
    if match is None:
        return name
    kind, last, numerator, denominator, projected = match.groups(default="")
    if kind == "vv" and last and int(last) > 0:
        return f"vv{max(1, depth - int(last))}-{depth - 1}{projected}"
    if kind != "vv" and not last and (not denominator or 0 < int(numerator) <= int(denominator)):
        blocks = depth * int(numerator) // int(denominator) if denominator else depth
        return f"{kind}{max(blocks, 1) - 1}{projected}"
    return name


def walk(
    tower: VisionTransformer, start: torch.Tensor, streams: Sequence[int] = ()
) -> tuple[list[torch.Tensor], dict[tuple[int, int], torch.Tensor]]:
    """Run tokens through all blocks, along the plain path and along value-to-value streams.

    A value-to-value stream (AnomalyCLIP, Zhou et al., ICLR 2024, section 3.3) starts as a copy of the tokens
    before block `first`. Each block adds its value-to-value attention, computed from the plain tokens; there
    is no feed-forward network.

    Args:
        tower: Parts of the transformer.
        start: (B, N, width) embedded tokens.
        streams: First block of each value-to-value stream.

    Returns:
        Tokens after every block, and the tokens of each stream by (first block, block).
    """
    plain: list[torch.Tensor] = []
    by_values: dict[tuple[int, int], torch.Tensor] = {}
    tokens = start
    running: dict[int, torch.Tensor] = {}
    for index in range(tower.depth):
        if streams and index >= min(streams):
            attended = tower.value_attention(index, tokens)
            for first in streams:
                if index >= first:
                    running[first] = running.get(first, tokens) + attended
                    by_values[first, index] = running[first]
        tokens = tower.block(index, tokens)
        plain.append(tokens)
    return plain, by_values


def window_embeddings(tower: VisionTransformer, start: torch.Tensor, side: int) -> torch.Tensor:
    """Embed every `side` x `side` window of patches (WinCLIP, Jeong et al., CVPR 2023, section 4.2).

    Only the class token and the window's tokens pass through the blocks.

    Args:
        tower: Parts of the transformer.
        start: (B, 1 + grid * grid, width) embedded tokens.
        side: Side of a window in patches.

    Returns:
        Projected class tokens (B, dim, grid - side + 1, grid - side + 1).
    """
    windows = window_positions(tower.grid, side).to(start.device)
    rows = []
    for image in start:
        sequences = torch.cat([image[:1].expand(len(windows), 1, -1), image[1:][windows]], dim=1)
        parts = []
        for tokens in sequences.split(_WINDOWS_AT_ONCE):
            hidden = tokens
            for index in range(tower.depth):
                hidden = tower.block(index, hidden)
            parts.append(tower.project(hidden[:, 0]))
        rows.append(torch.cat(parts))
    count = tower.grid - side + 1
    return torch.stack(rows).transpose(1, 2).reshape(len(start), -1, count, count)


def window_positions(grid: int, side: int) -> torch.Tensor:
    """Patch numbers of every `side` x `side` window, int64 (windows, side * side), in row-major order."""
    numbers = torch.arange(grid * grid).view(1, 1, grid, grid).to(torch.float32)
    return functional.unfold(numbers, side)[0].T.to(torch.int64)


def as_map(tokens: torch.Tensor) -> torch.Tensor:
    """Reshape the tokens (B, h * w, C) of a square grid to a map (B, C, h, w)."""
    side = round(tokens.shape[1] ** 0.5)
    return tokens.transpose(1, 2).reshape(len(tokens), -1, side, side).contiguous()


def attention_among_values(values: torch.Tensor, heads: int) -> torch.Tensor:
    """Value-to-value attention softmax(v vᵀ / sqrt(d)) v per head, before the output projection.

    Args:
        values: (B, N, width) values of all heads.
        heads: Number of heads.

    Returns:
        (B, N, width).
    """
    batch, count, width = values.shape
    split = values.view(batch, count, heads, width // heads).transpose(1, 2)
    mixed = functional.scaled_dot_product_attention(split, split, split)
    return mixed.transpose(1, 2).reshape(batch, count, width)


class TransformerImages:
    """Image tower of a vision transformer, with the layer names of this module."""

    def __init__(self, tower: VisionTransformer, layers: tuple[str, ...] = ()) -> None:
        """Wrap a tower; default `layers` are the tokens at one half and three quarters of the depth."""
        self._tower = tower
        middle = (f"block{max(tower.depth // 2 - 1, 0)}", f"block{max(tower.depth * 3 // 4 - 1, 0)}")
        self.layers = layers or tuple(dict.fromkeys(middle))

    def __call__(self, pixels: torch.Tensor, layers: Sequence[str]) -> dict[str, torch.Tensor]:
        return layer_maps(self._tower, pixels, layers)
