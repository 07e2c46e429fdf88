"""DRAEM beside the code that its authors released."""

from __future__ import annotations

from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import nn

from ltbench.methods import draem
from ltbench.methods.draem import Draem
from ltbench.methods.layers.unets import Restorer, Segmenter
from ltbench.methods.training.structural_similarity import dissimilarity
from parity import draem_synthesis as synthesis
from parity import inputs
from parity.case import Arrays, Case
from parity.official import Clone, Repository
from parity.pixel_methods import arrays, context, image_set, on_cpu, recorded, scaled

REPOSITORY = Repository("DRAEM", "https://github.com/VitjanZ/DRAEM", "2dbf673", "MIT")
WIDTH, SIDE, PAPER_SIDE = 4, 64, 256
EPOCHS, PAPER_RATE = 10, 1e-4


def _networks() -> nn.ModuleDict:
    parts = {"restore": Restorer(WIDTH), "segment": Segmenter(WIDTH)}
    return nn.ModuleDict({name: inputs.fill(part, name) for name, part in parts.items()})


def _official_networks(clone: Clone) -> tuple[nn.Module, nn.Module]:
    module, ours = clone.load("model_unet"), _networks()
    restore = module.ReconstructiveSubNetwork(in_channels=3, out_channels=3, base_width=WIDTH)
    segment = module.DiscriminativeSubNetwork(in_channels=6, out_channels=2, base_channels=WIDTH)
    inputs.hand_over(ours["restore"], restore, _restorer_name)
    inputs.hand_over(ours["segment"], segment, _segmenter_name)
    return restore, segment


def _restorer_name(name: str) -> str:
    part, *rest = name.split(".")
    if part == "last":
        return f"decoder.fin_out.0.{rest[-1]}"
    stage, layer = int(rest[0]) + 1, int(rest[1])
    if part == "down":
        return f"encoder.block{stage}.{layer}.{rest[-1]}"
    first = f"up{stage}.{layer + 1}" if layer < 2 else f"db{stage}.{layer - 3}"
    return f"decoder.{first}.{rest[-1]}"


def _segmenter_name(name: str) -> str:
    part, *rest = name.split(".")
    if part == "last":
        return f"decoder_segment.fin_out.0.{rest[-1]}"
    if part == "down":
        return f"encoder_segment.block{int(rest[0]) + 1}.{rest[1]}.{rest[-1]}"
    stage = "b1234"[int(rest[0])]
    if part == "narrow":
        return f"decoder_segment.up{'_b' if stage == 'b' else stage}.{int(rest[1]) + 1}.{rest[-1]}"
    return f"decoder_segment.db{'_b' if stage == 'b' else stage}.{rest[1]}.{rest[-1]}"


def _method(**fields: Any) -> Draem:
    found = Draem(**fields)
    found._model = _networks().eval()
    return found


# ---- networks and losses


def _images() -> torch.Tensor:
    return scaled(image_set(inputs.images("draem", 2, SIDE)))


def forward() -> Arrays:
    restored, logits = _method()._segmented(_images())
    return arrays(restored=restored, logits=logits)


def official_forward(clone: Clone) -> Arrays:
    restore, segment = (network.eval() for network in _official_networks(clone))
    restored = restore(_images())
    return arrays(restored=restored, logits=segment(torch.cat((restored, _images()), dim=1)))


def _similar_pairs() -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    clean = torch.sigmoid(inputs.tensor("clean", 2, 3, 24, 20))
    other = (clean + inputs.tensor("noise", 2, 3, 24, 20, scale=0.1)).clamp(-0.4, 1)
    low = other.clone()
    low[0, 0, 3, 3] = -0.6
    return {"usual": (other, clean), "below": (low, clean)}


def similarity() -> Arrays:
    return _similarity_by(dissimilarity)


def official_similarity(clone: Clone) -> Arrays:
    with on_cpu():
        return _similarity_by(clone.load("loss").SSIM())


def _similarity_by(loss: Any) -> Arrays:
    found = {}
    for name, (restored, clean) in _similar_pairs().items():
        restored = restored.requires_grad_()  # noqa: PLW2901  the gradient's leaf
        value = loss(restored, clean)
        value.backward()
        found |= {name: value, f"{name} gradient": restored.grad}
    return arrays(**found)


def _triple() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    clean = _images()
    mask = torch.zeros(2, SIDE, SIDE, dtype=torch.bool)
    mask[0, 10:30, 20:50] = True
    return clean, torch.where(mask[:, None], 0.3 * clean + 0.5, clean), mask


def loss_and_gradients() -> Arrays:
    method = _method()
    method._model.train()
    loss = method._loss(*_triple())
    loss.backward()
    restore, segment = method._model["restore"], method._model["segment"]
    return arrays(
        loss=loss, first=restore.down[0][0].weight.grad, segment=segment.down[0][0].weight.grad,
        last=segment.last.bias.grad,
    )  # fmt: skip


def official_loss_and_gradients(clone: Clone) -> Arrays:
    restore, segment = _official_networks(clone)
    losses = clone.load("loss")
    clean, given, mask = _triple()
    with on_cpu():
        restored = restore(given)
        shares = torch.softmax(segment(torch.cat((restored, given), dim=1)), dim=1)
        loss = nn.MSELoss()(restored, clean) + losses.SSIM()(restored, clean)
        loss = loss + losses.FocalLoss()(shares, mask[:, None].float())
        loss.backward()
    return arrays(
        loss=loss, first=restore.encoder.block1[0].weight.grad,
        segment=segment.encoder_segment.block1[0].weight.grad,
        last=segment.decoder_segment.fin_out[0].bias.grad,
    )  # fmt: skip


