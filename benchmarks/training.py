"""What self-compression costs beside the training step: `python -m benchmarks.training [name ...] [--write FILE]`.

Every figure is a ratio within one run, of processor time on one thread. What is compared takes turns, and the median of
their ratios counts, so that a busy machine slows both sides alike. With `--write docs/speed.md` the table goes into
that file. `--compile` measures torch.compile instead, which takes minutes.
"""

from __future__ import annotations

import argparse
import copy
import datetime
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

import scfx

#: How often each thing is timed.
TIMES = 7

#: What stands before and after the table in the file it is written to.
MARK = "<!-- table -->\n"


def _block(inputs: int, outputs: int, stride: int) -> nn.Module:
    from torchvision.models.resnet import BasicBlock

    shortcut = None
    if inputs != outputs:
        shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
    block: nn.Module = BasicBlock(inputs, outputs, stride, shortcut)
    return block


def _resnet20() -> tuple[nn.Module, Tensor]:
    widths = [16, 16, 16, 16, 32, 32, 32, 64, 64, 64]
    blocks = [_block(a, b, 1 if a == b else 2) for a, b in pairwise(widths)]
    stem = [nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]
    return nn.Sequential(*stem, *blocks, *head), torch.randn(64, 3, 32, 32)


def _resnet50() -> tuple[nn.Module, Tensor]:
    import torchvision

    return torchvision.models.resnet50(), torch.randn(16, 3, 96, 96)


class _Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(128, 4, 512, dropout=0.0, activation="gelu", batch_first=True)
        self.embedding, self.head = nn.Embedding(1000, 128), nn.Linear(128, 10)
        self.encoder = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)

    def forward(self, ids: Tensor) -> Tensor:
        result: Tensor = self.head(self.encoder(self.embedding(ids)).mean(1))
        return result


def _encoder() -> tuple[nn.Module, Tensor]:
    return _Encoder(), torch.randint(1000, (16, 64))


MODELS: dict[str, tuple[str, Callable[[], tuple[nn.Module, Tensor]]]] = {
    "resnet20": ("ResNet-20, 64 images of 32 x 32", _resnet20),
    "encoder": ("transformer, 4 layers of 128 features, 16 x 64 words", _encoder),
    "resnet50": ("ResNet-50, 16 images of 96 x 96", _resnet50),
}


class Loop:
    """A model, its optimizer, and one batch to train on."""

    def __init__(self, model: nn.Module, inputs: Tensor, call: Callable[[Tensor], Tensor] | None = None) -> None:
        self.model, self.inputs, self.call = model, inputs, model if call is None else call
        self.labels = torch.arange(len(inputs)) % 10
        groups = model.param_groups() if isinstance(model, scfx.CompressedModule) else list(model.parameters())
        self.optimizer = torch.optim.Adam(groups, lr=1e-3)

    def step(self) -> None:
        self.optimizer.zero_grad()
        loss = functional.cross_entropy(self.call(self.inputs), self.labels)
        if isinstance(self.model, scfx.CompressedModule) and any(True for _ in self.model.quantizers()):
            loss = loss + 0.01 * self.model.size()
        loss.backward()
        self.optimizer.step()


def turns(*things: Callable[[], object], times: int = TIMES) -> list[list[float]]:
    """The processor times of each thing, run in turns; once before, unmeasured."""
    found: list[list[float]] = [[] for _ in things]
    for turn in range(times + 1):
        for thing, list_ in zip(things, found, strict=True):
            time_ = once(thing)
            if turn:
                list_.append(time_)
    return found


def ratio(times: Sequence[float], others: Sequence[float]) -> float:
    """The median of the ratios of what was timed in the same turn."""
    return statistics.median(one / other for one, other in zip(times, others, strict=True))


def once(thing: Callable[[], object]) -> float:
    """The processor time of something that can be done once only."""
    start = time.process_time()
    thing()
    return time.process_time() - start


def _quantizing(net: scfx.CompressedModule) -> tuple[Callable[[], None], Callable[[], None]]:
    """All quantizers forward and backward, and the same with plain copies of the weights in their place."""
    pairs = [(q, net.get_parameter(path.removesuffix("_quantizer"))) for path, q in net.quantizers()]
    grads = [torch.randn_like(weight) for _, weight in pairs]

    def quantize() -> None:
        for (quantizer, weight), grad in zip(pairs, grads, strict=True):
            torch.autograd.grad(quantizer(weight), (weight, *quantizer.parameters()), grad)

    def copies() -> None:
        for (_, weight), grad in zip(pairs, grads, strict=True):
            torch.autograd.grad(weight.clone(), weight, grad)

    return quantize, copies


def _die(net: scfx.CompressedModule, share: float) -> None:
    """Takes all bits from a share of the channels of each weight, and the rest of such a channel with them."""
    tensors = net.state_dict(keep_vars=True)
    with torch.no_grad():
        for axis in net.channels.axes:
            if axis.pinned is not None or axis.size < 8:
                continue
            channels = range(max(1, int(share * axis.size)))
            for member in axis.members:
                if member.name.endswith((".bits", ".bias", "_bias", ".running_mean")):
                    for index in (int(index) for channel in channels for index in member.indices(channel)):
                        tensors[member.name].select(member.dim, index).zero_()


