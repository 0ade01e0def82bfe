"""What is measured of a network: how often it is right, how large it is, how long it takes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from scfx.compress import CompressedModule
from scfx.passes.building import fetch
from scfx.reporting.stored import stored_bits

FLOAT_BITS = 32


@dataclass(frozen=True)
class Size:
    """How much there is to store.

    Attributes:
        weights: Entries of the weights of convolutions and linear layers.
        weight_bits: The bits these need. A quantized weight is stored as whole numbers; each channel of it with as many
            bits as its own range of numbers needs.
        all_bits: The same with everything else: for each quantized channel its scale and its number of bits (5 more),
            all biases, and the four vectors of each batch norm. Of what `finalize()` gives, whatever its graph reads
            beside these, such as numbers of positions and masks, in its own dtype: what a file of scfx holds.
    """

    weights: int
    weight_bits: int
    all_bits: int


def size_of(model: nn.Module) -> Size:
    """Counts a model, as it is now; a tensor that has several names counts once."""
    depths = stored_bits(model)
    own = tuple(f"{name}_quantizer." for name in depths)
    stored = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith(own)}
    # Of several names the one that has bits comes last and so is the one that counts.
    names = {stored[name].data_ptr(): name for name in sorted(stored, key=depths.__contains__) if stored[name].numel()}
    tensors = {name: stored[name] for name in names.values() if stored[name].is_floating_point()}
    weights = {name: tensor for name, tensor in tensors.items() if tensor.dim() > 1}
    rest = 8 * sum(tensor.nbytes for name, tensor in _read_by(model, tensors).items() if name not in weights)
    weight_bits = side_bits = 0
    for name, tensor in weights.items():
        bits = depths.get(name, [8 * tensor.element_size()] * len(tensor))
        weight_bits += sum(bits) * (tensor.numel() // max(1, len(bits)))
        side_bits += len(bits) * (8 * max(4, tensor.element_size()) + 5) if name in depths else 0
    return Size(sum(t.numel() for t in weights.values()), weight_bits, weight_bits + side_bits + rest)


def _read_by(model: nn.Module, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """All tensors that a graph reads, constants from the model's code among them; of other models those given."""
    if not isinstance(model, fx.GraphModule):
        return tensors
    read = {str(node.target): fetch(model, str(node.target)) for node in model.graph.find_nodes(op="get_attr")}
    return {name: tensor for name, tensor in read.items() if isinstance(tensor, Tensor)}


@dataclass(frozen=True)
class Layer:
    """One layer's output channels: how many it has, how many of them have any bits, and the mean depth of those."""

    name: str
    channels: int
    alive: int
    bits: float


def layers_of(model: nn.Module) -> Iterator[Layer]:
    """Every quantized layer; a model without quantizers has none."""
    if not isinstance(model, CompressedModule):
        return
    for path, quantizer in model.quantizers():
        depths = quantizer.depth().detach()
        alive = int((depths > 0).sum())
        name = path.removesuffix(".weight_quantizer").removesuffix(".0")
        yield Layer(name, len(depths), alive, float(depths.sum()) / max(1, alive))


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The share of images that an evaluating model reads right, in percent. The model is left in the mode it was in."""
    training = model.training
    model.eval()
    right = (model(images).argmax(dim=1) == labels).sum()
    model.train(training)
    return 100 * float(right) / len(labels)


@torch.no_grad()
def inference_ms(models: Sequence[nn.Module], images: Tensor, rounds: int = 20) -> list[float]:
    """Milliseconds that each evaluating model takes for all images at once: the median, taking turns."""
    times: list[list[float]] = [[] for _ in models]
    for _ in range(rounds + 2):
        for model, taken in zip(models, times, strict=True):
            start = time.perf_counter()
            model(images)
            taken.append(1000 * (time.perf_counter() - start))
    return [statistics.median(taken[2:]) for taken in times]
