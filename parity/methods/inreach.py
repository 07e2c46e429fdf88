"""InReaCh beside the code that its authors released."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import torch

from ltbench.methods.base import Context, View
from ltbench.methods.blocks.channels import NO_CHANNEL, associate, recurring
from ltbench.methods.blocks.embedding import embed
from ltbench.methods.blocks.score_maps import anomaly_maps
from ltbench.methods.features.embed import PatchEmbedder
from ltbench.methods.inreach import ALIGNED_ABOVE, InReaCh, asymmetry, with_positions
from parity import inputs
from parity.case import Arrays, Case
from parity.official import Clone, Repository

REPOSITORY = Repository("InReaCh", "https://github.com/DeclanMcIntosh/InReaCh", "a0d54ba", "none")
Rows = npt.NDArray[np.float32]

SIDE = 64
SEEDS = 10
OURS = InReaCh(seeds=SEEDS)
"""The method with as many seeds as the authors take of their one product, other fields at the defaults."""


def _load(clone: Clone) -> ModuleType:
    return clone.load("InReaCh", stubs=("cv2", "faiss", "torchsummary"))


@contextmanager
def _on_cpu(module: ModuleType) -> Iterator[None]:
    """Let the authors' code run without a GPU; distances are taken in blocks of at most 40 patches."""
    import faiss

    index = SimpleNamespace(
        GpuIndexFlatL2=lambda _resources, dim, _config: faiss.IndexFlatL2(dim),
        StandardGpuResources=lambda: None,
        GpuIndexFlatConfig=lambda: None,
    )
    with (
        mock.patch.object(module, "faiss", index),
        mock.patch.object(torch.Tensor, "cuda", lambda tensor: tensor),
        mock.patch.object(torch.cuda, "memory_reserved", return_value=32 * 40**2),
        mock.patch.object(torch.cuda, "memory_allocated", return_value=0),
    ):
        yield


def _defaults(module: ModuleType) -> dict[str, Any]:
    found = inspect.signature(module.InReaCh.__init__).parameters
    return {name: parameter.default for name, parameter in found.items()}


def _channels(clone: Clone, vectors: Rows, seeds: int, *, right_places: bool) -> Any:
    """The authors' object after it has made channels of patch vectors (N, P, D).

    right_places: exchange the two places of every match, which the release stores in swapped order.
    """
    module = _load(clone)
    defaults = _defaults(module)

    class Recorded(module.InReaCh):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            self.patches = torch.from_numpy(vectors).permute(0, 2, 1).contiguous()
            self.cpu_patches = self.patches.numpy()
            self.assoc_depth, self.masks, self.aligment_flag = seeds, None, False
            self.min_channel_length = defaults["min_channel_length"]
            self.max_channel_std = defaults["max_channel_std"]
            self.filter_size = defaults["filter_size"]
            self.joined = np.full(vectors.shape[:2], NO_CHANNEL)
            self.closest = np.full(vectors.shape[:2], np.inf)
            self.kept = np.zeros(vectors.shape[:2], bool)

        def gen_assoc(self, targets: Any, sources: Any, seed: int, image: int) -> Any:
            matches = super().gen_assoc(targets, sources, seed, image)
            # Columns: place here, place in the seed image, distance, ...; infinite without a match.
            is_match = np.isfinite(matches[:, 0])
            channel = np.where(
                is_match, seed * len(matches) + np.where(is_match, matches[:, 1], 0), NO_CHANNEL
            )
            is_closer = matches[:, 2] < self.closest[image]
            self.joined[image][is_closer] = channel[is_closer]
            self.closest[image][is_closer] = matches[is_closer, 2]
            if right_places:
                matches[:, [0, 1]] = matches[:, [1, 0]]
            return matches

        def precision_recall(self, patches: Any) -> None:
            for _, image, place in patches:
                self.kept[image, place] = True

    with _on_cpu(module):
        found = Recorded()
        found.gen_channels(quite=True)
    return found


