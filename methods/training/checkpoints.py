"""Checkpoints of the whole training state, from which a killed process resumes exactly."""

from __future__ import annotations

import logging
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from ltbench.atomic_files import write_atomically

_log = logging.getLogger(__name__)


class Stateful(Protocol):
    """Object with a state dictionary: a module, optimizer or sampler."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> object: ...


@dataclass(frozen=True)
class Checkpoint:
    """Checkpoint file that always holds the last complete state."""

    path: Path
    identity: str
    """Identity of the training, see `identity_of`; the state of another training is not loaded."""

    def save(self, parts: dict[str, Stateful], numbers: dict[str, float], rng: np.random.Generator) -> None:
        """Write the state atomically; if the disk is full, log a warning and go on.

        Args:
            parts: Objects whose state dictionaries are saved, by name.
            numbers: Counters of the training.
            rng: NumPy generator, saved beside torch's generators.
        """
        state = {
            "identity": self.identity,
            "numbers": numbers,
            "parts": {name: part.state_dict() for name, part in parts.items()},
            "torch": torch.get_rng_state(),
            "accelerator": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
            "numpy": rng.bit_generator.state,
        }
        try:
            write_atomically(self.path, lambda file: torch.save(state, file))
        except (OSError, RuntimeError) as error:
            _log.warning(
                "no checkpoint could be written to '%s' (%s): the training goes on", self.path, error
            )

    def load(self, parts: dict[str, Stateful], rng: np.random.Generator) -> dict[str, float]:
        """Restore all parts and generators and return the counters; {} without a matching checkpoint."""
        if not self.path.is_file():
            return {}
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            _log.warning("the checkpoint '%s' cannot be read (%s): training starts anew", self.path, error)
            return {}
        if state.get("identity") != self.identity or state["parts"].keys() != parts.keys():
            return {}
        for name, part in parts.items():
            part.load_state_dict(state["parts"][name])
        torch.set_rng_state(state["torch"])
        if state["accelerator"] and len(state["accelerator"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(state["accelerator"])
        rng.bit_generator.state = state["numpy"]
        return dict(state["numbers"])
