"""Whatever a file says: a clear error, at once and without much memory, or a network of known operators."""

import json
import random
import resource
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn

import scfx
from scfx.errors import CheckpointError
from tests.files.networks import FILES, rewrite, set_depths

X = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network with a buffer, nested inputs and a text among its arguments."""

    class Small(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 3)
            self.register_buffer("shift", torch.arange(3.0))

        def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
            x = nn.functional.gelu(self.first(batch["x"]), approximate="tanh")
            return {"y": self.last(x) + self.get_buffer("shift") + torch.zeros(3)}

    torch.manual_seed(0)
    net = scfx.compress(Small(), ({"x": X},)).eval()
    set_depths(net)
    path = tmp_path_factory.mktemp("saved") / "net"
    scfx.save(net.finalize(fold=False), path)
    return path


@pytest.fixture
def path(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("os.fsync", lambda handle: None)  # which would take longer than all the rest
    copied = tmp_path / "net"
    copied.write_bytes(saved.read_bytes())
    return copied


def node(content: Any, kind: str) -> Any:
    """The last node of a kind."""
    return next(line for line in reversed(content["graphs"][""]) if kind in line)


def record(content: Any, name: str) -> Any:
    return next(line for line in content["tensors"] if name == line["name"])


Edit = Callable[[Any, dict[str, Tensor]], Any]
EDITS: dict[str, tuple[Edit, str]] = {
    "an operator that is not known": (
        lambda c, t: node(c, "call").update(call="aten.from_file.default"),
        "'aten.from_file.default', which is no operator that a file may call",
    ),
    "a function of Python": (lambda c, t: node(c, "call").update(call="os.system"), "no operator that"),
    "a path to a function": (lambda c, t: node(c, "call").update(call="aten.add.__class__"), "no operator that"),
    "another library's operator": (lambda c, t: node(c, "call").update(call="profiler._record.default"), "no operator"),
    "arithmetic that may run out of memory": (
        lambda c, t: node(c, "call").update(call="operator.mod", args=[{"text": "%99999999999d"}, 1]),
        "arguments that it can't have",
    ),
    "code in an argument's name": (
        lambda c, t: node(c, "call").update(kwargs={"x=print()": 1}),
        "arguments that it hasn't",
    ),
    "code in a node's name": (lambda c, t: node(c, "call").update(name="x = print(); y"), "can't be a name in code"),
    "code in an input's name": (lambda c, t: node(c, "input").update(input="x=print()"), "can't be a name in code"),
    "code in an argument's name of the network": (
        lambda c, t: c["call"].update(names=["batch=print()"]),
        "can't be a name in code",
    ),
    "code in a default": (
        lambda c, t: node(c, "input").update(default={"dtype": "print()"}),
        "is nothing that an argument can be",
    ),
    "a value in a default": (
        lambda c, t: node(c, "input").update(default="%" + node(c, "call")["name"]),
        "no value that was made",
    ),
    "a keyword as a name": (lambda c, t: c["call"].update(names=["class"]), "damaged"),
    "code in a tensor's name": (lambda c, t: record(c, "shift").update(name='a"+print()+"'), "can't be the name"),
    "a path as a tensor's name": (lambda c, t: record(c, "shift").update(name="../../shift"), "can't be the name"),
    "an absolute path as a name": (lambda c, t: record(c, "shift").update(name="/etc/passwd"), "can't be the name"),
    "a special name": (lambda c, t: record(c, "shift").update(name="__class__"), "can't be the name"),
    "a name that a module has": (lambda c, t: record(c, "shift").update(name="forward"), "of a module's own"),
    "a name inside a tensor": (lambda c, t: c["tensors"].append({"name": "shift.x"}), "damaged"),
    "a name twice": (lambda c, t: c["tensors"].append(record(c, "shift")), "two tensors are named 'shift'"),
    "a cycle": (lambda c, t: node(c, "call").update(args=["%" + node(c, "call")["name"]]), "no value that was made"),
    "what comes later": (lambda c, t: c["graphs"][""].insert(0, node(c, "call")), "no value that was made"),
    "a node twice": (lambda c, t: c["graphs"][""].insert(-1, node(c, "call")), "two nodes are named"),
    "a tensor that isn't there": (lambda c, t: node(c, "tensor").update(tensor="forward"), "isn't there"),
    "a region that isn't there": (
        lambda c, t: c["graphs"][""].insert(0, {"name": "a", "graph": "code"}),
        "the graph 'code', which isn't there",
    ),
    "no output": (lambda c, t: c["graphs"][""].pop(), "'output'"),
    "no graph": (lambda c, t: c.update(graphs={"": []}), "it has no graph"),
    "a huge shape": (lambda c, t: record(c, "first.weight").update(shape=[1 << 40, 1 << 20]), "it claims"),
    "a huge shape without bits": (
        lambda c, t: record(c, "first.weight").update(shape=[5, 1 << 40]) or no_bits(t, "first.weight"),
        "it claims 5,497,558,138,",
    ),
    "a large shape": (lambda c, t: record(c, "first.weight").update(shape=[5, 1 << 20]), "bytes don't hold"),
    "many shapes": (
        lambda c, t: c["tensors"].extend({"name": f"a{n}", "shape": [1 << 20]} for n in range(99)),
        "it claims",
    ),
    "a negative shape": (lambda c, t: record(c, "first.weight").update(shape=[-6, -4]), "is no shape"),
    "scales that don't fit": (lambda c, t: t.update({"scales/first.weight": torch.ones(4, 1)}), "don't fit a weight"),
    "scales of no numbers": (
        lambda c, t: t.update({"scales/first.weight": torch.ones(5, 1, dtype=torch.int64)}),
        "can't be of dtype",
    ),
    "codes of another type": (
        lambda c, t: t.update({"codes/first.weight": torch.ones(9)}),
        "what is packed of first.weight is not bytes",
    ),
    "too many bits": (
        lambda c, t: t.update({"depths/first.weight": torch.full((4,), 255, dtype=torch.uint8)}),
        "31 bits, and none can have more than 24",
    ),
    "a huge tensor of zeros": (
        lambda c, t: node(c, "call").update(call="aten.zeros.default", args=[[1 << 40, 1 << 20]]),
        "it claims",
    ),
    "a tensor that is not mentioned": (lambda c, t: t.update(other=torch.ones(1)), "'other', of which nothing is said"),
    "a tensor that is missing": (lambda c, t: t.update(shift=t.pop("plain/shift")), "plain/shift"),
    "an order that is none": (lambda c, t: record(c, "shift").update(order=[0, 0]), "damaged"),
    "a kind that is none": (lambda c, t: record(c, "shift").update(kind="module"), "'module', which is neither"),
    "a structure that doesn't fit": (lambda c, t: c["call"].update(inputs={"list": ["*", "*"]}), "is not that of"),
    "a structure that is none": (lambda c, t: c["call"].update(inputs={"os.system": ["*"]}), "is no structure"),
    "a class as a structure": (lambda c, t: c["call"].update(outputs={"fields": [["__class__()", "*"]]}), "can't be a"),
    "a number beyond all": (lambda c, t: node(c, "call").update(args=[1 << 70]), "is nothing that an argument can be"),
    "a number of a million digits": (lambda c, t: '{"tensors": ' + "9" * 1_000_000 + "}", "damaged"),
    "no number": (lambda c, t: '{"tensors": NaN}', "NaN is no number"),
    "nested deeply": (lambda c, t: "[" * 1_000_000, "damaged"),
    "an argument nested deeply": (
        lambda c, t: node(c, "call").update(args=json.loads("[" * 50 + "]" * 50)),
        "nested more than 32 deep",
    ),
    "a structure nested deeply": (
        lambda c, t: c["call"].update(inputs=json.loads('{"list": [' * 50 + '"*"' + "]}" * 50)),
        "is no structure",
    ),
    "no JSON": (lambda c, t: "import os", "damaged"),
    "a list": (lambda c, t: "[]", "damaged"),
}


def no_bits(tensors: dict[str, Tensor], name: str) -> Any:
    """Makes all of a weight's channels such that have no bits."""
    tensors[f"depths/{name}"].zero_()
    tensors[f"codes/{name}"] = torch.zeros(0, dtype=torch.uint8)