def _moving() -> Rows:
    """Parts in another place in every image, (14, 12, 5)."""
    parts = inputs.draw("parts", 12, 5)
    order = inputs.draw("places", 14, 12).argsort(axis=1)
    return parts[order] + 0.4 * inputs.draw("noise", 14, 12, 5)


def _association(seeds: int) -> Arrays:
    return {"channel": associate(_moving(), np.arange(14), seeds)}


def _official_association(clone: Clone) -> Arrays:
    found = _channels(clone, _moving(), _defaults(_load(clone))["assoc_depth"], right_places=False)
    return {"channel": found.joined}


def _spreads() -> Rows:
    """Objects that keep their places, (30, 12, 48), whose channels spread in different ways."""
    images, places, dim = 30, 12, 48
    noise = inputs.draw("spread", images, places, dim, scale=0.02)
    # One far from all others; all equally far from their mean; equal ones.
    noise[7, 0, 20] = 60
    noise[:, 1, 18:] = np.eye(images)
    noise[:, 2] = 0
    # A few far ones among near ones, more of them from place to place.
    for place in range(3, 9):
        noise[: place**2 // 3, place] *= 60
    found = noise + 100 * np.eye(places, dim, dtype=np.float32)
    # Parts that only two, three and six images have: elsewhere stands a copy of another part.
    for place, count in ((9, 2), (10, 3), (11, 6)):
        found[count + 1 :, place] = found[count + 1 :, place - 3] + 1
    return found.astype(np.float32)


def _kept(vectors: Rows, seeds: int) -> Arrays:
    order = np.arange(len(vectors))
    joined = associate(vectors, order, seeds)
    flags = recurring(
        vectors, joined, order[:seeds],
        longer_than=OURS.longer_than, max_deviations=OURS.max_deviations, spread=OURS.spread,
    )  # fmt: skip
    return {"kept": flags}


def _blocks() -> tuple[torch.Tensor, ...]:
    """Maps of four layers, the widths of a Wide-ResNet-50."""
    sizes = ((256, 8), (512, 4), (1024, 2), (2048, 1))
    return tuple(inputs.tensor(f"layer{width}", 2, width, side, side) for width, side in sizes)


def _patch_vectors() -> Arrays:
    placed = with_positions(embed(_blocks(), kind="patchcore").numpy(), OURS.position_weight)
    return {"vectors": placed[..., :-2], "row": placed[..., -2], "column": placed[..., -1]}


def _official_patch_vectors(clone: Clone) -> Arrays:
    module = _load(clone)
    with _on_cpu(module):
        shown = iter([0, 0, 1])

        def network(_images: torch.Tensor) -> dict[str, torch.Tensor]:
            image = next(shown)
            return {f"layer{place}": layer[image : image + 1] for place, layer in enumerate(_blocks())}

        weight = _defaults(module)["pos_embed_weight"]
        descriptor = module.Feautre_Descriptor(
            model=network, image_size=(SIDE, SIDE, 3), flatten_output=False, positional_embeddings=weight
        )
        found = descriptor.generate_descriptors(np.zeros((2, SIDE, SIDE, 3)), quite=True)
    placed = found.permute(0, 2, 3, 1).numpy()
    return {"vectors": placed[..., :-2], "row": placed[..., -1], "column": placed[..., -2]}


def _poses() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Smooth pictures without a pose, and the same darker below."""
    even = inputs.images("even", 12, SIDE)
    posed = even.copy()
    posed[:, SIDE // 2 :] //= 3
    return even, posed


def _asymmetry() -> Arrays:
    context = Context(np.random.default_rng(0), View(SIDE, SIDE))
    found = np.array([asymmetry(inputs.image_set(pixels), context) for pixels in _poses()])
    return {"asymmetry": found, "aligned": found > ALIGNED_ABOVE}


def _official_asymmetry(clone: Clone) -> Arrays:
    module = _load(clone)
    threshold = _defaults(module)["pos_embed_thresh"]
    values, flags = [], []
    for pixels in _poses():
        values.append(float(module.test_for_positional_class_transpose(pixels)))
        answer = module.positional_test_and_alignment(pixels, threashold=threshold, align=False)
        flags.append(bool(answer[0]))
    return {"asymmetry": np.array(values), "aligned": np.array(flags)}


def _posed_pictures() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Training and test pictures of one product in one pose; a third of the latter has a bright spot."""
    grey = inputs.draw("grey", 26, SIDE, SIDE, 3, scale=6)
    product = _poses()[1][0].astype(np.float32)
    pixels = np.clip(product + grey, 0, 255).round().astype(np.uint8)
    pixels[24:, 20:32, 20:32] = 250
    return pixels[:20], pixels[20:]


def _context() -> Context:
    return Context(np.random.default_rng(5), View(SIDE, SIDE))


def _scores(**fields: Any) -> Arrays:
    method, context = InReaCh(backbone="desc", grid=None, **fields), _context()
    train, test = (inputs.image_set(pixels) for pixels in _posed_pictures())
    method.fit(train, context)
    answer = method.score(test, context)
    assert answer.grids is not None
    maps = anomaly_maps(answer.grids, SIDE, answer.post.sigma, answer.post.upsample)
    return {"maps": maps, "scores": answer.scores}


def _official_scores(clone: Clone) -> Arrays:
    context = _context()
    train, test = (inputs.image_set(pixels) for pixels in _posed_pictures())
    embedder = PatchEmbedder("desc", context)
    weight = _defaults(_load(clone))["pos_embed_weight"]

    def flat(vectors: Rows) -> Rows:
        return with_positions(vectors, weight).reshape(len(vectors), -1, vectors.shape[-1] + 2)

    known = flat(embedder.fit(train, title="").vectors)
    judged = flat(embedder.collect(test, title="").vectors)
    order = context.rng.permutation(len(known))
    found = _channels(clone, known[order], SEEDS, right_places=True)
    shown = torch.from_numpy(judged).permute(0, 2, 1)
    found.fd_gen = SimpleNamespace(generate_descriptors=lambda _images, **_: shown)
    maps, _ = found.predict([np.zeros((SIDE, SIDE, 3))] * len(judged), quite=True)
    return {"maps": np.stack(maps), "scores": np.array([image.max() for image in maps])}


CASES = (
    Case(
        "inreach", "patch vectors and positions", REPOSITORY, _patch_vectors, _official_patch_vectors,
    ),
    Case(
        # The authors take the mean picture in half precision.
        "inreach", "asymmetry", REPOSITORY, _asymmetry, _official_asymmetry, tolerance=1e-3,
    ),
    Case(
        "inreach", "association", REPOSITORY, lambda: _association(SEEDS), _official_association, tolerance=0,
        setting="seeds=10", default=lambda: _association(InReaCh().seeds),
    ),
    Case(
        "inreach", "kept patches", REPOSITORY, lambda: _kept(_spreads(), 1),
        lambda clone: {"kept": _channels(clone, _spreads(), 1, right_places=False).kept}, tolerance=0,
    ),
    Case(
        "inreach", "kept patches of moving objects, places put right", REPOSITORY,
        lambda: _kept(_moving(), SEEDS),
        lambda clone: {"kept": _channels(clone, _moving(), SEEDS, right_places=True).kept}, tolerance=0,
    ),
    Case(
        "inreach", "kept patches of moving objects", REPOSITORY, lambda: _kept(_moving(), SEEDS),
        lambda clone: {"kept": _channels(clone, _moving(), SEEDS, right_places=False).kept}, tolerance=0,
        declared="A patch joins the channel of the patch that it matched; the released code stores the two "
        "places of a match in swapped order, which agrees only where objects do not move.",
        is_golden=False,
    ),
    Case(
        "inreach", "map and image score", REPOSITORY, lambda: _scores(seeds=SEEDS, coreset_ratio=1.0),
        _official_scores, setting="seeds=10, coreset_ratio=1", default=_scores,
    ),
)  # fmt: skip
