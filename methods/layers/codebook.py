"""Vector quantisation with one codebook per class, learned by moving average (HVQ-Trans, NeurIPS 2023)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from ltbench.methods.training.precision import in_full_precision


class ClassCodebooks(nn.Module):
    """One codebook of M codes per class; a token is replaced by the nearest code of its image's class.

    In training, a code follows the mean of the tokens assigned to it by a moving average. The decay applies
    once per image, as if the images of a batch came one after another; classes outside the batch do not
    change. Counts start at 0, so at the first image of a class the unused codes are divided by almost zero
    and move far away; they return only as their sums decay, after more than a thousand images of the class.

    Args:
        classes: Number of codebooks.
        codes: Number of codes per codebook.
        width: Dimensions of a code.
        decay: Decay of the moving average per image.
        eps: Laplace smoothing of the counts.
        revive_below: Reset a code to a random token of the batch if its moving average of tokens per image
            is below this and below half of its even share (Zeghidour et al., SoundStream, TASLP 2021, III-C);
            0 = never.
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
        """Quantise tokens (B, T, D) of images with class ids (B,).

        Returns:
            The codes (B, T, D), with a straight-through gradient, and the commitment loss (B,): the mean
            squared distance of an image's tokens to their codes.
        """
        chosen = torch.empty(tokens.shape[:2], dtype=torch.long, device=tokens.device)
        fixed = tokens.detach().float()
        for class_id in class_ids.unique().tolist():
            members = class_ids == class_id
            rows = fixed[members].flatten(0, 1)
            chosen[members] = self.nearest(rows, class_id).view(-1, tokens.shape[1])
        # Read before the update below, which must not affect this forward pass.
        quantised = self.codes[class_ids[:, None], chosen].to(tokens.dtype)
        if self.training:
            self._update_codes(fixed, chosen, class_ids)
        commitment = (tokens - quantised.detach()).square().mean(dim=(1, 2))
        return tokens + (quantised - tokens).detach(), commitment

    @in_full_precision
    def nearest(self, rows: torch.Tensor, class_id: int) -> torch.Tensor:
        """Index (R,) of the code of one class nearest to each row (R, D), by Euclidean distance."""
        codes = self.codes[class_id]
        return (codes.square().sum(dim=1) - 2 * rows @ codes.T).argmin(dim=1)

    @torch.no_grad()
    def _update_codes(self, tokens: torch.Tensor, chosen: torch.Tensor, class_ids: torch.Tensor) -> None:
        """Move the codes of the batch's classes towards the mean of the tokens assigned to them."""
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
        """Reset the rarely used codes of a class to random tokens of the batch."""
        # With more codes than tokens, even an equal share is below a fixed threshold.
        even = tokens.shape[1] / self.counts.shape[1]
        (unused,) = (self.counts[class_id] < min(self.revive_below, even / 2)).nonzero(as_tuple=True)
        rows = tokens.flatten(0, 1)
        unused = unused[: len(rows)]
        drawn = rows[torch.randperm(len(rows), device=rows.device)[: len(unused)]]
        self.codes[class_id, unused] = drawn
        self.sums[class_id, unused] = drawn
        self.counts[class_id, unused] = 1.0

    def transport_cost(self, tokens: torch.Tensor, class_ids: torch.Tensor) -> torch.Tensor:
        """Transport cost (B, T) of tokens f (B, T, D): sum_m softmax_m(f . e_m / M) (1 - cos(f, e_m))."""
        codes = self.codes[class_ids].float()
        tokens = tokens.float()
        plan = (tokens @ codes.transpose(1, 2) / codes.shape[1]).softmax(dim=2)
        unit = functional.normalize(tokens, dim=2) @ functional.normalize(codes, dim=2).transpose(1, 2)
        return (plan * (1 - unit)).sum(dim=2)
