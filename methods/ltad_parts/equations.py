"""Equations (1) to (8) of LTAD, in the paper's order and notation.

Shapes: B images, T patches, L - 1 layers of C_l channels, C in all, d numbers in the space of the texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch.nn import functional

Pooling = Literal["max", "mean"]


def reconstruction_score(rebuilt: torch.Tensor, patches: torch.Tensor) -> torch.Tensor:
    """(1): S_rec(p_i) = |Pi(p_i) - p_i|^2 of (B, T, C): (B, T)."""
    return (rebuilt - patches).square().sum(dim=-1)


def pooled_projection(projected: Sequence[torch.Tensor], pooling: Pooling = "max") -> torch.Tensor:
    """(2): p^_i = max_l Phi_l(p_il), number by number over the layers' projections (B, T, d): (B, T, d)."""
    stacked = torch.stack(list(projected))
    return stacked.amax(dim=0) if pooling == "max" else stacked.mean(dim=0)


def semantic_logit(
    projected: torch.Tensor, normal: torch.Tensor, abnormal: torch.Tensor, temperature: float = 1.0
) -> torch.Tensor:
    """The logit of (3): (t_a,c . p^ - t_n,c . p^) / tau, (B, T).

    projected: (B, T, d). normal, abnormal: (B, d), the texts t_n,c and t_a,c of each image's class.
    """
    difference = (abnormal - normal)[:, :, None]
    return (projected @ difference).squeeze(-1) / temperature


def semantic_score(
    projected: torch.Tensor, normal: torch.Tensor, abnormal: torch.Tensor, temperature: float = 1.0
) -> torch.Tensor:
    """(3): S_sem(p_i, c) = exp(t_a,c . p^ / tau) / (exp(t_n,c . p^ / tau) + exp(t_a,c . p^ / tau)).

    (B, T) in [0, 1]: a softmax of two is a sigmoid of the difference.
    """
    return torch.sigmoid(semantic_logit(projected, normal, abnormal, temperature))


# (4), t_n,c = T([v^n; s_c]) and t_a,c = T([v^a; s_c]): `names.PseudoNames.classifiers`.


def anomaly_score(
    reconstruction: torch.Tensor, semantic: torch.Tensor, semantic_weight: float
) -> torch.Tensor:
    """(5): S(p_i, c) = S_rec(p_i) + lambda S_sem(p_i, c)."""
    return reconstruction + semantic_weight * semantic


def divergence(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """KL(N(mu, sigma) || N(0, I)) >= 0, mean over the P numbers of a code: (B,).

    For each number (mu^2 + sigma^2 - log sigma^2 - 1) / 2.
    """
    return (mean.square() + log_variance.exp() - log_variance - 1).mean(dim=-1) / 2


def synthesis_loss(
    synthetic: Sequence[torch.Tensor],
    real: Sequence[torch.Tensor],
    mean: torch.Tensor,
    log_variance: torch.Tensor,
    kl_weight: float,
) -> torch.Tensor:
    """(6): 1 / (L - 1) sum_l |f_l^syn - f_l^real|^2 + beta KL, a scalar.

    The square is averaged over a layer's numbers, so that no layer counts more for being wider. The paper
    prints - KL(N(z^ - mu, sigma) || N(0, I)). A minus would push codes away from N(0, I), and z^ - mu =
    sigma eps has no gradient on mu; KL(N(mu, sigma) || N(0, I)) is the penalty of the bound.
    """
    layers = [functional.mse_loss(ours, theirs) for ours, theirs in zip(synthetic, real, strict=True)]
    return torch.stack(layers).mean() + kl_weight * divergence(mean, log_variance).mean()


def reconstruction_loss(rebuilt: torch.Tensor, normal: torch.Tensor) -> torch.Tensor:
    """(7): 1 / (W_1 H_1) sum_i |Pi(p_i^a) - p_i^n|^2, mean over the images: a scalar."""
    return reconstruction_score(rebuilt, normal).mean()


def semantic_loss(
    normal_logit: torch.Tensor, abnormal_logit: torch.Tensor, *, only_abnormal: bool = False
) -> torch.Tensor:
    """(8): binary cross entropy of S_sem with y = 1 for p_i^a and y = 0 for p_i^n: a scalar.

    normal_logit, abnormal_logit: (B, T) logits of S_sem of the same patches without and with noise. The
    printed sum has no term for y = 0 (`only_abnormal`); "everything is abnormal" would then be optimal.
    """
    loss = functional.softplus(-abnormal_logit).mean()
    return loss if only_abnormal else loss + functional.softplus(normal_logit).mean()
