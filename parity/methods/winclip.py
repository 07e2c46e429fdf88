"""WinCLIP beside Accurate-WinCLIP, the re-implementation behind TailedCore's tables, and beside WinClip."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from tempfile import TemporaryDirectory
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import torch

from ltbench.methods.blocks.score_maps import maps_after
from ltbench.methods.language import states
from ltbench.methods.language.encoder import Encoder
from ltbench.methods.winclip import WinCLIP
from parity import inputs, towers
from parity.case import Arrays, Case
from parity.official import Clone, Repository

ACCURATE = Repository(
    "Accurate-WinCLIP-pytorch", "https://github.com/zqhang/Accurate-WinCLIP-pytorch", "eef4f8c", "Apache-2.0"
)
OTHER = Repository("WinClip", "https://github.com/caoyunkang/WinClip", "0818c9d", "MIT")
SETTING = "variant='accurate'"
SIDE = 80
NAMES = ("carpet", "bottle")
"""The first two products in the authors' list."""
SHOTS = 2


def _encoder() -> tuple[Any, Encoder]:
    model, checkpoint = towers.small_clip(SIDE, width=64, depth=2, text_depth=2)
    return model, towers.encoder_of(checkpoint)


def _judged() -> tuple[npt.NDArray[np.uint8], list[int]]:
    return inputs.images("judged", 3, SIDE), [0, 1, 1]


def _references() -> tuple[npt.NDArray[np.uint8], list[int]]:
    return inputs.images("references", 2 * SHOTS, SIDE), [0, 0, 1, 1]


def _method(variant: str, shots: int = 0) -> WinCLIP:
    """Fitted: shots are as many as there are references, so that the draw plays no part."""
    _, encoder = _encoder()
    method = WinCLIP(variant=variant, shots=shots)  # type: ignore[arg-type]
    with towers.read_by("winclip", partial(towers.features_of, encoder)):
        method.fit(inputs.image_set(*_references(), NAMES), towers.context(SIDE))
    return method


# ---- their side


def _load(clone: Clone) -> ModuleType:
    module = clone.load("reproduce_WinCLIP", stubs=("cv2", "skimage", "tabulate"))
    module.tokenizer = clone.load("open_clip.tokenizer", below="src")  # type: ignore[attr-defined]
    return module


