"""Network of HVQ-Trans: a transformer whose decoder attends to quantised codes instead of features."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn

from ltbench.methods.errors import BadParameter
from ltbench.methods.layers.codebook import ClassCodebooks
from ltbench.methods.layers.transformer import DecoderLayer, EncoderLayer, LearnedPosition, copies
from ltbench.methods.reconstruction.arrangements import Maps
from ltbench.methods.reconstruction.hosting import Rebuilt, Student

COMMITMENT = 0.25
"""Weight of the commitment losses."""


class ClassLinear(nn.Module):
    """Linear layers, one per class."""

    def __init__(self, classes: int, inputs: int, outputs: int) -> None:
        super().__init__()
        drawn = [nn.Linear(inputs, outputs) for _ in range(classes)]
        self.weight = nn.Parameter(torch.stack([layer.weight.detach() for layer in drawn]))
        self.bias = nn.Parameter(torch.stack([layer.bias.detach() for layer in drawn]))

    def forward(self, tokens: torch.Tensor, class_ids: torch.Tensor) -> torch.Tensor:
        """Apply the layer of each image's class: (B, T, inputs) -> (B, T, outputs)."""
        return torch.baddbmm(self.bias[class_ids, None], tokens, self.weight[class_ids].transpose(1, 2))


class HvqNetwork(Student):
    """Encoder, hierarchical quantisation and decoder of HVQ-Trans (Lu et al., NeurIPS 2023).

    Level 0 is the embedded feature map h0, level i the output h_i of encoder layer i. The last level is
    quantised alone to q, every other level as the concatenation [h_i; q]. The decoder starts from the codes
    of the last but one level; its layers attend to the codes of that level down to level 0.
    """

    needs_extra: ClassVar[bool] = True

    def __init__(
        self,
        channels: int,
        side: int,
        classes: int,
        *,
        width: int = 256,
        heads: int = 8,
        hidden: int = 1024,
        depth: int = 4,
        codes: int = 512,
        dropout: float = 0.1,
        revive_below: float = 0.0,
        transport: float = 0.0,
    ) -> None:
        super().__init__()
        if width % (2 * heads):
            raise BadParameter(f"width is {width} with {heads} heads: expected a multiple of twice the heads")
        self.classes, self.transport = classes, transport
        self.embed = nn.Conv2d(channels, width, 1)
        self.position = LearnedPosition(side, width)
        self.encoder = copies(EncoderLayer(width, heads, hidden, dropout), depth)
        self.decoder = copies(DecoderLayer(2 * width, heads, hidden, dropout), depth)
        self.norm = nn.LayerNorm(2 * width)
        self.back = ClassLinear(classes, 2 * width, channels)
        self.top = ClassCodebooks(classes, codes, width, revive_below=revive_below)
        self.levels = nn.ModuleList(
            ClassCodebooks(classes, codes, 2 * width, revive_below=revive_below) for _ in range(depth)
        )

    def forward(self, maps: Maps, class_ids: torch.Tensor | None) -> Rebuilt:
        """Reconstruct one map (B, C, h, w); `extra` is the weighted sum of the commitment losses."""
        if class_ids is None:
            raise BadParameter("this network needs the class id of every image: it has codes for each class")
        (features,) = maps
        position = self.position()
        tokens = self.embed(features).flatten(2).transpose(1, 2)
        levels = [tokens]
        for layer in self.encoder:
            levels.append(layer(levels[-1], position))
        coarse, commitment = self.top(levels.pop(), class_ids)
        joined = [torch.cat([level, coarse], dim=2) for level in levels]
        memories = []
        for level, book in zip(joined, self.levels, strict=True):
            codes, more = book(level, class_ids)
            memories.append(codes)
            commitment = commitment + more
        out, doubled = memories[-1], torch.cat([position, position], dim=1)
        for layer, memory in zip(self.decoder, memories[::-1], strict=True):
            out = layer(out, memory, doubled)
        rebuilt = self.back(self.norm(out), class_ids).transpose(1, 2).unflatten(2, features.shape[2:])
        cost = None
        if self.transport and not self.training:
            cost = self.levels[0].transport_cost(joined[0], class_ids)
            cost = self.transport * cost.unflatten(1, features.shape[2:])
        return Rebuilt((features,), (rebuilt,), COMMITMENT * commitment.mean(), cost)

    def distance(self, rebuilt: Rebuilt) -> torch.Tensor:
        """Euclidean distance over the channels (B, h, w)."""
        (target,), (output,) = rebuilt.targets, rebuilt.outputs
        # The square root has no gradient at 0.
        return (output.float() - target.float()).square().sum(dim=1).clamp_min(1e-12).sqrt()

    def scored(self, rebuilt: Rebuilt) -> torch.Tensor:
        """Distance plus the weighted cost of transporting the finest level to its codes, (B, h, w)."""
        distance = self.distance(rebuilt)
        return distance if rebuilt.added is None else distance + rebuilt.added

    def loss(self, rebuilt: Rebuilt, progress: float) -> torch.Tensor:
        """Mean squared error plus the commitment losses."""
        (target,), (output,) = rebuilt.targets, rebuilt.outputs
        return (output.float() - target.float()).square().mean() + rebuilt.extra
