"""Which norms, scales and shifts of channels the layers beside them can take over, now that nothing trains any more.

What multiplies each channel by a number and adds one to it is the same as another weight and another bias of the layer
that makes the channels, if nobody else sees what this layer made:

    (w x + b) f + s = (f w) x + (f b + s)

and of the layer that reads them, if it puts no zeros of its own beside them:

    w (x f + s) + b = (w f) x + (b + sum of w s over what it reads)

Only the new numbers are rounded. A weight that is quantized stays the whole numbers that it is, as f goes into what
they are multiplied by; where that differs by other channels than f does, the weight can't take it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from scfx.passes.fold_affine import Fold
from scfx.removal.affine import Affine, Constants, read_once, shape_of, way_back
from scfx.signatures.call import bind

_aten = torch.ops.aten

_CONVOLUTIONS = {
    getattr(getattr(_aten, f"conv{n}d"), overload) for n in (1, 2, 3) for overload in ("default", "padding")
}
_TRANSPOSED = {_aten.conv_transpose1d.default, _aten.conv_transpose2d.input, _aten.conv_transpose3d.input}


@dataclass(frozen=True)
class _Layer:
    """A convolution or linear layer whose weight nothing else reads.

    Attributes:
        node, source: Its node, and what it reads.
        weight, bias: The nodes that fetch them.
        made, read: Where the channels lie in what it makes and reads.
        groups: How many it has; as a dim of their own they come first in the weight's grid.
        outputs, inputs: Where each group's outputs and inputs lie in this grid.
        even: Whether every place of the result comes from as many places of what it reads.
    """

    node: fx.Node
    source: fx.Node
    weight: fx.Node
    bias: fx.Node | None
    made: int
    read: int
    groups: int
    outputs: int
    inputs: int
    even: bool


def find_folds(graph: fx.Graph, root: nn.Module, scales: Mapping[str, Tensor]) -> tuple[Fold, ...]:
    """Those that can be done at once. What they leave may have more.

    Args:
        graph: The eval graph, in plain torch, with shapes and dtypes on its nodes.
        root: What it fetches from.
        scales: What the whole numbers of quantized weights are multiplied by, by the weight's name.
    """
    constants = Constants(graph, root)
    affine = {node: found for node in graph.nodes if (found := Affine.of(node, constants)) is not None}
    layers = {node: layer for node in graph.nodes if (layer := _layer(node, constants)) is not None}
    taken: set[fx.Node] = set()
    folds = []
    for each, layer, behind in _neighbours(affine, layers):
        if not taken & {each.node, each.source, layer.node}:
            fold = _fold(each, layer, behind, constants, scales.get(str(layer.weight.target)))
            if fold is not None:
                taken |= {each.node, layer.node}
                folds.append(fold)
    return tuple(folds)


def _neighbours(
    affine: Mapping[fx.Node, Affine], layers: Mapping[fx.Node, _Layer]
) -> Iterator[tuple[Affine, _Layer, bool]]:
    """What has a layer right in front of it, or right behind, and that layer; and whether it is behind the layer."""
    for each in affine.values():
        node, dim = way_back(each.source, each.dim)
        if node in layers and dim in (None, layers[node].made) and read_once(node):
            yield each, layers[node], True
    for layer in layers.values():
        node, place = way_back(layer.source, layer.read)
        if node in affine and affine[node].dim in (None, place) and read_once(node):
            yield affine[node], layer, False


def _layer(node: fx.Node, constants: Constants) -> _Layer | None:
    transposed, linear = node.target in _TRANSPOSED, node.target is _aten.linear.default
    if not (transposed or linear or node.target in _CONVOLUTIONS) or not shape_of(node):
        return None
    assert isinstance(node.target, torch._ops.OpOverload)
    given = bind(node.target, node.args, node.kwargs)
    source, weight, bias = given["input"], given["weight"], given["bias"]
    held = constants.get(weight)
    if held is None or not constants.read_once(weight) or (bias is not None and constants.get(bias) is None):
        return None
    if linear:
        return _Layer(node, source, weight, bias, len(shape_of(node)) - 1, len(shape_of(source)) - 1, 1, 1, 2, True)
    dim = int(len(shape_of(node)) == held.ndim)  # a single sample has no batch in front
    padding = given["padding"]
    padded = padding != "valid" if isinstance(padding, str) else any(padding) if isinstance(padding, list) else padding
    outputs, inputs = (2, 1) if transposed else (1, 2)
    return _Layer(node, source, weight, bias, dim, dim, given["groups"], outputs, inputs, not (padded or transposed))


def _fold(each: Affine, layer: _Layer, behind: bool, constants: Constants, scales: Tensor | None) -> Fold | None:
    """What the layer becomes, if it can take it over."""
    weight, bias = constants.get(layer.weight), constants.get(layer.bias)
    assert weight is not None
    dtypes = {node.meta.get("dtype") for node in (each.node, each.source, layer.node, layer.source)}
    if dtypes != {weight.dtype} or not (behind or layer.even or not each.shift.any()):
        return None
    grid = weight.unflatten(0, (layer.groups, -1)).double()
    side = layer.outputs if behind else layer.inputs
    factor = _along(each.factor, grid, side)
    before = torch.zeros(1, dtype=torch.float64) if bias is None else bias.double()
    if behind:
        amount = before * each.factor + each.shift
    else:
        window = [dim for dim in range(1, grid.ndim) if dim != layer.outputs]
        amount = before + (grid * _along(each.shift, grid, side)).sum(window).flatten()
    amount = amount.expand(layer.groups * grid.shape[layer.outputs]).to(weight.dtype, copy=True)
    changed = (grid * factor, None) if scales is None else _rescaled(grid, scales, factor)
    if changed is None:
        return None
    values, its_scales = changed[0].flatten(0, 1).to(weight.dtype), changed[1]
    if not (values.isfinite().all() and amount.isfinite().all()):
        return None
    own = layer.bias is not None and constants.read_once(layer.bias)
    return Fold(
        node=each.node.name,
        source=each.source.name,
        layer=layer.node.name,
        weight=str(layer.weight.target),
        values=values,
        scales=its_scales,
        amount=amount if layer.bias is not None or amount.any() else None,
        bias=str(layer.bias.target) if layer.bias is not None and own else None,
    )


def _along(values: Tensor, grid: Tensor, side: int) -> Tensor:
    """Numbers of channels, group by group, as a factor of the grid; one number if all are the same."""
    if bool((values == values[0]).all()):
        return values[0].view([1] * grid.ndim)
    return values.view([size if dim in (0, side) else 1 for dim, size in enumerate(grid.shape)])


def _rescaled(grid: Tensor, scales: Tensor, factor: Tensor) -> tuple[Tensor, Tensor] | None:
    """The same whole numbers times other scales, and these; None where these would have to differ by more channels."""
    own = scales.double()
    if own.ndim < grid.ndim:
        own = own.unflatten(0, (grid.shape[0] if own.shape[0] > 1 else 1, -1))
    product = own * factor.to(own.device)
    after = product.to(scales.dtype)
    lost = (after.abs() < torch.finfo(after.dtype).tiny) & (product != 0)  # too few digits are left
    if product.shape != own.shape or bool(lost.any()) or not bool(after.isfinite().all()):
        return None
    numbers = (grid / own.to(grid.device)).nan_to_num_(0, 0, 0).round_() + 0.0
    return numbers.to(scales.dtype) * after.to(grid.device), after.reshape(scales.shape)
