"""Mixed precision, half precision and channels-last: a compressed network takes them as its original does."""

import copy
import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import scfx
from scfx.nodes.quantizer import Quantizer
from tests.observation import OneThread
from tests.toys import images, labels


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    torch.manual_seed(0)
    with OneThread():
        yield


class Convolutions(nn.Module):
    """Convolutions with a batch and a group norm, whose channels may go."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(1, 8, 3, bias=False), nn.BatchNorm2d(8)
        self.conv2, self.norm2 = nn.Conv2d(8, 12, 3, bias=False), nn.GroupNorm(2, 12)
        self.head = nn.Linear(12, 10)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(x)))))
        result: Tensor = self.head(torch.relu(y).mean((2, 3)))
        return result


class Encoder(nn.Module):
    """A transformer of one layer with both kinds of norm, and a softmax that is written out."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.scores = nn.Embedding(11, 8), nn.Linear(8, 1)
        self.layer = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, batch_first=True)
        self.norm, self.head = nn.RMSNorm(8), nn.Linear(8, 10)

    def forward(self, ids: Tensor) -> Tensor:
        y = self.norm(self.layer(self.embedding(ids)))
        result: Tensor = self.head((y * torch.softmax(self.scores(y), 1)).sum(1))
        return result


class LinearAttention(nn.Module):
    """Linear attention in single precision whatever is around it, and a layer in half precision."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.project = nn.Linear(6, 24, bias=False), nn.Linear(8, 12)
        self.narrow, self.head = nn.Linear(12, 8), nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, -1)
        dtype = self.head.weight.dtype
        with torch.autocast("cpu", enabled=False):
            q, k, wide = q.relu().float(), k.relu().float(), v.float()
            y = (q @ (k.transpose(1, 2) @ wide) / (q @ k.sum(1)[..., None] + 1)).to(dtype)
        with torch.autocast("cpu", torch.bfloat16):
            y = self.narrow(torch.relu(self.project(y))).to(dtype)
        result: Tensor = self.head(torch.relu(y).mean(1))
        return result


def words(count: int) -> Tensor:
    return torch.arange(count * 5).view(count, 5) % 11


MODELS: dict[str, tuple[Callable[[], nn.Module], Callable[[int], Tensor]]] = {
    "convolutions": (Convolutions, lambda count: images(count).float()),
    "encoder": (Encoder, words),
    "regions": (LinearAttention, lambda count: torch.linspace(-1, 1, count * 30).sin().view(count, 5, 6)),
}


def zero_some(net: scfx.CompressedModule) -> None:
    """Makes one channel of each axis zero in all its tensors, so that it can go."""
    tensors = net.state_dict(keep_vars=True)
    with torch.no_grad():
        for axis in net.channels.axes:
            if axis.pinned is None and axis.size > 1:
                for member in axis.members:
                    for index in member.indices(1):
                        tensors[member.name].select(member.dim, int(index)).zero_()


@pytest.mark.parametrize("name", MODELS)
def test_under_autocast_it_computes_what_the_original_does(name: str) -> None:
    """Bit for bit while nothing is quantized; and after a removal what it computed before, of the same dtype."""
    build, inputs = MODELS[name]
    model, x = build(), inputs(4)
    with torch.autocast("cpu"):  # leaves no trace in what is captured
        net = scfx.compress(model, x, quantize=False)
    assert net.eval()(x).dtype == torch.float32
    for training in (True, False):
        for dtype in (torch.bfloat16, torch.float16):
            with torch.autocast("cpu", dtype=dtype):
                wanted, found = model.train(training)(x), net.train(training)(x)
            assert found.dtype == wanted.dtype == dtype
            assert torch.equal(found, wanted)
            sums = [out.float().square().sum() for out in (wanted, found)]
            grads = [torch.autograd.grad(s, list(m.parameters())) for s, m in zip(sums, (model, net), strict=True)]
            assert all(map(torch.equal, *grads))
    zero_some(net)
    with torch.autocast("cpu"):
        before = [net.train(training)(x) for training in (True, False)]
        assert net.prune()
        after = [net.train(training)(x) for training in (True, False)]
    for wanted, found in zip(before, after, strict=True):
        assert found.dtype == torch.bfloat16
        assert torch.allclose(found, wanted, rtol=0.02, atol=0.02)


def test_regions_that_switch_autocast_cost_no_channels_and_outlast_finalize() -> None:
    """Under another autocast they compute the same as plain torch as they do in the network, and compiled."""
    build, inputs = MODELS["regions"]
    x = inputs(4)
    net = scfx.compress(build(), x, quantize=False).eval()
    assert {axis.pinned.split(" (")[0] for axis in net.channels.axes if axis.pinned} == {
        "model input x",
        "model output",
    }
    zero_some(net)
    assert net.prune()
    final = net.finalize()
    assert "scfx" not in final.code
    stream = io.BytesIO()
    torch.save(copy.deepcopy(final), stream)
    stream.seek(0)
    again = torch.load(stream, weights_only=False)
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        with torch.autocast("cpu", dtype, enabled=dtype is not torch.float32):
            wanted = net(x)
            assert wanted.dtype == dtype
            assert torch.equal(final(x), wanted)
            assert torch.equal(again(x), wanted)
    with torch.autocast("cpu"), torch.no_grad():
        assert torch.equal(torch.compile(net, backend="aot_eager")(x), net(x))


@pytest.mark.parametrize("name", MODELS)
def test_a_model_in_half_precision_learns_its_depths_in_single(name: str) -> None:
    build, inputs = MODELS[name]
    x = inputs(4)
    x = x.bfloat16() if x.is_floating_point() else x
    net = scfx.compress(build().bfloat16(), x)
    optimizer = torch.optim.Adam(net.param_groups())
    (nn.functional.cross_entropy(net(x).float(), labels(4)) + 0.1 * net.size()).backward()
    optimizer.step()
    net.update(optimizer)
    zero_some(net)
    net.bfloat16()
    assert net.prune()
    own = [p for _, quantizer in net.quantizers() for p in quantizer.parameters()]
    assert {p.dtype for p in own} == {torch.float32}
    assert {p.dtype for p in net.parameters() if all(p is not q for q in own)} == {torch.bfloat16}
    assert net(x).dtype == net.eval().finalize()(x).dtype == torch.bfloat16


def test_casts_keep_the_digits_of_depths() -> None:
    quantizer = Quantizer(torch.randn(3, 4), 0)
    with torch.no_grad():
        quantizer.bits.fill_(7.9999)
    assert quantizer.half().bits.tolist() == pytest.approx([7.9999] * 3, abs=1e-6)
    assert quantizer.bits.dtype == torch.float32
    assert quantizer.double().bits.dtype == torch.float64
    assert quantizer.bfloat16().exponent.dtype == torch.float32
    assert quantizer.dead.dtype == torch.bool


def test_a_gradient_scaler_is_undone_before_the_step() -> None:
    """A step with scaled gradients is the step without; one whose gradients overflow is left out."""
    model, x = Convolutions(), images(8).float()
    results = []
    for scaled in (False, True):
        net = scfx.compress(model, x)
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, enabled=scaled)
        for step in range(3):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(x), labels(8)) + 0.1 * net.size()
            scaler.scale(loss).backward()
            if scaled and step == 2:
                assert net.get_parameter("conv1.weight").grad is not None
                net.get_parameter("conv1.weight").grad.fill_(torch.inf)  # type: ignore[union-attr]
            if scaled or step < 2:
                scaler.step(optimizer)
                scaler.update()
                net.update(optimizer)
        results.append({name: value.clone() for name, value in net.named_parameters()})
    plain, scaled_ones = results
    for name, value in plain.items():
        torch.testing.assert_close(scaled_ones[name], value)


@pytest.mark.parametrize("update", [True, False])
def test_steps_that_a_scaler_skips_leave_no_trace(update: bool) -> None:
    """Gradients overflow until the scale has come down; with an update after such a step, or without."""
    layers = [nn.Conv2d(1, 8, 3, bias=False), nn.ReLU(), nn.Conv2d(8, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(96, 10)]
    model, x, runs = nn.Sequential(*layers), images(8).float(), []
    for scaled in (False, True):
        net = scfx.compress(model, x, dynamic=False)
        net.guards, net.prune_every = scfx.Guards(release=0.0), 1  # blockers shrink with updates, not with steps
        with torch.no_grad():
            net.get_parameter("0.weight_quantizer.bits")[:3] = torch.tensor([0.2, 0.3, 4.0])
        optimizer = torch.optim.Adam(net.param_groups())
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127, backoff_factor=0.25, enabled=scaled)
        skipped = taken = 0
        while taken < 6:
            optimizer.zero_grad()
            loss = 1000 * (nn.functional.cross_entropy(net(x), labels(8)) + 0.1 * net.size())
            scaler.scale(loss).backward()
            scale = scaler.get_scale()
            scaler.step(optimizer)
            scaler.update()
            missed = scaler.get_scale() < scale
            skipped, taken = skipped + missed, taken + (not missed)
            if update or not missed:
                net.update(optimizer)
        assert skipped > 1 if scaled else not skipped
        assert 0 < net.get_parameter("0.weight").shape[0] < 7
        runs.append(dict(net.named_parameters()) | {f"{n}.dead": q.dead for n, q in net.quantizers()})
    for name, value in runs[0].items():
        torch.testing.assert_close(runs[1][name], value, msg=name)


def test_channels_last_stays_through_a_removal() -> None:
    """Weights, quantized weights, gradients, optimizer state and what passes between the layers."""
    model = Convolutions()
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = images(4).float().to(memory_format=torch.channels_last)
    net = scfx.compress(model, x)
    optimizer = torch.optim.Adam(net.parameters())
    for removals in range(2):
        optimizer.zero_grad()
        tensors = kept_for_backward(net, x)
        optimizer.step()
        weight = net.get_parameter("conv2.weight")
        assert weight.shape[1] == 8 - removals
        assert weight.grad is not None
        tensors += [weight, weight.grad, optimizer.state[weight]["exp_avg"]]
        rows = [tensor for tensor in tensors if tensor.dim() == 4 and min(tensor.shape[1:]) > 1]
        assert len(rows) > 6
        assert all(tensor.is_contiguous(memory_format=torch.channels_last) for tensor in rows)
        zero_some(net)
        net.prune(optimizer)


def kept_for_backward(net: scfx.CompressedModule, x: Tensor) -> list[Tensor]:
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        net(x).sum().backward()
    return kept


def test_gradient_checkpointing_around_the_network() -> None:
    net, x = scfx.compress(Encoder(), words(4)), words(4)
    grads: list[Any] = []
    for out in (net(x), checkpoint(net, x, use_reentrant=False)):
        grads.append(torch.autograd.grad(out.square().sum(), list(net.parameters())))
    assert all(map(torch.equal, *grads))
