"""Ways through a vision transformer, and the names of the feature maps that they give.

block5                 tokens after block 5 (from 0), as a map (B, width, grid, grid)
block5.projected       the same through the last layer norm and the projection: (B, dim, grid, grid)
vv5-23                 the value-to-value stream that leaves the usual one before block 5, after block 23
vv5-23.projected
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
    """A layer's name, taken apart."""

    kind: str
    """"block", "class", "vv" or "windows"."""
    last: int
    """Block after which it is read; side of a window."""
    first: int = 0
    """Block before which the value-to-value stream begins."""
    projected: bool = False


@torch.inference_mode()
def layer_maps(
    tower: VisionTransformer, pixels: torch.Tensor, layers: Sequence[str]
) -> dict[str, torch.Tensor]:
    """The named maps of uint8 (B, 3, H, W), and "pooled": the projected class token after the last block."""
    wanted = {name: parsed(name, tower) for name in layers}
    start = tower.embed(pixels)
    streams = tuple(sorted({entry.first for entry in wanted.values() if entry.kind == "vv"}))
    usual, by_values = walk(tower, start, streams)
    answers = {}
    for name, entry in wanted.items():
        if entry.kind == "windows":
            answers[name] = window_embeddings(tower, start, entry.last)
        else:
            tokens = by_values[entry.first, entry.last] if entry.kind == "vv" else usual[entry.last]
            tokens = tokens[:, :1] if entry.kind == "class" else tokens[:, 1:]
            answers[name] = as_map(tower.project(tokens) if entry.projected else tokens)
    answers["pooled"] = tower.project(usual[-1][:, 0])
    return answers


def parsed(name: str, tower: VisionTransformer) -> Wanted:
    """Raises BadParameter for a name that means nothing in this tower."""
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
    """A name relative to the depth in block numbers ("blocklast" -> "block11"); any other as it is."""
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
    """Tokens after every block, and those of each value-to-value stream by (its first block, block).

    Such a stream begins as a copy of the usual one before block `first`; each block adds its attention with
    values in place of queries and keys, computed from the usual stream; there is no feed-forward part
    (Zhou et al., ICLR 2024, section 3.3).
    """
    usual: list[torch.Tensor] = []
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
        usual.append(tokens)
    return usual, by_values


def window_embeddings(tower: VisionTransformer, start: torch.Tensor, side: int) -> torch.Tensor:
    """Projected class tokens of every `side` x `side` window, (B, dim, grid - side + 1, grid - side + 1).

    The class token and the window's tokens alone go through all blocks (Jeong et al., CVPR 2023, 4.2).
    start: (B, 1 + grid * grid, width) as `embed` gives it.
    """
    places = window_positions(tower.grid, side).to(start.device)
    rows = []
    for image in start:
        sequences = torch.cat([image[:1].expand(len(places), 1, -1), image[1:][places]], dim=1)
        parts = []
        for tokens in sequences.split(_WINDOWS_AT_ONCE):
            passed = tokens
            for index in range(tower.depth):
                passed = tower.block(index, passed)
            parts.append(tower.project(passed[:, 0]))
        rows.append(torch.cat(parts))
    count = tower.grid - side + 1
    return torch.stack(rows).transpose(1, 2).reshape(len(start), -1, count, count)


def window_positions(grid: int, side: int) -> torch.Tensor:
    """int64 (windows, side * side): row-major patch numbers of every window, itself row-major."""
    numbers = torch.arange(grid * grid).view(1, 1, grid, grid).to(torch.float32)
    return functional.unfold(numbers, side)[0].T.to(torch.int64)


def as_map(tokens: torch.Tensor) -> torch.Tensor:
    """(B, h * w, C) with h = w -> (B, C, h, w)."""
    side = round(tokens.shape[1] ** 0.5)
    return tokens.transpose(1, 2).reshape(len(tokens), -1, side, side).contiguous()


def attention_among_values(values: torch.Tensor, heads: int) -> torch.Tensor:
    """softmax(v vᵀ / sqrt(d)) v per head, (B, N, width), before the output projection."""
    batch, count, width = values.shape
    split = values.view(batch, count, heads, width // heads).transpose(1, 2)
    mixed = functional.scaled_dot_product_attention(split, split, split)
    return mixed.transpose(1, 2).reshape(batch, count, width)


class TransformerImages:
    """The image tower of a vision transformer: maps by the names above."""

    def __init__(self, tower: VisionTransformer, layers: tuple[str, ...] = ()) -> None:
        """`layers`: the default; else the tokens at one half and three quarters of the depth."""
        self._tower = tower
        middle = (f"block{max(tower.depth // 2 - 1, 0)}", f"block{max(tower.depth * 3 // 4 - 1, 0)}")
        self.layers = layers or tuple(dict.fromkeys(middle))

    def __call__(self, pixels: torch.Tensor, layers: Sequence[str]) -> dict[str, torch.Tensor]:
        return layer_maps(self._tower, pixels, layers)