@pytest.mark.parametrize("what", EDITS)
def test_what_no_network_says(what: str, path: Path) -> None:
    edit, message = EDITS[what]
    rewrite(path, edit)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError) as error:
        scfx.load(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)
    assert len(str(error.value)) < 1000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kilobytes


def test_the_file_itself_is_what_is_wrong_with_these(path: Path) -> None:
    """What is edited and not changed loads."""
    rewrite(path, lambda content, tensors: None)
    assert scfx.load(path)({"x": X})["y"].shape == (3, 3)


def test_other_files(path: Path, tmp_path: Path) -> None:
    whole = path.read_bytes()
    with pytest.raises(FileNotFoundError):
        scfx.load(tmp_path / "nothing")
    for content, message in (
        (b"", "damaged"),
        (b"\x80\x04N.", "damaged"),
        (struct.pack("<Q", 1 << 60) + whole[8:], "its header claims 1,152,921,504,606,846,976 bytes"),
        (whole.replace(b'"scfx.network"', b'"scfx.natwork"'), "is no network saved by scfx"),
        (whole.replace(b'"version":"1"', b'"version":"2"'), "has version '2' of the format, and this scfx knows '1'"),
    ):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=message):
            scfx.load(path)
    net, x = scfx.compress(nn.Linear(4, 2), X), torch.optim.SGD([nn.Parameter(torch.ones(1))], 0.1)
    x = torch.optim.SGD(net.parameters(), 0.1)
    scfx.save_checkpoint(path, net, x)
    with pytest.raises(CheckpointError, match="is no network saved by scfx"):
        scfx.load(path)


