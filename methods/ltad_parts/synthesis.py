"""Phase 1: a variational decoder that makes normal features of a class around those of a real image."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

STEPS = 2
"""Doublings of the resolution, from a quarter of the grid to the grid."""


class Decoder(nn.Module):
    """D(z^, t_c): feature maps of all layers from a code and a text, on the grid of the tokens.

    A linear layer gives the coarsest map; each step doubles the resolution (nearest), convolves 3 x 3,
    normalises by groups; a 1 x 1 convolution per layer ends it. The paper says that D mirrors E and no more.
    """

    def __init__(self, inputs: int, channels: tuple[int, ...], grid: int, width: int) -> None:
        super().__init__()
        self._sizes = [-(-grid // 2**step) for step in range(STEPS, -1, -1)]
        self._start = (width, self._sizes[0], self._sizes[0])
        self.into = nn.Linear(inputs, width * self._sizes[0] ** 2)
        self.steps = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1), nn.GroupNorm(_groups(width), width), nn.GELU()
            )
            for _ in range(STEPS)
        )
        self.heads = nn.ModuleList(nn.Conv2d(width, count, 1) for count in channels)

    def forward(self, code: torch.Tensor) -> list[torch.Tensor]:
        """Tokens (B, grid * grid, C_l) per layer of codes (B, inputs)."""
        maps = functional.gelu(self.into(code)).unflatten(1, self._start)
        for size, step in zip(self._sizes[1:], self.steps, strict=True):
            maps = step(functional.interpolate(maps, size=(size, size), mode="nearest"))
        return [head(maps).flatten(2).transpose(1, 2) for head in self.heads]


class Synthesis(nn.Module):
    """F_mu, F_sigma and D; or, without `variational`, a plain autoencoder that knows no class."""

    def __init__(
        self,
        code: int,
        text: int,
        channels: tuple[int, ...],
        *,
        grid: int,
        width: int,
        variational: bool = True,
    ) -> None:
        """code: numbers of z = f_L; text: of t_c; channels: of each layer."""
        super().__init__()
        self.variational = variational
        self.mean = nn.Linear(code, code)
        # The logarithm of sigma^2, so that any number is a valid one.
        self.log_variance = nn.Linear(code, code)
        self.decoder = Decoder(code + (text if variational else 0), channels, grid, width)

    def encode(self, code: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """mu = F_mu(z) and log sigma^2 = F_sigma(z), (B, code) each."""
        return self.mean(code), self.log_variance(code)

    def decode(
        self, mean: torch.Tensor, log_variance: torch.Tensor, prototypes: torch.Tensor
    ) -> list[torch.Tensor]:
        """{f_l^syn} = D(z^, t_c) with z^ = mu + sigma eps, (B, T, C_l) per layer.

        prototypes: t_c of each image's class, (B, text).
        """
        if not self.variational:
            return self.decoder(mean)
        sampled = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        return self.decoder(torch.cat([sampled, prototypes], dim=1))

    def forward(self, code: torch.Tensor, prototypes: torch.Tensor) -> torch.Tensor:
        """f^syn of a real image's code: (B, T, C), all layers side by side."""
        return torch.cat(self.decode(*self.encode(code), prototypes), dim=-1)


def _groups(width: int) -> int:
    """Groups of at least eight channels."""
    return next(groups for groups in (8, 4, 2, 1) if width % (8 * groups) == 0 or groups == 1)