def _their_model(clone: Clone) -> Any:
    """CLIP_AD with our weights instead of a download."""
    module = _load(clone)
    model, _ = _encoder()
    revised = module.open_clip.factory.CUSTOMCLIP(
        embed_dim=32,
        quick_gelu=True,
        vision_cfg={"image_size": SIDE, "patch_size": 16, "width": 64, "layers": 2, "head_width": 64},
        text_cfg={"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 2},
    )
    inputs.hand_over(model, revised, str)
    steps = SimpleNamespace(transforms=[None, None])
    made = mock.Mock(return_value=(revised, None, steps))
    with mock.patch.object(module.open_clip, "create_customer_model_and_transforms", made):
        found = module.CLIP_AD().eval()
    found.mask = module.patch_scale((SIDE, SIDE))
    return found


# ---- prompts


def _our_texts() -> Arrays:
    _, encoder = _encoder()
    lists = states._LISTS["accurate"]
    found = {}
    for part, kind in zip(("normal", "abnormal"), lists[:2], strict=True):
        ids = encoder.text.tokenize(states.sentences("metal_nut", kind, lists[2])).ids
        found[part] = torch.nn.functional.pad(ids, (0, 77 - ids.shape[1])).numpy()
    return {part: ids[np.lexsort(ids.T)] for part, ids in found.items()}


def _their_texts(clone: Clone) -> Arrays:
    module = _load(clone)
    parts = zip(("normal", "abnormal"), module.prompt_order().prompt("metal_nut"), strict=True)
    found = {part: module.tokenizer.tokenize(texts).numpy() for part, texts in parts}
    return {part: ids[np.lexsort(ids.T)] for part, ids in found.items()}


def _letters(texts: list[str]) -> npt.NDArray[np.int64]:
    """Sorted texts without a full stop at the end, as numbers of letters."""
    padded = sorted(text.removesuffix(".").ljust(80) for text in texts)
    return np.array([[ord(letter) for letter in text] for text in padded])


def _papers_texts() -> Arrays:
    normal, abnormal, templates = states._LISTS["winclip"]
    return {
        "normal": _letters(states.sentences("metal nut", normal, templates)),
        "abnormal": _letters(states.sentences("metal nut", abnormal, templates)),
    }


def _others_texts(clone: Clone) -> Arrays:
    module = clone.load("ad_prompts", below="WinCLIP")

    def written(kind: list[str]) -> list[str]:
        templates = module.template_level_prompts
        return [text.format(state.format("metal nut")) for text in templates for state in kind]

    return {
        "normal": _letters(written(module.state_level_normal_prompts)),
        "abnormal": _letters(written(module.state_level_abnormal_prompts)),
    }


# ---- text features and windows


def _our_text_features(variant: str = "accurate") -> Arrays:
    method = _method(variant)
    return {name: method._texts(name).numpy() for name in ("metal_nut", "bottle")}


def _their_text_features(clone: Clone) -> Arrays:
    model = _their_model(clone)
    with towers.without_a_gpu(), torch.no_grad():
        kinds = _load(clone).prepare_text_future(model, ["metal_nut", "bottle"])
    # Their scores divide by the length of the mean text.
    pairs = torch.nn.functional.normalize(torch.cat(kinds, dim=1), dim=-1)
    return {"metal_nut": pairs[0].numpy(), "bottle": pairs[1].numpy()}


def _our_windows() -> Arrays:
    method = _method("accurate", SHOTS)
    batch = method._images.few(inputs.image_set(*_judged(), NAMES), range(3))
    maps = zip(("middle", "large", "patches"), batch.maps, strict=True)
    found = {name: values.flatten(2).transpose(1, 2).numpy() for name, values in maps}
    return found | {"whole": batch.pooled.numpy()}


def _their_windows(clone: Clone) -> Arrays:
    model = _their_model(clone)
    with towers.without_a_gpu(), torch.no_grad():
        large, middle, patches, whole, _, _ = model.encode_image(towers.as_clip_sees(_judged()[0]), 16)
    grids = {"middle": middle, "large": large, "patches": patches}
    return {name: values[:, :, 0].numpy() for name, values in grids.items()} | {"whole": whole.numpy()}


# ---- scores and maps


def _our_scores(variant: str = "accurate", shots: int = 0) -> Arrays:
    method = _method(variant, shots)
    found = method.score(inputs.image_set(*_judged(), NAMES), towers.context(SIDE))
    assert found.grids is not None
    return {"score": found.scores, "map": maps_after(found.grids, SIDE, found.post)}


def _their_scores(clone: Clone, shots: int = 0) -> Arrays:
    """Scores of the authors' whole test on two of the fifteen products, caught where metrics are computed."""
    module = _load(clone)
    seen: list[npt.NDArray[np.float32]] = []

    class Pictures(torch.utils.data.Dataset[Any]):
        def __init__(self, mode: str, obj_name: str = "", **_: Any) -> None:
            pixels, ids = _judged() if mode == "test" else _references()
            chosen = [i for i, number in enumerate(ids) if obj_name in ("", NAMES[number])]
            self._items = [(towers.as_clip_sees(pixels[i : i + 1])[0], ids[i]) for i in chosen]

        def __len__(self) -> int:
            return len(self._items)

        def __getitem__(self, index: int) -> dict[str, Any]:
            image, number = self._items[index]
            mask = torch.zeros(1, SIDE, SIDE)
            return {"img": image, "img_mask": mask, "cls_name": NAMES[number], "anomaly": 0, "cls_id": number}

    def of_both(call: Callable[..., Any]) -> Callable[..., Any]:
        return lambda model, names, *rest: call(model, names[:2], *rest)

    fixed = {
        "CLIP_AD": mock.Mock(return_value=_their_model(clone)),
        "MVTecDataset": Pictures,
        "memory": of_both(module.memory),
        "prepare_text_future": of_both(module.prepare_text_future),
        "roc_auc_score": lambda _truth, found: seen.append(np.asarray(found)) or 0.5,
        "average_precision_score": lambda *_: 0.5,
        "precision_recall_curve": lambda *_: (np.ones(2), np.ones(2), np.ones(1)),
        "cal_pro_score": lambda *_: 0.5,
        "tabulate": lambda *_, **__: "",
    }
    asked = SimpleNamespace(
        image_size=SIDE, features_list=[], few_shot_features=[], data_path="", dataset="mvtec", model="",
        k_shot=shots,
    )  # fmt: skip
    remembered = inspect.unwrap(module.memory).__globals__
    with (
        TemporaryDirectory() as asked.save_path,
        towers.without_a_gpu(),
        mock.patch.dict(remembered, MVTecDataset=Pictures),
        mock.patch.multiple(module, **fixed),
    ):
        module.test(asked)
    # Product by product, pixels before scores; the first two products are ours, in our order.
    return {
        "score": np.concatenate(seen[1:4:2]).astype(np.float32),
        "map": np.concatenate([part.reshape(-1, SIDE, SIDE) for part in seen[0:4:2]]),
    }


_case = partial(Case, "winclip")
CASES = (
    _case("prompts", ACCURATE, _our_texts, _their_texts, tolerance=0, setting=SETTING),
    _case("prompts of the paper", OTHER, _papers_texts, _others_texts, tolerance=0),
    _case(
        "text features", ACCURATE, _our_text_features, _their_text_features,
        setting=SETTING, default=partial(_our_text_features, "paper"),
    ),
    _case("windows", ACCURATE, _our_windows, _their_windows, rounding=1e-3),
    _case(
        "zero-shot map and score", ACCURATE, _our_scores, _their_scores,
        setting=SETTING, default=partial(_our_scores, "paper"), rounding=2e-4,
    ),
    _case(
        "few-shot map and score", ACCURATE, partial(_our_scores, shots=SHOTS),
        partial(_their_scores, shots=SHOTS), setting=SETTING, default=partial(_our_scores, "paper", SHOTS),
        rounding=2e-4,
    ),
)  # fmt: skip
