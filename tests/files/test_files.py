"""What is saved and loaded computes the same, bit for bit, without its class, and takes no more room than its bits."""

import copy
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, fx, nn

import scfx
from scfx.demo.measuring import size_of
from scfx.errors import CheckpointError, InputError
from tests.files.networks import FILES, Mixed, set_depths
from tests.toys import Block


class Pair(NamedTuple):
    first: Tensor
    rest: list[Tensor]


@dataclass
class Output:
    logits: Tensor
    more: dict[str, Pair]


class Transformer(nn.Module):
    """Takes and returns nested values, some in classes of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True, dropout=0.0)
        self.head = nn.Linear(8, 5)

    def forward(self, batch: dict[str, Any], scale: float = 2.0) -> Output:
        ids, (shift, _) = batch["ids"], batch["pair"]
        hidden = self.layer(self.embed(ids) + shift[:, None])
        logits = self.head(hidden).masked_fill(ids[..., None] == 3, float("-inf"))
        return Output(logits, {"more": Pair(hidden.mean(1) * scale, [torch.zeros_like(shift), hidden])})


def batch_of(count: int) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(count)
    ids = torch.randint(0, 20, (count, 7), generator=generator)
    return {"pair": (torch.randn(count, 8, generator=generator), torch.zeros(count)), "ids": ids}


def there_and_back(net: scfx.CompressedModule | fx.GraphModule, path: Path) -> tuple[fx.GraphModule, fx.GraphModule]:
    """The finalized network, and the one that was saved and loaded."""
    plain = net.finalize() if isinstance(net, scfx.CompressedModule) else net
    scfx.save(net, path)
    return plain, scfx.load(path)


def same(one: Tensor, other: Tensor) -> bool:
    """Whether they are the same to the bit, zeros' signs included."""
    return torch.equal(one, other) and torch.equal(one.signbit(), other.signbit())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_convolutional_network(dtype: torch.dtype, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = scfx.compress(Mixed().to(dtype), torch.randn(2, 4, 6, 6, dtype=dtype)).eval()
    set_depths(net)
    plain, loaded = there_and_back(net, tmp_path / "net")
    assert type(loaded).__name__ == type(plain).__name__ == "Compact"
    assert not loaded.training
    for count in (1, 2, 5):
        x = torch.randn(count, 4, 6, 6, dtype=dtype)
        assert same(loaded(x), plain(x))
    assert [*loaded.state_dict()] == [*plain.state_dict()]
    assert all(same(value, plain.state_dict()[name]) for name, value in loaded.state_dict().items())
    assert [name for name, _ in loaded.named_parameters()] == [name for name, _ in plain.named_parameters()]
    assert loaded.meta["bits"] == plain.meta["bits"]
    assert len({bits for widths in plain.meta["bits"].values() for bits in widths}) > 5
    again = there_and_back(loaded, tmp_path / "again")[1]
    assert FILES.read(tmp_path / "again")[1] == FILES.read(tmp_path / "net")[1]
    assert torch.equal(again(x), plain(x))


@pytest.fixture(scope="module")
def transformer() -> fx.GraphModule:
    torch.manual_seed(0)
    net = scfx.compress(Transformer(), (batch_of(2),)).eval()
    set_depths(net)
    return net.finalize()


def test_nested_inputs_and_outputs_without_their_classes(transformer: fx.GraphModule, tmp_path: Path) -> None:
    plain, loaded = there_and_back(transformer, tmp_path / "net")
    for count in (1, 4):
        expected, found = plain(batch_of(count)), loaded(batch=batch_of(count))
        assert isinstance(expected, Output)
        assert same(found.logits, expected.logits)
        assert found["logits"] is found[0] is found.logits
        pair = found.more["more"]
        assert same(pair.first, expected.more["more"].first)
        assert isinstance(pair.rest, list)
        assert all(map(same, pair.rest, expected.more["more"].rest))
    with pytest.raises(AttributeError, match="no 'loss', only logits, more"):
        _ = found.loss


def test_loads_where_nothing_of_the_model_is(transformer: fx.GraphModule, tmp_path: Path) -> None:
    scfx.save(transformer, tmp_path / "net")
    torch.save((batch_of(3), transformer(batch_of(3)).logits), tmp_path / "expected")
    program = """if True:
        import pickle, sys, torch, scfx
        def refused(*_, **__): raise AssertionError("pickle")
        inputs, expected = torch.load(sys.argv[2])
        pickle.load = pickle.loads = pickle.Unpickler = torch.load = refused
        assert torch.equal(scfx.load(sys.argv[1])(inputs).logits, expected)
        assert not any(name.startswith("tests") for name in sys.modules)
    """
    subprocess.run([sys.executable, "-c", program, tmp_path / "net", tmp_path / "expected"], check=True, cwd=tmp_path)


@pytest.mark.parametrize("quantize", [False, True])
def test_room(quantize: bool, tmp_path: Path) -> None:
    """At most 1.02 times the bits that are counted, and a header."""
    torch.manual_seed(0)
    x = torch.randn(2, 1, 8, 8)
    net = scfx.compress(Block(1, 16), x, quantize=quantize).eval()
    if quantize:
        set_depths(net)
    path = tmp_path / "net"
    plain, loaded = there_and_back(net, path)
    assert same(loaded(x), plain(x))
    header = 8 + int.from_bytes(path.read_bytes()[:8], "little")
    room = path.stat().st_size - header
    assert room * 8 <= 1.02 * size_of(plain).all_bits
    assert header < 30_000
    assert (room < 2 * size_of(plain).weights) == quantize


class Positions(nn.Module):
    """Rows looked up by numbers that are a buffer, and masks that layers share: much beside a small weight."""

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.layers = nn.Embedding(64, 6), nn.ModuleList(nn.Linear(64, 64) for _ in range(3))
        self.register_buffer("places", torch.arange(64)[None])

    def forward(self, x: Tensor) -> Tensor:
        mask = torch.ones(64, 64, dtype=torch.bool).tril()
        x = x + self.rows(self.get_buffer("places"))
        for layer in self.layers:
            x = torch.tanh(layer(x.transpose(1, 2))).transpose(1, 2)
            x = (x @ x.transpose(1, 2)).masked_fill(~mask, 0).softmax(-1) @ x
        return x


def test_what_is_no_float_counts_as_well(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = scfx.compress(Positions(), torch.randn(2, 64, 6), dynamic=False).eval()
    set_depths(net)
    plain, _ = there_and_back(net, tmp_path / "net")
    header = 8 + int.from_bytes((tmp_path / "net").read_bytes()[:8], "little")
    bits = ((tmp_path / "net").stat().st_size - header) * 8
    assert size_of(plain).all_bits <= bits <= 1.02 * size_of(plain).all_bits
    held = {str(tensor.dtype): tensor.nbytes for tensor in plain.buffers()}
    assert held == {"torch.int64": 512, "torch.bool": 4096}, "layers share one mask"


def test_memory_formats_stay(tmp_path: Path) -> None:
    model: Any = nn.Conv2d(3, 5, 3)
    net = scfx.compress(model.to(memory_format=torch.channels_last), torch.randn(2, 3, 8, 8))
    plain, loaded = there_and_back(net, tmp_path / "net")
    weights = {name: tensor for name, tensor in plain.named_parameters() if not tensor.is_contiguous()}
    assert weights
    assert all(loaded.get_parameter(name).stride() == tensor.stride() for name, tensor in weights.items())
    assert all(torch.equal(loaded.get_parameter(name), tensor) for name, tensor in weights.items())


def test_what_is_frozen_or_complex_stays_so(tmp_path: Path) -> None:
    class Rotated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)
            self.layer.weight.requires_grad_(False)
            self.register_buffer("turn", torch.polar(torch.ones(2), torch.tensor([0.5, 1.0])))

        def forward(self, x: Tensor) -> Tensor:
            pairs = torch.view_as_complex(self.layer(x).view(-1, 2, 2)) * self.get_buffer("turn")
            return torch.view_as_real(pairs).flatten(1)

    plain, loaded = there_and_back(scfx.compress(Rotated(), torch.randn(3, 4), quantize=False), tmp_path / "net")
    x = torch.randn(5, 4)
    assert same(loaded(x), plain(x))
    assert [p.requires_grad for p in loaded.parameters()] == [p.requires_grad for p in plain.parameters()]
    assert loaded.get_buffer("turn").is_complex()


def test_regions_with_autocast_of_their_own(tmp_path: Path) -> None:
    class Region(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = self.first(x)
            with torch.autocast("cpu", enabled=False):
                result: Tensor = self.last(x.float())
            return result

    plain, loaded = there_and_back(scfx.compress(Region(), torch.randn(2, 4)), tmp_path / "net")
    assert "wrap_with_autocast" in plain.code
    assert loaded.graph._tracer_cls is plain.graph._tracer_cls
    with torch.autocast("cpu"):
        assert same(loaded(torch.ones(3, 4)), plain(torch.ones(3, 4)))


def test_what_the_graph_calls_without_a_record_is_not_saved(tmp_path: Path) -> None:
    plain = scfx.compress(nn.Linear(4, 3), torch.randn(2, 4)).finalize()
    node = next(node for node in plain.graph.nodes if node.op == "call_function")
    with plain.graph.inserting_after(node):
        plain.graph.call_function(torch.ops.aten._print.default, ("x",))
    with pytest.raises(CheckpointError, match=r"calls aten._print.default, which has no record.*Nothing was written"):
        scfx.save(plain, tmp_path / "net")
    assert not list(tmp_path.iterdir())


def test_only_what_scfx_made_is_saved(tmp_path: Path) -> None:
    traced = fx.symbolic_trace(nn.Sequential(nn.Linear(2, 2)))
    for other in (nn.Linear(2, 2), traced):
        with pytest.raises(InputError, match=r"expected what scfx.compress or net.finalize\(\) returned"):
            scfx.save(other, tmp_path / "net")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_weights_that_were_changed_are_not_rounded_in_silence(tmp_path: Path) -> None:
    plain = scfx.compress(nn.Linear(4, 3), torch.randn(2, 4)).finalize()
    before = copy.deepcopy(plain)
    with torch.no_grad():
        plain.get_parameter("weight")[1, 2] *= 1.001
    path = tmp_path / "net"
    with pytest.raises(CheckpointError, match=r"weight is not what net.finalize\(\) left"):
        scfx.save(plain, path)
    assert not list(tmp_path.iterdir())
    del plain.meta["scales"]["weight"]
    x = torch.randn(2, 4)
    assert torch.equal(there_and_back(plain, path)[1](x), plain(x))
    assert torch.equal(there_and_back(before.half(), path)[1](x.half()), before(x.half()))


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, path = scfx.compress(nn.Linear(4, 3), torch.randn(2, 4)).finalize(), tmp_path / "net"
    scfx.save(plain, path)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="the disk is full"):
        scfx.save(plain, path)
    assert path.read_bytes() == before
    assert [*tmp_path.iterdir()] == [path]
