"""`ltbench env`: what this machine and installation are, and what is wrong with them."""

from __future__ import annotations

import importlib
import os

from ltbench.benchmark.commands import options
from ltbench.benchmark.commands.output import print_json, print_table
from ltbench.benchmark.console import warn


def env(as_json: options.JsonOption = False) -> None:
    """Show versions, machine, folders and settings; explain known mismatches."""
    from ltbench.results.environment import environment

    settings = options.settings()
    facts = environment()
    problems = diagnose()
    places = {
        "data": str(settings.data_root),
        "cache": str(settings.cache_root),
        "weights": str(settings.weights_root),
        **{name: str(getattr(settings, name)) for name in SHOWN},
    }
    tuning = _tuning()
    if as_json:
        print_json("env", {"environment": facts, "settings": places, "tuning": tuning, "problems": problems})
        return
    packages = facts.pop("packages")
    rows = [[name, "–" if value is None else value] for name, value in facts.items()]
    print_table(["machine", ""], rows)
    print_table(["package", "version"], sorted(packages.items()))
    print_table(["setting", ""], sorted(places.items()))
    print_table(["tuning", ""], sorted(tuning.items()))
    for sentence in problems:
        warn(sentence)


SHOWN = ("home", "results", "site", "jobs", "device", "cache_gb")


def _tuning() -> dict[str, str]:
    """Settings that commands change in their own processes, with the variables that prevent it."""
    from ltbench.benchmark.processor import SWITCH
    from ltbench.benchmark.threads import OPT_OUT, keeps_memory

    switch = os.environ.get(SWITCH)
    return {
        "numpy": f"{SWITCH}={switch}" if switch else "as installed",
        "memory": f"cells keep what they free; {OPT_OUT}=1 gives it back"
        if keeps_memory()
        else "cells give back what they free",
    }


def diagnose() -> list[str]:
    """One sentence for each thing known to break runs on this installation."""
    problems = []
    for name in ("torch", "faiss"):
        try:
            importlib.import_module(name)
        except ImportError:
            problems.append(
                f"{name} is not installed: methods cannot run, reports can; pip install 'ltbench[methods]'"
            )
    try:
        importlib.import_module("torchvision")
    except ImportError:
        # Only timm wants it; the embedded backbone works without.
        problems.append("torchvision is not installed: the backbones 'timm:...' cannot be loaded")
    except RuntimeError as error:
        problems.append(
            f"torch and torchvision do not fit together ({error}): install a pair, e.g. "
            "pip install torch==2.14.1 torchvision==0.29.1; the embedded backbone works without torchvision"
        )
    return problems
