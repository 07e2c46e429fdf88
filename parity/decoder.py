"""AnomalyGPT's decoder on both sides, with stand-ins for its towers and for the authors' model."""

from __future__ import annotations

from functools import cache, partial
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ltbench.methods.anomalygpt import AnomalyGPT, Decoder
from ltbench.methods.blocks.blending import Blended
from ltbench.splits.images import ImageSet, Pixels
from parity import inputs, towers
from parity.official import Clone, Repository

REPOSITORY = Repository(
    "AnomalyGPT", "https://github.com/CASIA-IVA-Lab/AnomalyGPT", "f21c51b", "CC BY-NC-SA 4.0"
)
STUBS = (
    "deepspeed", "einops", "iopath", "iopath.common", "iopath.common.file_io", "ipdb", "kornia", "peft",
    "transformers", "transformers.deepspeed", "model.ImageBind.data", "model.modeling_llama",
)  # fmt: skip
SIDE, CHANNELS, TEXT = 224, 1280, 1024
"""Sizes that the authors' code fixes: pixels, numbers of a patch, numbers of a text."""
GRID, DEPTHS = 16, 4
NAMES = ("carpet", "bottle")
IDS = (0, 1)
KINDS = ("normal", "blended", "judged", "references")


def texts_as_drawn(texts: list[str]) -> torch.Tensor:
    """Stands for a text tower: numbers of different lengths, (n, 1024)."""
    return torch.stack([inputs.tensor(text, TEXT) * (1 + len(text) % 3) for text in texts])


@cache
def tokens(name: str) -> tuple[torch.Tensor, ...]:
    """Stands for the image tower: per depth (257, B, 1280), the class token first."""
    return tuple(inputs.tensor(f"{name}/{depth}", 1 + GRID**2, 2, CHANNELS) for depth in range(DEPTHS))


def maps_of(name: str) -> tuple[torch.Tensor, ...]:
    return tuple(values[1:].permute(1, 2, 0).reshape(2, CHANNELS, GRID, GRID) for values in tokens(name))


def pictures(kind: str) -> ImageSet:
    """Two pictures whose first pixel encodes their kind and number, and so selects their features."""
    pixels = np.zeros((2, SIDE, SIDE, 3), np.uint8)
    pixels[..., 0], pixels[1, ..., 1] = KINDS.index(kind), 1
    return inputs.image_set(pixels, IDS, NAMES)


def _of_pixels(pixels: Pixels) -> tuple[towers.Maps, torch.Tensor]:
    rows = [[values[one[0, 0, 1]] for values in maps_of(KINDS[one[0, 0, 0]])] for one in pixels]
    return tuple(torch.stack(part) for part in zip(*rows, strict=True)), torch.zeros(len(pixels), 1)


def _features(_layers: tuple[str, ...]) -> towers.Features:
    return towers.Features(SimpleNamespace(text=texts_as_drawn, dim=TEXT, digest=""), _of_pixels)


def masks() -> npt.NDArray[np.bool_]:
    return inputs.images("masks", 2, SIDE)[..., 0] > 150


def drawn_decoder(*arguments: Any) -> Decoder:
    """The decoder, always with the same weights."""
    found = Decoder(*arguments)
    found.load_state_dict(_drawn_weights())
    return found


@cache
def _drawn_weights() -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = inputs.fill(Decoder([CHANNELS] * DEPTHS, TEXT), "decoder").state_dict()
    return found


def fitted(**fields: Any) -> AnomalyGPT:
    def blended(target: Pixels, *_: Any, **__: Any) -> Blended:
        other = target.copy()
        other[..., 0] = KINDS.index("blended")
        return Blended(other, masks()[target[0, 0, 1]])

    method = AnomalyGPT(**fields)
    with (
        towers.read_by("anomalygpt", _features),
        mock.patch("ltbench.methods.anomalygpt.Decoder", drawn_decoder),
        mock.patch("ltbench.methods.anomalygpt.with_foreign_patches", blended),
    ):
        method.fit(pictures("references" if method.shots else "normal"), towers.context(SIDE))
    return method


