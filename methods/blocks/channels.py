"""Channels of patches that recur across images: mutual nearest neighbours of the patches of seed images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from ltbench.methods.base import Progress, no_progress
from ltbench.methods.errors import BadParameter

Rows = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Spread = Literal["distances", "rms"]

NO_CHANNEL = -1
_SEEDS_AT_ONCE = 16
_ROWS_AT_ONCE = 65_536


def associate(
    vectors: Rows,
    order: Sequence[int] | Indices,
    seeds: int,
    *,
    device: str = "cpu",
    progress: Progress = no_progress,
) -> Indices:
    """Assign patches to channels of mutual nearest neighbours (InReaCh, McIntosh & Albu 2023).

    Each of the first `seeds` images of `order` opens one channel per patch: channel k P + p for patch p of
    the k-th. Every image is compared with all seeds before it in the order. A patch joins the channel of its
    nearest seed patch only if it is also the patch of its image nearest to that seed patch.

    Args:
        vectors: (N, P, D) patch features.
        order: (N,) order in which the images are visited.
        seeds: Number of seed images.
        device: Device of the distance computations.
        progress: Wrapper that reports progress over the images.

    Returns:
        int64 (N, P), the channel that each patch joins; NO_CHANNEL = none.
    """
    order = np.asarray(order, np.int64)
    opened = torch.from_numpy(vectors[order[:seeds]]).to(device)
    halves = opened.square().sum(dim=2) / 2
    patches = vectors.shape[1]
    joined = np.full(vectors.shape[:2], NO_CHANNEL, np.int64)
    ranks = range(1, len(order))
    for rank in progress(ranks, "match patches", len(ranks)):
        image = torch.from_numpy(vectors[order[rank]]).to(device)
        half = image.square().sum(dim=1) / 2
        best = torch.full((patches,), torch.inf, device=device)
        channel = torch.full((patches,), NO_CHANNEL, dtype=torch.int64, device=device)
        before = min(rank, seeds)
        for low in range(0, before, _SEEDS_AT_ONCE):
            part = slice(low, min(low + _SEEDS_AT_ONCE, before))
            # Half the squared distances, (seeds, patches of the seed, patches of the image).
            distance = halves[part, :, None] + half - opened[part] @ image.T
            nearest, seed_patch = distance.min(dim=1)
            image_patch = distance.argmin(dim=2)
            is_mutual = image_patch.gather(1, seed_patch) == torch.arange(patches, device=device)
            closest, seed = nearest.min(dim=0)
            own = torch.arange(patches, device=device)
            candidate = (seed + low) * patches + seed_patch[seed, own]
            candidate = torch.where(is_mutual[seed, own], candidate, NO_CHANNEL)
            channel = torch.where(closest < best, candidate, channel)
            best = torch.minimum(closest, best)
        joined[order[rank]] = channel.cpu().numpy()
    return joined


def recurring(
    vectors: Rows,
    joined: Indices,
    origins: Sequence[int] | Indices,
    *,
    longer_than: int = 3,
    max_deviations: float = 5.0,
    spread: Spread = "distances",
) -> Flags:
    """Flag the patches that lie in a long and tight channel.

    A channel, its opening patch included, must have more than `longer_than` patches. Patches farther from
    its mean than `max_deviations` times its spread are removed, and it must still be long enough afterwards.

    Args:
        vectors: (N, P, D) patch features.
        joined: (N, P) channel of each patch, from `associate`.
        origins: Seed images, in order.
        longer_than: Number of patches that a channel must exceed.
        max_deviations: Largest distance to the channel's mean, in units of its spread.
        spread: "distances" = standard deviation of the distances to the mean, as in the authors' code, which
            removes all patches where all are equally far; "rms" = root mean square of these distances, which
            no distance in a channel of n patches exceeds by more than a factor of sqrt(n - 1).

    Returns:
        bool (N, P).

    Raises:
        BadParameter: For an unknown spread.
    """
    if spread not in ("distances", "rms"):
        raise BadParameter(f"spread is '{spread}': expected 'distances' or 'rms'")
    images, patches, dim = vectors.shape
    flat = vectors.reshape(-1, dim)
    member = np.flatnonzero(joined.ravel() != NO_CHANNEL)
    opening = (np.asarray(origins, np.int64)[:, None] * patches + np.arange(patches)).ravel()
    row = np.concatenate([opening, member])
    channel = np.concatenate([np.arange(len(opening)), joined.ravel()[member]])

    def lengths() -> Indices:
        return np.bincount(channel, minlength=len(opening))

    def means(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.bincount(channel, values, minlength=len(opening)) / np.maximum(lengths(), 1)

    is_long = lengths()[channel] > longer_than
    row, channel = row[is_long], channel[is_long]
    distance = _distances_to_mean(flat, row, channel, lengths())
    if spread == "distances":
        deviation = np.sqrt(means((distance - means(distance)[channel]) ** 2))
        is_near = distance < max_deviations * deviation[channel]
    else:
        # Equal patches have no spread and stay together.
        is_near = distance <= max_deviations * np.sqrt(means(distance**2))[channel]
    row, channel = row[is_near], channel[is_near]
    flags = np.zeros(images * patches, np.bool_)
    flags[row[lengths()[channel] > longer_than]] = True
    return flags.reshape(images, patches)


def _distances_to_mean(
    flat: Rows, row: Indices, channel: Indices, lengths: Indices
) -> npt.NDArray[np.float64]:
    """Distance of each member patch to the mean of its channel, computed in parts to limit memory."""
    sums = torch.zeros(len(lengths), flat.shape[1], dtype=torch.float32)
    parts = [slice(low, low + _ROWS_AT_ONCE) for low in range(0, len(row), _ROWS_AT_ONCE)]
    for part in parts:
        sums.index_add_(0, torch.from_numpy(channel[part]), torch.from_numpy(flat[row[part]]))
    means = sums.numpy() / np.maximum(lengths, 1)[:, None].astype(np.float32)
    distance = np.empty(len(row))
    for part in parts:
        difference = (flat[row[part]] - means[channel[part]]).astype(np.float64)
        distance[part] = np.sqrt(np.einsum("ij,ij->i", difference, difference))
    return distance
