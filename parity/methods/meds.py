"""MeDS beside its authors' code: the three scripts for Dinomaly, run on given features."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import torch

from ltbench.benchmark import suites
from ltbench.benchmark.maps import MapsOfGrids
from ltbench.methods import catalog
from ltbench.methods.blocks.bootstrap import Bootstrap, drawn_images
from ltbench.methods.blocks.progressive import Selection
from ltbench.methods.dinomaly import Dinomaly
from ltbench.methods.meds import Meds
from ltbench.methods.reconstruction.arrangements import Maps
from ltbench.methods.reconstruction.selective import SelectiveTraining, distillation_objective
from ltbench.methods.training.engine import Batch
from parity import inputs, tokens
from parity.case import Arrays, Case
from parity.meds_distillation import WATCHED, official_step, wanted_scores
from parity.meds_scripts import COUNTS, STUBS, Encoder, Folder, running, script
from parity.official import Clone, Repository

REPOSITORY = Repository("MeDS", "https://github.com/SirojbekSafarov/MeDS", "5842858", "MIT")
CODE = "preset='official_code'"
STEPS = 10_000


def method(preset: str = "official_code", **fields: Any) -> Any:
    """MeDS over Dinomaly as the suite of its ablations sets it, with a preset of its own."""
    asked = next(cell for cell in suites.load("meds-ablations").cells() if wanted(cell, fields))
    return catalog.create("meds", **{**asked.fields, "backbone": "desc", "preset": preset})


def wanted(cell: Any, fields: dict[str, Any]) -> bool:
    asked = {"host": "dinomaly", "stop_after": "selection", **fields}
    return cell.method == "meds" and all(
        str(cell.fields.get(name, getattr(Meds, name))) == value for name, value in asked.items()
    )


def fitted(side: int, preset: str, scored: Maps = ()) -> Any:
    """MeDS that ends with its memories, on given patches of two classes."""
    found = method(preset, stop_after="memory")
    teacher = tokens.GivenTeacher((vectors(side),), scored)

    def host(own: Dinomaly, train: Any, _context: Any) -> Any:
        return tokens.given_host(own, teacher, len(train))

    pictures = tokens.Pictures(sum(COUNTS))
    pictures.class_ids = np.repeat((0, 1), COUNTS)
    with mock.patch.object(Dinomaly, "host", host):
        found.fit(pictures, tokens.context())
    return found


def vectors(side: int) -> torch.Tensor:
    """(images, 8 channels, side, side) of both classes."""
    classes = inputs.tensor("classes", 2, 8, 1, 1).repeat_interleave(torch.tensor(COUNTS), dim=0)
    return classes + inputs.tensor(f"vectors {side}", sum(COUNTS), 8, side, side)


def unseen() -> torch.Tensor:
    return inputs.tensor("classes", 2, 8, 1, 1)[:1] + inputs.tensor("unseen", 2, 8, 28, 28)


def memories(preset: str = "official_code") -> Arrays:
    return {"memory": fitted(6, preset)._memory}


def memory_only(preset: str = "official_code") -> Arrays:
    found = fitted(28, preset, (unseen(),))
    test = tokens.Pictures(2)
    test.class_ids = np.zeros(2, np.int64)
    answer = found.score(test, tokens.context())
    return {"map": np.asarray(MapsOfGrids(answer.grids, 256, answer.post)), "score": answer.scores}


@contextmanager
def replayed_draws(classes: Sequence[int]) -> Iterator[None]:
    """Draws of our method in place of torch's on the authors' side, one memory after another."""
    seed = int(tokens.context().rng.integers(2**31))
    drawn = [
        drawn_images(np.zeros(COUNTS[one], np.int64), Bootstrap(0.1, 100), np.random.default_rng([seed, one]))
        for one in classes
    ]
    with mock.patch("torch.randint", side_effect=[torch.from_numpy(row) for rows in drawn for row in rows]):
        yield


def official_memories(clone: Clone) -> Arrays:
    step = script(clone, "step_1_memory_score_generation")
    saved: dict[str, Any] = {}

    def batches(folder: Any, **_options: Any) -> Any:
        return [] if folder is None else [(folder.numbers, folder.numbers.tolist(), folder.labels)]

    def item_of(root: str, **_options: Any) -> Folder:
        return Folder(int(root.split("/")[-2]))

    replaced: dict[str, Any] = {
        "vit_encoder": SimpleNamespace(load=lambda _name: Encoder(vectors(6))), "CustomImageFolder": item_of,
        "MVTecDataset": lambda **_options: None, "get_data_transforms": lambda *_sides: (None,) * 3,
        "evaluation_memory": lambda *_given, **_options: [0.0] * 7, "plt": mock.MagicMock(),
        "save_tensor": lambda scores, *_place: saved.update(scores),
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, running(step, folder, batches, **replaced):
        step.args.data_path = "data"
        with replayed_draws((0, 1)):
            step.train(["0", "1"], folder, 100, 0.1)
    rows = [grid for item in ("0", "1") for grid in saved[item].values()]
    return {"memory": torch.stack(rows).reshape(-1, 6, 6).numpy()}


def official_memory_only(clone: Clone) -> Arrays:
    utils = clone.load("utils", below="dinomaly", stubs=STUBS)
    trained = Encoder(vectors(28)[: COUNTS[0]])._tokens[:, 5:]
    seen: dict[str, Any] = {}

    def keep_scores(_labels: Any, scores: Any) -> float:
        if len(scores) == 2:
            seen["score"] = scores
        return 0.0

    metrics = dict.fromkeys(("roc_auc_score", "average_precision_score", "f1_score_max"), keep_scores)
    pictures = [(torch.tensor([n]), torch.zeros(1, 1, 392, 392), torch.zeros(1), "") for n in (0, 1)]
    with (
        mock.patch.multiple(utils, compute_pro=lambda _masks, maps: seen.update(map=maps), **metrics),
        replayed_draws((0,)),
    ):
        utils.evaluation_memory(Encoder(unseen()), pictures, trained, "cpu", max_ratio=0.1, ensemble=100)
    return seen


def distillation(host: str, preset: str = "official_code") -> Arrays:
    """Loss and gradients of the first step of the second phase."""
    found = method(preset, host=host)
    student = tokens.filled(found._inner()).train()
    objective = distillation_objective(student, wanted_scores().numpy(), found.loss, found.weight)
    everything = Batch(torch.arange(tokens.IMAGES), 0, 1, np.random.default_rng(0))
    with tokens.replayed_dropout():
        loss = objective(student(tokens.grouped(), None), everything)
    loss.backward()
    answers: dict[str, Any] = {"loss": loss.detach().numpy()}
    for name in WATCHED[host]:
        answers[tokens.renamed(name)] = student.get_parameter(name).grad.numpy()  # type: ignore[union-attr]
    return answers


def distillation_case(host: str, stage: str) -> Case:
    return Case(
        "meds", stage, REPOSITORY, lambda: distillation(host),
        lambda clone: official_step(clone, host, tokens.filled(method(host=host)._inner())),
        setting=CODE, default=lambda: distillation(host, "ours"),
    )  # fmt: skip


def features(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of all images and their reconstructions, each image rebuilt as well as it happens to be."""
    target = inputs.tensor(f"{name} target", sum(COUNTS), 4, 16, 16)
    spread = inputs.tensor(f"{name} spread", sum(COUNTS), 1, 1, 1).abs() + 0.3
    return target, target + spread * inputs.tensor(f"{name} noise", sum(COUNTS), 4, 16, 16)