untrained = partial(fitted, iterations=0)


# ---- their side


def load(clone: Clone) -> ModuleType:
    with mock.patch("torch.cuda.current_device", return_value="cpu"):
        return clone.load("model.openllama", below="code", stubs=STUBS)


def their_model(clone: Clone) -> SimpleNamespace:
    """Stand-in for their model: our decoder's weights, texts and features, and no language model."""
    module = load(clone)
    sentences: list[str] = []
    for name in NAMES:
        parts = []
        for kind in module.prompt_state:
            texts = [text.format(state.format(name)) for state in kind for text in module.prompt_templates]
            parts.append(torch.arange(len(sentences), len(sentences) + len(texts)))
            sentences += texts
        module.prompt_sentences[name] = parts
    bound = module.imagebind_model
    ending = nn.Sequential(bound.Normalize(-1), bound.LearnableLogitScaling(learnable=True))
    text = module.ModalityType.TEXT
    drawn = texts_as_drawn(sentences)
    decoder = module.LinearLayer(CHANNELS, TEXT, DEPTHS)
    inputs.hand_over(
        drawn_decoder([CHANNELS] * DEPTHS, TEXT), decoder, lambda name: name.replace("layers", "fc")
    )
    return SimpleNamespace(
        module=module,
        device="cpu",
        image_decoder=decoder,
        loss_focal=module.FocalLoss(),
        loss_dice=module.BinaryDiceLoss(),
        visual_encoder=lambda inputs: {text: (ending(drawn[inputs[text]]).detach(), None)},
        prompt_learner=lambda maps: maps,
        llama_tokenizer=None,
        max_tgt_len=0,
        # No loss of a language model, and four words that it got right.
        prompt_wrap=lambda *_: (None, torch.zeros(4, 4, dtype=torch.int64), None),
        llama_model=lambda **_: SimpleNamespace(loss=0.0, logits=torch.ones(4, 4, 1)),
    )


def their_loss(model: SimpleNamespace) -> torch.Tensor:
    """Loss of the authors' code for two normal pictures and their blended twins."""
    both = [torch.cat(pair, dim=1) for pair in zip(tokens("normal"), tokens("blended"), strict=True)]
    model.encode_image_from_tensor = lambda _: (torch.zeros(4, 1), None, model.image_decoder(list(both)))
    wanted = [torch.zeros(1, SIDE, SIDE)] * 2 + [torch.from_numpy(mask).float()[None] for mask in masks()]
    asked = {"images": [0] * 4, "masks": wanted, "class_names": list(NAMES) * 2, "texts": [], "img_paths": []}
    with mock.patch.object(model.module, "process_batch_instance", return_value=(None, None, None)):
        loss, _ = model.module.OpenLLAMAPEFTModel.forward(model, asked)
    return loss


def their_maps(clone: Clone, references: str = "") -> npt.NDArray[np.float32]:
    """Maps of the authors' code for both judged pictures; `references` names features of reference images."""
    model = their_model(clone)
    found = []
    for number, name in enumerate(NAMES):
        judged = [values[:, number : number + 1] for values in tokens("judged")]
        known = [values[:, number : number + 1] for values in tokens(references or "judged")]
        patches = {"judged": judged, "known": known}
        model.encode_image = lambda _, judged=judged: (
            torch.zeros(1, 1),
            None,
            model.image_decoder(list(judged)),
        )
        model.encode_image_for_one_shot = lambda which, patches=patches: [
            values.transpose(0, 1)[:, 1:] for values in patches[which[0]]
        ]
        asked = {
            "image_paths": ["judged"], "normal_img_paths": ["known"] if references else [],
            "audio_paths": [], "video_paths": [], "thermal_paths": [], "prompt": f"This is a photo of {name}",
        }  # fmt: skip
        with torch.no_grad():
            _, one = model.module.OpenLLAMAPEFTModel.extract_multimodal_feature(model, asked, web_demo=False)
        found.append(one[0, 0].numpy())
    return np.stack(found)