def _remove(loop: Loop) -> None:
    """Removes what can go, and counts the size that is left, which is the first thing to be worked out anew."""
    assert isinstance(loop.model, scfx.CompressedModule)
    loop.model.prune(loop.optimizer)
    loop.model.size()


def measure(name: str) -> list[str]:
    """The figures of one model, as in `HEADINGS`."""
    title, build = MODELS[name]
    torch.manual_seed(0)
    model, inputs = build()
    plain = Loop(scfx.compress(model, inputs[:2], dynamic=False, quantize=False), inputs)
    loop = Loop(scfx.compress(model, inputs[:2], dynamic=False), inputs)
    net = loop.model
    assert isinstance(net, scfx.CompressedModule)
    net.prune_every = None
    original, unquantized, steps = turns(Loop(copy.deepcopy(model), inputs).step, plain.step, loop.step)
    step = statistics.median(steps)
    quantize, copies = turns(*_quantizing(net))
    (nothing,) = turns(lambda: net.update(loop.optimizer))
    _, path = min((q.bits.numel(), path) for path, q in net.quantizers())
    died = []
    for channel in range(3):
        with torch.no_grad():
            net.get_parameter(f"{path}.bits")[channel] = 0
        died.append(once(lambda: net.update(loop.optimizer)))
    removals, before, again = [], [], []
    for _ in range(TIMES // 2):
        after = Loop(copy.deepcopy(net), inputs)
        small = after.model
        assert isinstance(small, scfx.CompressedModule)
        after.step()
        small.update(after.optimizer)
        before.append(once(after.step))
        small.update(after.optimizer)
        _die(small, 0.1)
        small.update(after.optimizer)
        removals.append(once(partial(_remove, after)))
        after.step()
        again.append(once(after.step))
    left = sum(p.numel() for p in small.parameters()) / sum(p.numel() for p in net.parameters())
    return [
        title, f"{1e3 * statistics.median(original):.0f} ms", f"{ratio(unquantized, original):.2f}",
        f"{ratio(steps, original):.2f}", f"{ratio(quantize, copies):.1f}", f"{statistics.median(nothing) / step:.1%}",
        f"{statistics.median(died) / step:.1%}", f"{ratio(removals, before):.2f}", f"{left:.0%}",
        f"{ratio(again, before):.2f}",
    ]  # fmt: skip


def measure_compiled(name: str) -> list[str]:
    """The figures of one model, as in `COMPILED`."""
    title, build = MODELS[name]
    torch.manual_seed(0)
    model, inputs = build()
    found = [title]
    for net in (model, scfx.compress(model, inputs[:2], dynamic=False)):
        fast = Loop(net, inputs, torch.compile(net))
        start = time.monotonic()  # the compiler's own processes count, too
        fast.step()
        found.append(f"{time.monotonic() - start:.0f} s")
        eager, quick = turns(Loop(net, inputs).step, fast.step)
        found.append(f"{ratio(quick, eager):.2f}")
    return found


HEADINGS = [
    "",
    "training step of the original",
    "step of `compress(quantize=False)` / of the original",
    "step of `compress` / of the original",
    "quantizers / copies of the weights, forward and backward",
    "`update` where nothing dies / step",
    "`update` where a channel has just died / step",
    "removal of a tenth of the channels / step",
    "parameters left by it",
    "step after it / before",
]

COMPILED = [
    "",
    "to compile the original, forward and backward",
    "its step compiled / not compiled",
    "to compile the compressed network",
    "its step compiled / not compiled",
]


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with a column for each network."""
    first, *rest = zip(headings, *rows, strict=True)
    lines = [first, ("---",) * len(first), *rest]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def machine() -> str:
    """Processor, versions and date."""
    info = Path("/proc/cpuinfo")
    models = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
    processor = models[0] if info.exists() and models else platform.processor()
    return (
        f"{processor}, one thread; Python {platform.python_version()}, torch {torch.__version__}; "
        f"{datetime.datetime.now(tz=datetime.UTC).date()}."
    )


def put(text: str, file: Path, mark: str) -> None:
    """Replaces what stands between two marks of a file."""
    before, _, after = file.read_text().split(mark)
    file.write_text(f"{before}{mark}\n{text}\n{mark}{after}")


def main() -> None:
    """Print the table, or write it between the marks of a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*MODELS, []], metavar="name", help=", ".join(MODELS))
    parser.add_argument("--compile", action="store_true", help="measure torch.compile")
    parser.add_argument("--write", type=Path, help="the Markdown file whose table is replaced")
    options = parser.parse_args()
    torch.set_num_threads(1)
    headings, of = (COMPILED, measure_compiled) if options.compile else (HEADINGS, measure)
    text = f"{table(headings, [of(name) for name in options.names or MODELS])}\n{machine()}\n"
    print(text)
    if options.write:
        put(text, options.write, MARK)


if __name__ == "__main__":
    main()
