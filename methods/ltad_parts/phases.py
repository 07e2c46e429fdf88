"""The two training phases of LTAD, on features in memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from ltbench.methods.base import Context
from ltbench.methods.features.tokens import TokenBank
from ltbench.methods.layers.uniad import feature_jitter
from ltbench.methods.ltad_parts import equations
from ltbench.methods.ltad_parts.detection import Detection, mixed_features
from ltbench.methods.ltad_parts.names import FreeVectors, PseudoNames
from ltbench.methods.ltad_parts.synthesis import Synthesis
from ltbench.methods.training import engine
from ltbench.methods.training.engine import Batch, Plan
from ltbench.methods.training.sampling import Sampler, iterations_of
from ltbench.methods.training.schedules import Schedule, constant, drop

Names = PseudoNames | FreeVectors


@dataclass(frozen=True)
class TrainingSet:
    """Training features of both phases."""

    bank: TokenBank
    """Patches f^real of every image."""
    codes: torch.Tensor
    """Codes z = f_L of every image, (N, P)."""
    ids: torch.Tensor
    """Class of every image, int64 (N,), on the device."""
    channels: tuple[int, ...]
    """Channels C_l of every layer."""
    identity: str = ""
    """Identity of the training; checkpoints of another are not resumed."""

    def rows(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Patches f^real (B, T, C), codes z (B, P) and classes (B,) of a batch."""
        indices = batch.indices.to(self.codes.device)
        return self.bank.gather(indices).vectors, self.codes[indices], self.ids[indices]


@dataclass(frozen=True)
class Stepping:
    """Optimiser settings of a phase."""

    iterations: int
    epochs: float | None
    batch_size: int
    learning_rate: float
    weight_decay: float
    clip: float | None
    late_drop: bool
    """Drop the learning rate to a tenth for the last fifth of the training."""
    max_seconds: float | None
    mixed_precision: bool

    def run(
        self,
        model: nn.Module,
        loss: engine.Loss,
        training: TrainingSet,
        context: Context,
        *,
        title: str,
    ) -> engine.Outcome:
        """Train a model by AdamW with these settings."""
        sampler = Sampler(len(training.bank), self.batch_size, context.rng)
        steps = self.iterations if self.epochs is None else iterations_of(self.epochs, sampler)
        schedule: Schedule = drop(steps) if self.late_drop else constant
        plan = Plan(
            steps,
            max_seconds=self.max_seconds,
            schedule=schedule,
            clip=self.clip,
            mixed_precision=self.mixed_precision,
        )
        optimizer = torch.optim.AdamW(
            [parameter for parameter in model.parameters() if parameter.requires_grad],
            lr=self.learning_rate,
            weight_decay=self.weight_decay,
        )
        return engine.train(
            model, loss, sampler, optimizer, plan=plan, context=context, title=title,
            identity=training.identity,
        )  # fmt: skip


def phase_one(
    synthesis: Synthesis,
    names: Names,
    training: TrainingSet,
    *,
    stepping: Stepping,
    context: Context,
    kl_weight: float,
) -> None:
    """Train F_mu, F_sigma, D and s_c by equation (6) with frozen encoders.

    Args:
        synthesis: Networks F_mu, F_sigma and D.
        names: Pseudo class names s_c.
        training: Features to train on.
        stepping: Optimiser settings.
        context: Device, random numbers and work folder.
        kl_weight: beta of (6).
    """

    def loss(batch: Batch) -> torch.Tensor:
        real, codes, ids = training.rows(batch)
        mean, log_variance = synthesis.encode(codes)
        synthetic = synthesis.decode(mean, log_variance, names.prototypes()[ids])
        layers = real.split(list(training.channels), dim=-1)
        weight = kl_weight if synthesis.variational else 0.0
        return equations.synthesis_loss(synthetic, layers, mean, log_variance, weight)

    model = nn.ModuleDict({"synthesis": synthesis, "names": names})
    stepping.run(model, loss, training, context, title="phase 1")


def phase_two(
    detection: Detection,
    synthesis: Synthesis | None,
    names: Names,
    training: TrainingSet,
    *,
    stepping: Stepping,
    context: Context,
    real_probability: torch.Tensor,
    jitter: float,
    temperature: float,
    only_abnormal: bool,
) -> None:
    """Train Pi and Phi by L_rec (7) + L_sem (8) on real and synthetic features.

    Args:
        detection: Modules Pi and Phi to train.
        synthesis: Frozen networks of phase 1; None = real features only.
        names: Pseudo class names; trained only if they are free vectors.
        training: Features to train on.
        stepping: Optimiser settings.
        context: Device, random numbers and work folder.
        real_probability: p_c of each class, (K,).
        jitter: Strength of the noise that makes patches abnormal.
        temperature: tau of (3).
        only_abnormal: Omit the term for normal patches in (8).
    """
    learns_texts = isinstance(names, FreeVectors)
    with torch.no_grad():
        prototypes = names.prototypes()
        fixed = names.classifiers()

    def loss(batch: Batch) -> torch.Tensor:
        normal, codes, ids = training.rows(batch)
        if synthesis is not None:
            with torch.no_grad():
                synthetic = synthesis(codes, prototypes[ids])
            normal = mixed_features(normal, synthetic.to(normal.dtype), real_probability[ids])
        abnormal = feature_jitter(normal, jitter)
        total = normal.new_zeros(())
        if detection.reconstruction is not None:
            output = detection.reconstruction(abnormal).float()
            total = total + equations.reconstruction_loss(output, normal)
        if detection.semantic is not None:
            texts = names.classifiers() if learns_texts else fixed
            logits = [
                equations.semantic_logit(
                    detection.semantic(patches).float(), texts[0][ids], texts[1][ids], temperature
                )
                for patches in (normal, abnormal)
            ]
            total = total + equations.semantic_loss(*logits, only_abnormal=only_abnormal)
        return total

    modules = dict(enumerate(detection.parts()))
    if learns_texts:
        names.prototype.requires_grad_(False)
        modules[len(modules)] = names
    model = nn.ModuleDict({str(number): module for number, module in modules.items()})
    stepping.run(model, loss, training, context, title="phase 2")
