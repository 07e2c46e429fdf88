"""Objects of fitted methods as a JSON tree and named tensors, and back; no code is stored or run.

Numbers, texts, arrays, tensors and containers are stored as they are; an object of a known class by the name
of its class and its attributes. A class declares more where that is not enough:

- `unsaved`: names of attributes that scoring does not need;
- `state(self)` and `restored(cls, state, context)`: values to store instead of the attributes, and the object
  made of them, for what belongs to a machine (a backbone, an index on a device).
"""

from __future__ import annotations

import functools
import importlib
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from types import FunctionType
from typing import Any

import numpy as np
import torch
from torch import nn

from ltbench.methods.base import Context
from ltbench.methods.errors import NotStorable

CLASSES = ("ltbench.methods.", "torch.nn.modules.", "timm.layers.", "timm.models.")
"""Modules whose classes may be restored; the package of a method from elsewhere joins them."""
FUNCTIONS = ("ltbench.methods.reconstruction.", "torch.nn.functional")
"""Modules whose functions may be restored."""
MODULE_PARTS = ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set")
"""Attributes of a torch module that are stored: all but its hooks."""

Tree = Any
Tensors = dict[str, torch.Tensor]


class Packer:
    """Collects the tensors of one method while its objects become a tree."""

    def __init__(self, method: object) -> None:
        self._home = _package(type(method).__module__)
        self._numbers: dict[int, int] = {}
        self._kept: list[Any] = []
        self.tensors: Tensors = {}

    def pack(self, value: Any, path: str) -> Tree:
        """The tree of a value. Raises NotStorable naming the attribute that cannot be stored."""
        if value is None or isinstance(value, bool | str) or type(value) is int:
            tree = value
        elif type(value) is float:
            tree = value if math.isfinite(value) else {"float": str(value)}
        elif type(value) in (list, tuple, set, frozenset) or isinstance(value, dict):
            tree = self._pack_container(value, path)
        elif isinstance(value, torch.device | torch.dtype | Context | functools.partial | FunctionType):
            tree = self._pack_named(value, path)
        elif id(value) in self._numbers:
            tree = {"same": self._numbers[id(value)]}
        else:
            tree = {"number": self._numbered(value), **self._pack_object(value, path)}
        return tree

    def _pack_container(self, value: Any, path: str) -> Tree:
        if isinstance(value, dict):
            pairs = value.items()
            return {
                "dict": [[self.pack(key, path), self.pack(part, f"{path}[{key!r}]")] for key, part in pairs]
            }
        ordered = sorted(value) if isinstance(value, set | frozenset) else value
        parts = [self.pack(part, f"{path}[{index}]") for index, part in enumerate(ordered)]
        return parts if type(value) is list else {type(value).__name__: parts}

    def _pack_named(self, value: Any, path: str) -> Tree:
        match value:
            case torch.device():
                return {"device": True}
            case Context():
                return {"context": True}
            case torch.dtype():
                return {"dtype": str(value).removeprefix("torch.")}
            case functools.partial():
                parts = [value.func, list(value.args), dict(value.keywords)]
                return {"partial": [self.pack(part, path) for part in parts]}
        return {"function": self._name(value, FUNCTIONS, path)}

    def _pack_object(self, value: Any, path: str) -> dict[str, Tree]:
        if isinstance(value, torch.Tensor | np.ndarray | np.generic):
            return self._pack_array(value)
        facts = {"class": self._name(type(value), CLASSES, path)}
        if not hasattr(value, "__dict__"):
            raise NotStorable(f"what the method has learned cannot be stored: '{path}' keeps no attributes")
        if hasattr(value, "state") and hasattr(value, "restored"):
            return {**facts, "state": self.pack(value.state(), path)}
        return {**facts, "attributes": self.attributes(value, path)}

    def attributes(self, value: Any, path: str, without: Iterable[str] = ()) -> Tree:
        """The trees of the attributes of an object that scoring needs."""
        left_out = {*getattr(value, "unsaved", ()), *without}
        # Computed when they are asked for, and again after restoring.
        left_out |= {name for name in vars(value) if _is_computed(type(value), name)}
        kept = {name: part for name, part in vars(value).items() if name not in left_out}
        if isinstance(value, nn.Module):
            common = vars(nn.Module()).keys() - {*MODULE_PARTS, "training"}
            kept = {name: part for name, part in kept.items() if name not in common}
        trees = {name: self.pack(part, f"{path}.{name}") for name, part in kept.items()}
        # Objects keep the name of their device under this name.
        return trees | {"_device": {"device name": True}} if isinstance(kept.get("_device"), str) else trees

    def _pack_array(self, value: Any) -> dict[str, Tree]:
        facts: dict[str, Tree] = {"kind": "tensor"}
        if isinstance(value, np.ndarray | np.generic):
            facts = {"kind": "array" if isinstance(value, np.ndarray) else "scalar"}
        elif isinstance(value, nn.Parameter):
            facts = {"kind": "parameter", "gradient": value.requires_grad}
        name = str(self._numbers[id(value)])
        value = value.detach() if isinstance(value, torch.Tensor) else torch.from_numpy(np.array(value))
        # Kernels are chosen by the order of dimensions in memory, and last bits with them.
        order = sorted(range(value.dim()), key=lambda axis: -value.stride(axis))
        if not value.permute(order).is_contiguous():
            order = list(range(value.dim()))
        if order != sorted(order):
            facts["order"] = order
        facts["on_device"] = value.device.type != "cpu"
        self.tensors[name] = value.permute(order).cpu().contiguous().clone()
        return facts

    def _numbered(self, value: Any) -> int:
        self._kept.append(value)
        self._numbers[id(value)] = len(self._kept)
        return len(self._kept)

    def _name(self, part: Any, known: tuple[str, ...], path: str) -> str:
        module, name = part.__module__, part.__qualname__
        if _package(module) == self._home and not module.startswith("ltbench."):
            # A loose file has another module name in every version of it.
            module = module.removeprefix(self._home) or "."
        elif not module.startswith(known) and module != self._home:
            raise NotStorable(
                f"what the method has learned cannot be stored: '{path}' is a '{module}.{name}'; expected "
                "numbers, texts, arrays, tensors, containers and torch modules, or methods 'state' and "
                "'restore' of the method"
            )
        if "<" in name:
            raise NotStorable(
                f"what the method has learned cannot be stored: '{path}' is the unnamed '{name}'; expected a "
                "function or class at the top of its module"
            )
        return f"{module}:{name}"


