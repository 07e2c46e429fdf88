"""The state of a fitted method: everything that `score` needs beyond the method's fields."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from ltbench.methods.base import Context, Method
from ltbench.methods.state.packing import Packer, Tensors, Tree, Unpacker


@dataclass(frozen=True)
class State:
    """A JSON tree, and the tensors that it names."""

    tree: Tree
    tensors: Tensors


def state_of(method: Method) -> State:
    """The state of a fitted method.

    A method with `state(self)` and `restore(self, state, context)` chooses what is stored; of any other
    all attributes are that are no fields.

    Raises NotStorable naming an attribute that cannot be stored.
    """
    packer = Packer(method)
    own = getattr(method, "state", None)
    if callable(own):
        return State({"own": packer.pack(dict(own()), "state")}, packer.tensors)
    is_dataclass = dataclasses.is_dataclass(method)
    fields = [field.name for field in dataclasses.fields(cast(Any, method))] if is_dataclass else []
    return State({"attributes": packer.attributes(method, "self", without=fields)}, packer.tensors)


def restore(method: Method, state: State, context: Context) -> None:
    """Give a method that was made with the same fields what it had learned.

    Raises WeightsMissing for a backbone that is not on this machine, MethodsError for one with other weights;
    a state that `state_of` did not make leads to KeyError, TypeError, ValueError or AttributeError.
    """
    unpacker = Unpacker(method, state.tensors, context)
    if "own" in state.tree:
        cast(Any, method).restore(unpacker.unpack(state.tree["own"]), context)
    else:
        unpacker.fill(method, cast(Mapping[str, Tree], state.tree["attributes"]))
