"""Peers of the methods' kernels: library calls, and released loops restated plainly."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

Rows = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


def one_start_loop(rows: Rows, m: int, start: int) -> Indices:
    """Greedy k-centre as TailedCore releases it: per centre a difference to all rows and its norm."""
    features = torch.from_numpy(rows)
    chosen = [start]
    nearest = torch.linalg.norm(features - features[start], dim=1)
    for _ in range(m - 1):
        chosen.append(int(torch.argmax(nearest)))
        nearest = torch.minimum(nearest, torch.linalg.norm(features - features[chosen[-1]], dim=1))
    return np.array(chosen)


def gram_loop(rows: Rows, m: int, start: int) -> Indices:
    """The same by squared lengths and inner products, as patchcore-inspection's approximate sampler does."""
    features = torch.from_numpy(rows)
    squares = (features * features).sum(1, keepdim=True)
    chosen = [start]
    nearest = _gram_distance(features, squares, start)
    for _ in range(m - 1):
        chosen.append(int(torch.argmax(nearest)))
        both = torch.cat([nearest, _gram_distance(features, squares, chosen[-1])], dim=1)
        nearest = torch.min(both, dim=1).values.reshape(-1, 1)
    return np.array(chosen)


def _gram_distance(features: torch.Tensor, squares: torch.Tensor, centre: int) -> torch.Tensor:
    inner = features.mm(features[centre : centre + 1].T)
    return (squares - 2 * inner + squares[centre]).clamp(0).sqrt()


def anomalib_kcenter(rows: Rows, m: int, start: int) -> Indices:  # noqa: ARG001 - it draws its own start
    """anomalib's KCenterGreedy, with its own sparse projection and start."""
    from anomalib.models.components import KCenterGreedy

    sampler = KCenterGreedy(torch.from_numpy(rows), sampling_ratio=m / len(rows))
    return np.array(sampler.select_coreset_idxs())


def faiss_nearest(queries: Rows, bank: Rows) -> tuple[Rows, Indices]:
    """IndexFlatL2, one neighbour."""
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatL2(bank.shape[1])
    index.add(bank)
    distance, number = index.search(queries, 1)
    return distance[:, 0], number[:, 0]


def cdist_nearest(queries: Rows, bank: Rows) -> tuple[Rows, Indices]:
    """torch.cdist and a minimum, in blocks of 1024 queries."""
    found = [
        torch.cdist(block, torch.from_numpy(bank)).min(1) for block in torch.from_numpy(queries).split(1024)
    ]
    distance = torch.cat([part.values for part in found]).square()
    return distance.numpy(), torch.cat([part.indices for part in found]).numpy()


def sklearn_lof(patches: Rows, k: int) -> npt.NDArray[np.float64]:
    """Local outlier factors by scikit-learn, one position after another, as SoftPatch and TailedCore."""
    from sklearn.neighbors import LocalOutlierFactor

    found = []
    for position in patches:
        judge = LocalOutlierFactor(n_neighbors=k, metric="l2")
        judge.fit(position)
        found.append(-judge.negative_outlier_factor_)
    return np.stack(found)


def inverse_covariances(vectors: Rows) -> Rows:
    """A mean and an inverted covariance per position, then Mahalanobis distances, as PaDiM's first code."""
    found = []
    for position in vectors.transpose(1, 0, 2).astype(np.float64):
        covariance = np.cov(position, rowvar=False) + 0.01 * np.eye(position.shape[1])
        apart = position[:16] - position.mean(axis=0)
        found.append(np.sqrt(np.einsum("ij,jk,ik->i", apart, np.linalg.inv(covariance), apart)))
    return np.stack(found, axis=1).astype(np.float32)