MOMENTS = (0, 2500, 6000, 9500)


def selection(preset: str = "official_code") -> Arrays:
    """Images that are kept at four moments of the third phase."""
    found = method(preset)
    student = tokens.filled(found._inner())

    def grids(name: str) -> Any:
        target, output = features(name)
        return student.distance(SimpleNamespace(targets=(target,), outputs=(output,))).numpy()  # type: ignore[arg-type]

    training = SelectiveTraining(
        SimpleNamespace(student=student, training_grids=lambda: grids("present")),  # type: ignore[arg-type]
        Selection(found.k, found.median, found.min_keep), np.repeat((0, 1), COUNTS),
        found._maximum(grids("distilled")), iterations=STEPS, percent=found.top_percent,
        rounding=found.rounding,
    )  # fmt: skip
    kept = np.zeros((len(MOMENTS), sum(COUNTS)), bool)
    for row, moment in zip(kept, MOMENTS, strict=True):
        training.done.fill_(moment)
        training._choose(SimpleNamespace(restrict=lambda chosen, row=row: row.__setitem__(chosen, True)))  # type: ignore[arg-type]
    return {"kept": kept}


def official_selection(clone: Clone) -> Arrays:
    step = script(clone, "step_3_data_selection_with_distilled_model")
    folders = [Folder(0), Folder(1)]
    scores = step.cal_anomaly_maps_wo_rsize(*([part] for part in features("distilled")))[0]
    distilled = {folder.classes: scores[folder.numbers] for folder in folders}
    kept = np.zeros((len(MOMENTS), sum(COUNTS)), bool)

    def model(numbers: torch.Tensor) -> tuple[list[torch.Tensor], ...]:
        target, output = features("present")
        return [target[numbers]], [output[numbers]]

    model.eval = lambda: None  # type: ignore[attr-defined]

    def batches(folder: Folder, **_options: Any) -> Any:
        return [(folder.numbers, folder.labels)]

    with tempfile.TemporaryDirectory() as place:
        for row, moment in zip(kept, MOMENTS, strict=True):
            with running(step, place, batches, ImageFolder=lambda **_options: SimpleNamespace()):
                found = step.cosine_data_sample(model, distilled, folders, place, moment, STEPS, mad_factor=3)
            row[[int(name.split(".")[0]) for subset in found for name, _ in subset.samples]] = True
    return {"kept": kept}


CASES = (
    # Their cosines are rounded to five decimals.
    Case(
        "meds", "memory scores", REPOSITORY, memories, official_memories, tolerance=2e-5, setting=CODE,
        default=lambda: memories("ours"),
    ),
    Case(
        "meds", "maps and image scores of memories", REPOSITORY, memory_only, official_memory_only,
        tolerance=2e-5, setting=CODE, default=lambda: memory_only("ours"),
    ),
    distillation_case("dinomaly", "distillation loss and gradients"),
    distillation_case("inpformer", "distillation loss and gradients over INP-Former"),
    Case(
        "meds", "selection", REPOSITORY, selection, official_selection, tolerance=0.0, setting=CODE,
        default=lambda: selection("ours"),
    ),
)  # fmt: skip
