"""Equations (1) to (8) of LTAD, in the paper's order and notation.

Shapes: B images, T patches, L - 1 layers of C_l channels, C channels in total, d dimensions of the text
space.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch.nn import functional

Pooling = Literal["max", "mean"]


def reconstruction_score(rebuilt: torch.Tensor, patches: torch.Tensor) -> torch.Tensor:
    """Equation (1): S_rec(p_i) = |Pi(p_i) - p_i|^2, (B, T) from patches (B, T, C)."""
    return (rebuilt - patches).square().sum(dim=-1)


def pooled_projection(projected: Sequence[torch.Tensor], pooling: Pooling = "max") -> torch.Tensor:
    """Equation (2): p^_i = max_l Phi_l(p_il), elementwise over the layers' projections (B, T, d)."""
    stacked = torch.stack(list(projected))
    return stacked.amax(dim=0) if pooling == "max" else stacked.mean(dim=0)


def semantic_logit(
    projected: torch.Tensor, normal: torch.Tensor, abnormal: torch.Tensor, temperature: float = 1.0
) -> torch.Tensor:
    """Logit of equation (3): (t_a,c . p^ - t_n,c . p^) / tau, (B, T).

    Args:
        projected: Patches p^ in the text space, (B, T, d).
        normal: Texts t_n,c of each image's class, (B, d).
        abnormal: Texts t_a,c of each image's class, (B, d).
        temperature: tau.
    """
    difference = (abnormal - normal)[:, :, None]
    return (projected @ difference).squeeze(-1) / temperature


def semantic_score(
    projected: torch.Tensor, normal: torch.Tensor, abnormal: torch.Tensor, temperature: float = 1.0
) -> torch.Tensor:
    """Equation (3): S_sem(p_i, c) = exp(t_a,c . p^ / tau) / (exp(t_n,c . p^ / tau) + exp(t_a,c . p^ / tau)).

    Computed as a sigmoid of `semantic_logit`, (B, T) in [0, 1].
    """
    return torch.sigmoid(semantic_logit(projected, normal, abnormal, temperature))


# (4), t_n,c = T([v^n; s_c]) and t_a,c = T([v^a; s_c]): `names.PseudoNames.classifiers`.


def anomaly_score(
    reconstruction: torch.Tensor, semantic: torch.Tensor, semantic_weight: float
) -> torch.Tensor:
    """Equation (5): S(p_i, c) = S_rec(p_i) + lambda S_sem(p_i, c)."""
    return reconstruction + semantic_weight * semantic


def divergence(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """KL(N(mu, sigma) || N(0, I)) >= 0, averaged over the P dimensions of a code: (B,).

    Each dimension contributes (mu^2 + sigma^2 - log sigma^2 - 1) / 2.
    """
    return (mean.square() + log_variance.exp() - log_variance - 1).mean(dim=-1) / 2


def synthesis_loss(
    synthetic: Sequence[torch.Tensor],
    real: Sequence[torch.Tensor],
    mean: torch.Tensor,
    log_variance: torch.Tensor,
    kl_weight: float,
) -> torch.Tensor:
    """Equation (6): 1 / (L - 1) sum_l |f_l^syn - f_l^real|^2 + beta KL, a scalar.

    The square is averaged over a layer's elements, so that wide layers do not count more. The paper prints -
    KL(N(z^ - mu, sigma) || N(0, I)). A minus would push codes away from N(0, I), and z^ - mu = sigma eps has
    no gradient on mu; KL(N(mu, sigma) || N(0, I)) is the penalty of the evidence lower bound.

    Args:
        synthetic: f_l^syn of every layer, (B, T, C_l).
        real: f_l^real of every layer, (B, T, C_l).
        mean: mu, (B, P).
        log_variance: log sigma^2, (B, P).
        kl_weight: beta.
    """
    layers = [functional.mse_loss(ours, theirs) for ours, theirs in zip(synthetic, real, strict=True)]
    return torch.stack(layers).mean() + kl_weight * divergence(mean, log_variance).mean()


def reconstruction_loss(rebuilt: torch.Tensor, normal: torch.Tensor) -> torch.Tensor:
    """Equation (7): 1 / (W_1 H_1) sum_i |Pi(p_i^a) - p_i^n|^2, averaged over the images to a scalar."""
    return reconstruction_score(rebuilt, normal).mean()


def semantic_loss(
    normal_logit: torch.Tensor, abnormal_logit: torch.Tensor, *, only_abnormal: bool = False
) -> torch.Tensor:
    """Equation (8): binary cross entropy of S_sem with y = 1 for p_i^a and y = 0 for p_i^n, a scalar.

    Args:
        normal_logit: (B, T) logits of S_sem of patches without noise.
        abnormal_logit: (B, T) logits of S_sem of the same patches with noise.
        only_abnormal: Omit the term for y = 0, as the paper prints the sum. Calling everything abnormal would
            then be optimal.
    """
    loss = functional.softplus(-abnormal_logit).mean()
    return loss if only_abnormal else loss + functional.softplus(normal_logit).mean()
