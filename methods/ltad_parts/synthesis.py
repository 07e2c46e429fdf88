"""Networks of LTAD's phase 1: a variational decoder that generates normal features of a class."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

STEPS = 2
"""Number of doublings of the resolution, from a quarter of the grid to the grid."""


class Decoder(nn.Module):
    """Decoder D(z^, t_c): feature maps of all layers on the token grid from a code and a text embedding.

    A linear layer gives the coarsest map. Each step doubles the resolution (nearest), followed by a 3 x 3
    convolution and group norm; a 1 x 1 convolution per layer follows. The paper only says that D mirrors E.
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
        """Decode codes (B, inputs) to tokens (B, grid * grid, C_l) of every layer."""
        maps = functional.gelu(self.into(code)).unflatten(1, self._start)
        for size, step in zip(self._sizes[1:], self.steps, strict=True):
            maps = step(functional.interpolate(maps, size=(size, size), mode="nearest"))
        return [head(maps).flatten(2).transpose(1, 2) for head in self.heads]


class Synthesis(nn.Module):
    """Networks F_mu, F_sigma and D; without `variational`, a plain autoencoder without class condition."""

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
        """Build the networks.

        Args:
            code: Dimensions of z = f_L.
            text: Dimensions of t_c.
            channels: Channels of each layer.
            grid: Rows and columns of the token grid.
            width: Channels inside the decoder.
            variational: Sample codes and condition the decoder on the class.
        """
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
        """Decode {f_l^syn} = D(z^, t_c) with z^ = mu + sigma eps.

        Args:
            mean: mu, (B, code).
            log_variance: log sigma^2, (B, code).
            prototypes: t_c of each image's class, (B, text).

        Returns:
            (B, T, C_l) for every layer.
        """
        if not self.variational:
            return self.decoder(mean)
        sampled = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        return self.decoder(torch.cat([sampled, prototypes], dim=1))

    def forward(self, code: torch.Tensor, prototypes: torch.Tensor) -> torch.Tensor:
        """Synthetic features f^syn (B, T, C), all layers concatenated, from codes of real images."""
        return torch.cat(self.decode(*self.encode(code), prototypes), dim=-1)


def _groups(width: int) -> int:
    """Largest number of groups, at most 8, with at least eight channels each (one group if impossible)."""
    return next(groups for groups in (8, 4, 2, 1) if width % (8 * groups) == 0 or groups == 1)