def outcome(path: Path) -> list[Tensor] | None:
    """What a file's network computes, or None if it has been refused in words."""
    try:
        loaded = scfx.load(path)
    except CheckpointError:
        return None
    return [*loaded.state_dict().values(), loaded({"x": X})["y"]]


def test_no_bit_may_differ(path: Path) -> None:
    """Bits flipped, bytes lost, doubled and swapped: each is noticed, or else nothing of the network has changed."""
    whole, expected = path.read_bytes(), outcome(path)
    assert expected is not None
    chance, refused = random.Random(0), 0
    for number in range(200):
        data = bytearray(whole)
        place = chance.randrange(len(data)) if number % 5 else chance.randrange(200)
        match number % 4:
            case 0 | 1:
                data[place] ^= 1 << chance.randrange(8)
            case 2:
                del data[place : None if chance.random() < 0.5 else place + chance.randrange(1, 9)]
            case 3:
                data[place:place] = data[place : place + chance.randrange(1, 99)]
        path.write_bytes(data)
        found = outcome(path)
        refused += found is None
        assert found is None or all(map(torch.equal, found, expected))
    assert refused >= 195


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a value of JSON with each of its keys."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from places(value[key])


WORDS: list[Any] = [
    None, True, -1, 0, 7, 1 << 62, 1 << 80, 0.5, "", "%", "%linear", "x", "forward", "code", "*", [], {}, [[]],
    {"text": "x"}, {"dtype": "float32"}, {"tuple": []}, {"dict": [["a", 1]]}, {"list": ["*"]}, "aten.relu.default",
    "aten.add.Tensor", "operator.getitem", "wrap_with_autocast", "first.weight", [1 << 40], {"graph": "code"}, "\x00",
]  # fmt: skip


def test_whatever_it_says_there_is_an_error_in_words_or_a_network(path: Path) -> None:
    """With the checksum right, something in the text is replaced, dropped or doubled."""
    tensors, text = FILES.read(path)
    chance, refused = random.Random(0), 0
    for _ in range(200):
        content = json.loads(text)
        for _ in range(chance.choice([1, 1, 2, 5])):
            where, key = chance.choice([*places(content)])
            match chance.randrange(4):
                case 0:
                    del where[key]
                case 1 if isinstance(where, list):
                    where.insert(key, chance.choice(where))
                case _:
                    where[key] = chance.choice(WORDS)
        FILES.write(path, tensors, json.dumps(content))
        try:
            assert isinstance(scfx.load(path), fx.GraphModule)
        except CheckpointError:
            refused += 1
    assert 80 < refused < 200
