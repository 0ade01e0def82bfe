"""torch.compile follows a compressed module without a break, compiles again after a removal, and only then."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn

import scfx
from scfx.nodes.quantizer import Quantizer
from tests.nodes.test_quantizer import trained
from tests.observation import OneThread
from tests.toys import images


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    torch.compiler.reset()
    with OneThread():
        yield
    torch.compiler.reset()


class Convolutions(nn.Module):
    """Two convolutions with a batch norm, for (batch, 1, 8, 8) images, with defaults."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm = nn.Conv2d(1, 8, 3, bias=False), nn.BatchNorm2d(8)
        self.conv2, self.head = nn.Conv2d(8, 8, 3), nn.Linear(8, 3)

    def forward(self, x: Tensor, scale: float = 2.0) -> Tensor:
        y = torch.relu(self.norm(self.conv1(x)))
        result: Tensor = self.head(torch.relu(self.conv2(y)).mean((2, 3))) * scale
        return result


class Encoder(nn.Module):
    """A transformer of one layer, with nested inputs and outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"logits": self.head(self.layer(self.embedding(batch["ids"]))).mean(1)}


def words(count: int) -> tuple[dict[str, Tensor]]:
    return ({"ids": torch.arange(count * 5).view(count, 5) % 11},)


MODELS: dict[str, tuple[Callable[[], nn.Module], Callable[[int], tuple[Any, ...]]]] = {
    "convolutions": (Convolutions, lambda count: (images(count),)),
    "encoder": (Encoder, words),
}


def compressed(name: str, example: int = 4) -> tuple[scfx.CompressedModule, Callable[[int], tuple[Any, ...]]]:
    """The network of a name in float64, quantized to depths at which rounding shows, and its inputs."""
    torch.manual_seed(0)
    build, inputs = MODELS[name]
    net = scfx.compress(build().double(), inputs(example))
    with torch.no_grad():
        for _, quantizer in net.quantizers():
            quantizer.bits.fill_(3.3)
    return net, inputs


def observed(net: scfx.CompressedModule, call: Any, inputs: tuple[Any, ...]) -> list[Tensor]:
    """The output of a call and the gradients of all parameters."""
    out = call(*inputs)
    out = out["logits"] if isinstance(out, dict) else out
    return [out.detach(), *torch.autograd.grad(out.square().sum(), list(net.parameters()))]


def remove_some(net: scfx.CompressedModule) -> None:
    """Takes a channel from each axis that lets one go, by zeroing all that makes it."""
    with torch.no_grad():
        for axis in net.channels.axes:
            if axis.pinned is None and axis.size > 1:
                for member in axis.members:
                    tensor = net.state_dict(keep_vars=True)[member.name]
                    if member.name.endswith((".bits", ".bias", ".running_mean")):
                        tensor.select(member.dim, int(member.indices(0)[0])).zero_()
    assert net.prune()


@pytest.mark.parametrize("name", MODELS)
def test_compiled_equals_eager(name: str) -> None:
    net, inputs = compressed(name)
    call = torch.compile(net, backend="aot_eager", fullgraph=True)
    for wanted, found in zip(observed(net, net, inputs(4)), observed(net, call, inputs(4)), strict=True):
        assert torch.allclose(wanted, found, rtol=1e-9, atol=1e-12)
    remove_some(net)
    for wanted, found in zip(observed(net, net, inputs(4)), observed(net, call, inputs(4)), strict=True):
        assert torch.allclose(wanted, found, rtol=1e-9, atol=1e-12)


class Counting:
    """A backend that runs a graph as it is, and keeps for each graph which of its tensors have sizes that may vary."""

    def __init__(self) -> None:
        self.varying: list[list[str]] = []

    def __call__(self, graph: fx.GraphModule, example: list[Any]) -> Any:
        values = {node.name: node.meta["example_value"] for node in graph.graph.nodes if node.op == "placeholder"}
        tensors = {name: value for name, value in values.items() if isinstance(value, Tensor)}
        symbolic = [name for name, t in tensors.items() if any(isinstance(size, torch.SymInt) for size in t.shape)]
        self.varying.append(symbolic)
        return graph.forward


@pytest.mark.parametrize("dynamic", [None, True])
def test_it_compiles_anew_after_each_removal_and_only_then(dynamic: bool | None) -> None:
    """What was compiled before does not count against the limit; and widths are never sizes that vary."""
    net, inputs = compressed("convolutions")
    backend = Counting()
    call = torch.compile(net, backend=backend, dynamic=dynamic, fullgraph=True)
    optimizer = torch.optim.SGD(net.parameters(), 1e-3)
    with torch._dynamo.config.patch(recompile_limit=2 + (dynamic is None)):
        call(*inputs(4))
        net.update(optimizer)
        call(*inputs(3))  # from now on it is known that the number of images varies
        for removals in range(2):
            for count in (4, 3, 5):
                net.eval()
                call(*inputs(count))
                net.train()
                torch.autograd.grad(call(*inputs(count)).sum(), list(net.parameters()))
                net.update(optimizer)
            assert len(backend.varying) == 2 * (removals + 1) + (dynamic is None)
            remove_some(net)
    assert all(len(names) == 1 for names in backend.varying[1:]), "the images vary in number, weights don't in size"


def test_a_call_that_does_not_fit_is_an_error_when_compiled_too() -> None:
    net, inputs = compressed("convolutions")
    call = torch.compile(net, backend="eager")
    call(*inputs(4))
    with pytest.raises(scfx.InputError, match="size 2 in dimension 1"):
        call(images(4).expand(4, 2, 8, 8))


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
@pytest.mark.filterwarnings("default")
def test_the_quantizer_alone(backend: str) -> None:
    """Of the weight's size, the weight itself is all that is kept for backward, also by inductor's kernels."""
    generator = torch.Generator().manual_seed(4)
    weight = torch.randn(6, 5, generator=generator, requires_grad=True)
    quantizer = trained(Quantizer(weight, 0), generator)
    inputs = (weight, quantizer.bits, quantizer.exponent)
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = torch.compile(quantizer, backend=backend, fullgraph=True)(weight)
    assert [tensor.data_ptr() for tensor in kept if tensor.numel() > 6] == [weight.data_ptr()]
    torch.testing.assert_close(out, quantizer(weight))
    got = torch.autograd.grad(out.square().sum(), inputs)
    want = torch.autograd.grad(quantizer(weight).square().sum(), inputs)
    torch.testing.assert_close(got, want)