# ---- training and scores


def training() -> Arrays:
    clean, given, mask = (part[:1] for part in _triple())
    images = image_set((clean * 255).round().byte().permute(0, 2, 3, 1).numpy())
    method = Draem(
        size=None,
        restorer_width=WIDTH,
        segmenter_width=WIDTH,
        epochs=EPOCHS,
        batch_size=2,
        learning_rate=PAPER_RATE,
    )

    def prepared(*_: Any) -> tuple[torch.Tensor, ...]:
        return clean[0], given[0], mask[0]

    def start(module: nn.Module) -> None:
        if isinstance(module, nn.ModuleDict):
            module.load_state_dict(_networks().state_dict())

    with (
        mock.patch.object(draem, "corrupted", prepared),
        mock.patch.object(draem, "start_small", start),
        recorded(torch.optim.Adam) as steps,
    ):
        method.fit(images, context(SIDE))
    return _as_arrays(steps)


def _as_arrays(steps: dict[str, list[float]]) -> Arrays:
    # Adam gives gradients that are mere rounding the size of all others: later losses drift apart.
    return {"loss": np.array(steps["loss"][:3], np.float32), "rate": np.array(steps["rate"], np.float32)}


def official_training(clone: Clone) -> Arrays:
    module = clone.load("train_DRAEM", stubs=("cv2", "imgaug", "imgaug.augmenters", "tensorboard_visualizer"))
    restore, segment = _official_networks(clone)
    clean, given, mask = (part[:1] for part in _triple())
    batch = {"image": clean, "augmented_image": given, "anomaly_mask": mask[:, None].float()}
    replaced = {
        "ReconstructiveSubNetwork": lambda **_: restore,
        "DiscriminativeSubNetwork": lambda **_: segment,
        "weights_init": lambda _: None,
        "MVTecDRAEMTrainDataset": lambda *_, **__: None,
        "DataLoader": lambda *_, **__: [batch],
        "print": lambda *_: None,
    }
    options = SimpleNamespace(
        lr=PAPER_RATE, epochs=EPOCHS, bs=2, visualize=False, checkpoint_path=".", log_path=".", data_path="",
        anomaly_source_path="",
    )  # fmt: skip
    with ExitStack() as stack:
        stack.enter_context(on_cpu())
        stack.enter_context(mock.patch.object(torch, "save"))
        for name, value in replaced.items():
            stack.enter_context(mock.patch.object(module, name, value, create=True))
        steps = stack.enter_context(recorded(torch.optim.Adam))
        module.train_on_device(["part"], options)
    return _as_arrays(steps)


def image_scores() -> Arrays:
    images = image_set(inputs.images("draem", 2, PAPER_SIDE))
    method = _method(size=PAPER_SIDE)
    # LTAD's pictures have 224 pixels, the networks' more.
    seen = context(224)
    method._view = seen.view.of_size(PAPER_SIDE)
    return {"scores": method.score(images, seen).scores}


def official_image_scores(clone: Clone) -> Arrays:
    module = clone.load("test_DRAEM", stubs=("cv2", "imgaug", "imgaug.augmenters"))
    restore, segment = _official_networks(clone)
    one = np.zeros((1, PAPER_SIDE, PAPER_SIDE), np.float32)
    samples = [
        {"image": image.numpy(), "mask": one, "has_anomaly": np.array([label], np.float32)}
        for label, image in enumerate(scaled(image_set(inputs.images("draem", 2, PAPER_SIDE))))
    ]
    scores = []
    replaced = {
        "ReconstructiveSubNetwork": lambda **_: restore,
        "DiscriminativeSubNetwork": lambda **_: segment,
        "MVTecDRAEMTestDataset": lambda *_, **__: samples,
        "roc_auc_score": lambda _, found: scores.append(found) or 0.0,
        "average_precision_score": lambda *_: 0.0,
        "write_results_to_file": lambda *_: None,
        "print": lambda *_: None,
    }
    with ExitStack() as stack:
        stack.enter_context(on_cpu())
        stack.enter_context(torch.no_grad())
        stack.enter_context(mock.patch.object(torch, "load"))
        stack.enter_context(mock.patch.object(nn.Module, "load_state_dict"))
        for name, value in replaced.items():
            stack.enter_context(mock.patch.object(module, name, value, create=True))
        module.test(["part"], "", "", "")
    return {"scores": scores[0].astype(np.float32)}


def _case(stage: str, ours: Any, official: Any, **fields: Any) -> Case:
    return Case("draem", stage, REPOSITORY, ours, official, **fields)


CASES = (
    _case("forward", forward, official_forward),
    _case("structural similarity", similarity, official_similarity),
    # Normalisation over a small batch lets rounding grow on its way back to the first layers.
    _case(
        "loss and gradients",
        loss_and_gradients,
        official_loss_and_gradients,
        rounding={"first": 0.3, "segment": 0.3, "last": 2e-4},
    ),
    _case("noise", synthesis.noises, synthesis.official_noises),
    _case("blending", synthesis.blending, synthesis.official_blending),
    _case("texture changes", synthesis.texture_changes, synthesis.official_texture_changes),
    _case("training steps", training, official_training, tolerance=1e-3, rounding={"loss": 0.03}),
    _case("image score", image_scores, official_image_scores),
)
