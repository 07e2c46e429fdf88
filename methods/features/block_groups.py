"""Token sequences of vision transformers: means over groups of blocks, with class and register tokens.

Layers of a `timm:` backbone that is a vision transformer: "tokens.2-5" is the mean of the outputs of blocks
2 to 5 (from 0, before any norm) with all prefix tokens, (B, C, T); "norm" is the map (B, C, h, w) of the last
block after the final norm. All requested layers must be of one kind.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ltbench.methods.errors import BadParameter
from ltbench.methods.features.positions import Positions

FINAL = "norm"
_GROUP = re.compile(r"tokens\.(\d+)(?:-(\d+))?")


def asked_for(layers: Sequence[str] | None) -> bool:
    """Whether layers are of this module's kind."""
    return any(layer == FINAL or _GROUP.fullmatch(layer) for layer in layers or ())


def blocks_of(layer: str, depth: int, name: str) -> range | None:
    """The blocks that a layer is the mean of; None for the final norm. Raises BadParameter."""
    if layer == FINAL:
        return None
    match = _GROUP.fullmatch(layer)
    blocks = range(int(match[1]), int(match[2] or match[1]) + 1) if match else range(0)
    if not len(blocks) or blocks[-1] >= depth:
        raise BadParameter(
            f"backbone '{name}' has no layer '{layer}' beside token groups: expected some of "
            f"'tokens.A-B' with blocks 0 to {depth - 1}, and 'norm'"
        )
    return blocks


def side_of(tokens: int) -> int:
    """Side of the square patch grid among so many tokens: 789 = 28 x 28 and 5 before them -> 28."""
    return math.isqrt(tokens)


def patches_only(tokens: torch.Tensor) -> torch.Tensor:
    """(B, C, T) with prefix tokens first -> (B, C, h, h)."""
    side = side_of(tokens.shape[2])
    return tokens[:, :, tokens.shape[2] - side * side :].unflatten(2, (side, side))


class TokenBackbone:
    """A vision transformer of timm, frozen, that answers with token groups."""

    def __init__(
        self,
        name: str,
        digest: str,
        model: Any,
        layers: tuple[str, ...],
        normalisation: tuple[torch.Tensor, torch.Tensor],
    ) -> None:
        """Raises BadParameter for a model that is no vision transformer, or for a layer that it has not."""
        if not hasattr(model, "blocks") or not hasattr(model, "num_prefix_tokens"):
            raise BadParameter(
                f"backbone '{name}' is no vision transformer: layers {', '.join(layers)} need one, such as "
                "'timm:vit_base_patch14_reg4_dinov2.lvd142m'"
            )
        self.name, self.digest, self.layers = name, digest, layers
        self._model, self._positions = model, Positions(model)
        self._mean, self._std = normalisation
        self._blocks: Mapping[str, range | None] = {
            layer: blocks_of(layer, len(model.blocks), name) for layer in layers
        }
        self._taps = sorted({block for blocks in self._blocks.values() for block in blocks or ()})
        self._whole = FINAL in layers

    @torch.inference_mode()
    def __call__(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Layers of uint8 (B, 3, H, W), and "pooled" (B, C): the mean of the last map there is."""
        images = (pixels.to(self._mean.device).to(torch.float32) / 255 - self._mean) / self._std
        taps, last = self._tokens(images)
        answers = {}
        for layer, blocks in self._blocks.items():
            if blocks is None:
                answers[layer] = patches_only(last.transpose(1, 2))
            else:
                mean = torch.stack([taps[block] for block in blocks]).mean(dim=0)
                answers[layer] = mean.transpose(1, 2)
        deepest = last if self._whole else taps[self._taps[-1]]
        answers["pooled"] = patches_only(deepest.transpose(1, 2)).mean(dim=(2, 3))
        return answers

    def _tokens(self, images: torch.Tensor) -> tuple[dict[int, torch.Tensor], torch.Tensor]:
        """(B, T, C) per tapped block, and after the final norm (an empty tensor if it was not requested)."""
        taps = self._taps or [len(self._model.blocks) - 1]
        self._positions.fit(*images.shape[2:])
        answer = self._model.forward_intermediates(
            images,
            indices=taps,
            return_prefix_tokens=True,
            output_fmt="NLC",
            stop_early=not self._whole,
            intermediates_only=not self._whole,
        )
        last, found = answer if self._whole else (images.new_empty(0), answer)
        joined = [torch.cat(pair[::-1], dim=1) if isinstance(pair, tuple) else pair for pair in found]
        return dict(zip(taps, joined, strict=True)), last
