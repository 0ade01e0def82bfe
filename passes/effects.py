"""What an operator does besides returning a value: writing to its arguments, drawing random numbers."""

from __future__ import annotations

import torch
from torch import fx
from torch._ops import OpOverload

from scfx.passes.building import arguments

_aten = torch.ops.aten

#: Operators that update running statistics, which their schema does not say, and the argument that makes them do so.
_UPDATES_STATISTICS = {
    _aten.batch_norm.default: "training",
    _aten.instance_norm.default: "use_input_stats",
    _aten.native_batch_norm.default: "training",
    _aten.cudnn_batch_norm.default: "training",
    _aten.miopen_batch_norm.default: "training",
}
_STATISTICS = ("running_mean", "running_var")

#: Arguments that switch randomness off, with the value that does; but a coin is tossed whatever its probability is.
_CALM = {"train": False, "training": False, "p": 0.0, "dropout_p": 0.0, "dropout": 0.0}
_COINS = (_aten.bernoulli, _aten.bernoulli_)


def written(node: fx.Node) -> list[fx.Node]:
    """Return the nodes whose value `node` writes to, as its schema declares it: in-place and `out=` operators."""
    if not isinstance(node.target, OpOverload) or not node.target._schema.is_mutable:
        return []
    bound = arguments(node)
    found: list[fx.Node] = []
    for argument in node.target._schema.arguments:
        if argument.is_write:
            fx.map_arg(bound.get(argument.name), found.append)
    return found


def updated_statistics(node: fx.Node) -> list[fx.Node]:
    """Return the buffers that a norm updates as a side effect that its schema does not declare."""
    if node.op != "call_function" or node.target not in _UPDATES_STATISTICS:
        return []
    bound = arguments(node)
    if bound[_UPDATES_STATISTICS[node.target]] is not True:
        return []
    return [bound[name] for name in _STATISTICS if isinstance(bound[name], fx.Node)]


def writes_state(node: fx.Node) -> bool:
    """Say whether `node` changes anything that outlives it."""
    return bool(written(node) or updated_statistics(node))


def is_random(node: fx.Node) -> bool:
    """Say whether `node` draws random numbers."""
    if not isinstance(node.target, OpOverload) or torch.Tag.nondeterministic_seeded not in node.target.tags:
        return False
    bound = arguments(node)
    if node.target.overloadpacket in _COINS:
        return True
    return not any(name in bound and bound[name] == calm for name, calm in _CALM.items())
