"""HVQ's codebooks beside the authors', batch after batch."""

from __future__ import annotations

import torch

from ltbench.methods.layers.codebook import ClassCodebooks
from parity import inputs
from parity import uniad_family as family
from parity.case import Arrays
from parity.official import Clone
from parity.pixel_methods import arrays


def _tokens(step: int) -> torch.Tensor:
    """Tokens of two images near a few places."""
    return inputs.tensor(f"hvq codes {step % 4}", 2, 49, 8) + 0.1 * inputs.tensor(f"hvq {step}", 2, 49, 8)


def codes(steps: int, ids: tuple[int, int]) -> Arrays:
    """Two books of 32 codes after so many batches of two images, of these classes."""
    revive_below = family.suite_fields("meds-mvtec", "hvq")["revive_below"]
    books = ClassCodebooks(2, 32, 8, revive_below=revive_below).train()
    # Counts stay as they begin.
    start = inputs.tensor("hvq start", 2, 32, 8)
    books.codes.copy_(start)
    books.sums.copy_(start)
    for step in range(steps):
        _, commitment = books(_tokens(step), torch.tensor(ids))
    return arrays(commitment=commitment, sums=books.sums, counts=books.counts)


def official_codes(clone: Clone, steps: int, ids: tuple[int, int]) -> Arrays:
    """The same in the authors' loop over images."""
    module = family.load(clone, "models.HVQ_TR_switch")
    books = [module.Quantize(8, 32).train() for _ in range(2)]
    for book, start in zip(books, inputs.tensor("hvq start", 2, 32, 8), strict=True):
        book.embed.copy_(start.T)
        book.embed_avg.copy_(start.T)
    for step in range(steps):
        found = [books[i](tokens[None]) for i, tokens in zip(ids, _tokens(step), strict=True)]
    return arrays(
        commitment=torch.stack([commitment for _, commitment, _ in found]),
        sums=torch.stack([book.embed_avg.T for book in books]),
        counts=torch.stack([book.cluster_size for book in books]),
    )