class Unpacker:
    """Makes the objects of one method from a tree and its tensors."""

    def __init__(self, method: object, tensors: Mapping[str, torch.Tensor], context: Context) -> None:
        self._home = _package(type(method).__module__)
        self._tensors, self._context = tensors, context
        self._made: dict[int, Any] = {}

    def unpack(self, tree: Tree) -> Any:
        """The value of a tree. Raises KeyError, TypeError, ValueError for a tree that no packer made."""
        if isinstance(tree, list):
            return [self.unpack(part) for part in tree]
        if not isinstance(tree, dict):
            return tree
        if "number" not in tree:
            ((kind, content),) = tree.items()
            return self._READERS[kind](self, content)
        if "kind" in tree:
            made = self._array(tree)
        elif "state" in tree:
            made = self._class(tree["class"]).restored(self.unpack(tree["state"]), self._context)
        else:
            made = self._new(tree)
        self._made[tree["number"]] = made
        return made

    def fill(self, target: Any, attributes: Mapping[str, Tree]) -> None:
        """Give an object its attributes."""
        # As they are: a torch module registers what is set, a frozen dataclass refuses it.
        vars(target).update({name: self.unpack(part) for name, part in attributes.items()})

    def _new(self, tree: Tree) -> Any:
        kind = self._class(tree["class"])
        made = kind.__new__(kind)
        if isinstance(made, nn.Module):
            nn.Module.__init__(made)
        # Before its attributes, which may lead back to it.
        self._made[tree["number"]] = made
        self.fill(made, tree["attributes"])
        return made

    def _array(self, tree: Tree) -> Any:
        value = self._tensors[str(tree["number"])].clone()
        if "order" in tree:
            value = value.permute(np.argsort(tree["order"]).tolist())
        if tree["kind"] == "array":
            return value.numpy()
        if tree["kind"] == "scalar":
            return value.numpy()[()]
        if tree["on_device"]:
            value = value.to(self._context.device)
        if tree["kind"] == "parameter":
            return nn.Parameter(value, requires_grad=tree["gradient"])
        return value

    def _class(self, name: str) -> type[Any]:
        return self._named(name, CLASSES, type)

    def _function(self, name: str) -> Any:
        return self._named(name, FUNCTIONS, FunctionType)

    def _partial(self, parts: list[Tree]) -> Any:
        function, arguments, keywords = (self.unpack(part) for part in parts)
        return functools.partial(function, *arguments, **keywords)

    def _named(self, name: str, known: tuple[str, ...], kind: type) -> Any:
        module, _, path = name.partition(":")
        if module.startswith("."):
            module = self._home + module.removesuffix(".")
        elif not module.startswith(known) and module != self._home:
            raise ValueError(f"'{name}' is not among what may be restored")
        found: Any = sys.modules.get(module) or importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
        if not isinstance(found, kind):
            raise TypeError(f"'{name}' is no {kind.__name__}")
        return found

    _READERS: Mapping[str, Callable[[Unpacker, Any], Any]] = {
        "float": lambda _, text: float(text),
        "tuple": lambda self, parts: tuple(self.unpack(parts)),
        "set": lambda self, parts: set(self.unpack(parts)),
        "frozenset": lambda self, parts: frozenset(self.unpack(parts)),
        "dict": lambda self, parts: {self.unpack(key): self.unpack(part) for key, part in parts},
        "same": lambda self, number: self._made[number],
        "device": lambda self, _: torch.device(self._context.device),
        "device name": lambda self, _: self._context.device,
        "context": lambda self, _: self._context,
        "dtype": lambda _, name: getattr(torch, name),
        "function": lambda self, name: self._function(name),
        "partial": lambda self, parts: self._partial(parts),
    }


def _package(module: str) -> str:
    """A built-in method's own module, else the package that a method from elsewhere belongs to."""
    return module if module.startswith("ltbench.") else module.partition(".")[0]


def _is_computed(kind: type, name: str) -> bool:
    return isinstance(getattr(kind, name, None), functools.cached_property)
