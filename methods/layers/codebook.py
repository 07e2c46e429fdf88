"""Vector quantisation with one codebook per class, learned by moving averages (HVQ-Trans, NeurIPS 2023)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from ltbench.methods.training.precision import in_full_precision


class ClassCodebooks(nn.Module):
    """K codebooks of M codes: a token becomes the nearest code of its image's class.

    While training, a code follows the tokens that chose it by a moving average whose decay applies once per
    image, as if the images of a batch came one after another; classes that are not in the batch stay as they
    are. Counts start at 0: at the first image of a class the codes that no token chose are divided by
    almost nothing and fly away, and come back only as their sums decay, after more than a thousand images of
    that class. `revive_below`: codes that fewer tokens per image choose than this, in the moving average, and
    than half of what an even use would give them, start anew at a token of the batch (Zeghidour et al.,
    SoundStream, TASLP 2021, III-C); 0 leaves them.
    """

    def __init__(
        self,
        classes: int,
        codes: int,
        width: int,
        *,
        decay: float = 0.99,
        eps: float = 1e-5,
        revive_below: float = 0.0,
    ) -> None:
        super().__init__()
        self.decay, self.eps, self.revive_below = decay, eps, revive_below
        start = torch.randn(classes, codes, width)
        self.register_buffer("codes", start)
        self.register_buffer("counts", torch.zeros(classes, codes))
        self.register_buffer("sums", start.clone())

    def forward(self, tokens: torch.Tensor, class_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Codes (B, T, D) for tokens (B, T, D), their gradient passed straight through; commitment (B,).

        Commitment is the mean squared distance of an image's tokens to their codes.
        """
        chosen = torch.empty(tokens.shape[:2], dtype=torch.long, device=tokens.device)
        fixed = tokens.detach().float()
        for class_id in class_ids.unique().tolist():
            members = class_ids == class_id
            rows = fixed[members].flatten(0, 1)
            chosen[members] = self.nearest(rows, class_id).view(-1, tokens.shape[1])
        # Taken before the move below: an update must not act back on this very forward pass.
        quantised = self.codes[class_ids[:, None], chosen].to(tokens.dtype)
        if self.training:
            self._follow(fixed, chosen, class_ids)
        commitment = (tokens - quantised.detach()).square().mean(dim=(1, 2))
        return tokens + (quantised - tokens).detach(), commitment

    @in_full_precision
    def nearest(self, rows: torch.Tensor, class_id: int) -> torch.Tensor:
        """Index of the code nearest to each of (R, D) rows, by Euclidean distance."""
        codes = self.codes[class_id]
        return (codes.square().sum(dim=1) - 2 * rows @ codes.T).argmin(dim=1)

    @torch.no_grad()
    def _follow(self, tokens: torch.Tensor, chosen: torch.Tensor, class_ids: torch.Tensor) -> None:
        codes = self.counts.shape[1]
        for class_id in class_ids.unique().tolist():
            members = class_ids == class_id
            images = int(members.sum())
            keep = self.decay**images
            chosen_here = chosen[members].flatten()
            counts = torch.bincount(chosen_here, minlength=codes) / images
            sums = torch.zeros_like(self.sums[class_id])
            sums.index_add_(0, chosen_here, tokens[members].flatten(0, 1))
            self.counts[class_id] = keep * self.counts[class_id] + (1 - keep) * counts
            self.sums[class_id] = keep * self.sums[class_id] + (1 - keep) * sums / images
            total = self.counts[class_id].sum()
            smoothed = (self.counts[class_id] + self.eps) / (total + codes * self.eps) * total
            self.codes[class_id] = self.sums[class_id] / smoothed[:, None]
            if self.revive_below:
                self._revive(class_id, tokens[members])

    def _revive(self, class_id: int, tokens: torch.Tensor) -> None:
        """Codes of a class that hardly any token chooses move to tokens of this batch, drawn at random."""
        # With more codes than tokens, an even use is below any fixed number.
        even = tokens.shape[1] / self.counts.shape[1]
        (idle,) = (self.counts[class_id] < min(self.revive_below, even / 2)).nonzero(as_tuple=True)
        rows = tokens.flatten(0, 1)
        idle = idle[: len(rows)]
        drawn = rows[torch.randperm(len(rows), device=rows.device)[: len(idle)]]
        self.codes[class_id, idle] = drawn
        self.sums[class_id, idle] = drawn
        self.counts[class_id, idle] = 1.0

    def transport_cost(self, tokens: torch.Tensor, class_ids: torch.Tensor) -> torch.Tensor:
        """sum_m softmax_m(f . e_m / M) (1 - cos(f, e_m)) of tokens (B, T, D) and M codes: (B, T)."""
        codes = self.codes[class_ids].float()
        tokens = tokens.float()
        plan = (tokens @ codes.transpose(1, 2) / codes.shape[1]).softmax(dim=2)
        unit = functional.normalize(tokens, dim=2) @ functional.normalize(codes, dim=2).transpose(1, 2)
        return (plan * (1 - unit)).sum(dim=2)
