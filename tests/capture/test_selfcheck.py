"""Capture checks itself: each silent trap of export is an error that names its cause."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import fx, nn
from torch.nn import functional as F

from scfx.capture.capture import capture
from scfx.capture.program import MODES, Program
from scfx.capture.selfcheck import check_program
from scfx.capture.twin import own_copy
from scfx.errors import CaptureError
from tests.captured import Base, Convolution, X


class Rounded(torch.autograd.Function):
    """Rounding with a straight-through gradient, the way that loses it."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return torch.round(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0]


class StraightThrough(Base):
    """Weights rounded by a custom function, or by one that export understands."""

    def __init__(self, custom: bool) -> None:
        super().__init__()
        self.custom = custom

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scaled = self.layer.weight * 4
        rounded: Any = Rounded.apply(scaled) if self.custom else scaled + (torch.round(scaled) - scaled).detach()  # type: ignore[no-untyped-call]
        return F.linear(x, rounded / 4)


class FrozenLength(Base):
    """A batch size taken by `len`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.layer(x)
        return y.reshape(len(x), 2, 2)


class FixedRows(Base):
    """A parameter for each row of the input: another batch size is refused by the model itself."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.ones(4, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.layer(x)
        return y * self.rows


class Remembers(Base):
    """Keeps what it computed from the first input it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.cache: dict[str, torch.Tensor] = {}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if "mean" not in self.cache:
            self.cache["mean"] = x.mean(0).detach()
        y: torch.Tensor = self.layer(x - self.cache["mean"])
        return y


def message(model: nn.Module, example: Any) -> str:
    with pytest.raises(CaptureError) as caught:
        capture(model, example)
    return str(caught.value)


def test_a_custom_function_is_named_with_the_parameter_and_the_cure() -> None:
    text = message(StraightThrough(custom=True), X)
    assert "gradient of parameter 'layer.weight' differs in train mode" in text
    assert "custom autograd.Function Rounded (" in text
    assert "test_selfcheck.py:" in text
    assert "(torch.round(x) - x).detach()" in text
    capture(StraightThrough(custom=False), X)


def test_a_frozen_batch_size_is_named_with_its_line() -> None:
    text = message(FrozenLength(), X)
    assert "batch size was frozen" in text
    assert "return y.reshape(len(x), 2, 2)" in text
    assert "x.shape[0] instead of len(x)" in text


def test_a_batch_size_that_the_model_itself_fixes_is_no_error() -> None:
    program = capture(FixedRows(), X)
    assert program.call.inputs[0].shape == (4, 3)


def test_a_tensor_kept_from_the_first_call_is_named() -> None:
    assert "stores a tensor on the model, cache['mean']" in message(Remembers(), X)


@pytest.fixture
def captured() -> tuple[nn.Module, Program]:
    model = own_copy(nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), Convolution_()))
    program = capture(model, IMAGES, check=False)
    for name, parameter in program.root.named_parameters():
        model.get_parameter(name).data = parameter.data
    return model, program


class Convolution_(Convolution):
    """The same on the four channels that the layer before it leaves."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3)


IMAGES = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def plant(program: Program, target: Any, other: Any) -> None:
    for mode in MODES:
        found = [node for node in program.graphs[mode].nodes if node.target is target]
        assert found
        found[0].target = other


class Expanded(Base):
    """A constant, and a buffer, that are one number seen many times: nothing may be written to them."""

    one: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("one", torch.ones(1).expand(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.layer(x) * torch.tensor([2.0]).expand(4) + self.one
        return result


def test_tensors_that_cannot_be_written_stay_as_they_are() -> None:
    assert capture(Expanded(), X, dynamic=False).root.get_buffer("one").stride() == (0,)


def test_a_wrong_operator_is_found_in_its_module(captured: tuple[nn.Module, Program]) -> None:
    model, program = captured
    check_program(program, model, (IMAGES,), {})
    plant(program, torch.ops.aten.relu.default, torch.ops.aten.abs.default)
    with pytest.raises(
        CaptureError, match=r"output differs in train mode.*\n.*first submodule whose output differs is '0.1'"
    ):
        check_program(program, model, (IMAGES,), {})


def test_a_lost_gradient_is_found(captured: tuple[nn.Module, Program]) -> None:
    model, program = captured
    for graph in program.graphs.values():
        node = next(node for node in graph.nodes if node.target == "1.conv.bias")
        with graph.inserting_after(node):
            detached = graph.call_function(torch.ops.aten.detach.default, (node,))
        node.replace_all_uses_with(detached, delete_user_cb=lambda user: user is not detached)  # noqa: B023
    with pytest.raises(CaptureError, match=r"gradient of parameter '1.conv.weight'|'1.conv.bias'"):
        check_program(program, model, (IMAGES,), {})


def test_a_missing_buffer_update_is_found(captured: tuple[nn.Module, Program]) -> None:
    model, program = captured
    graph = program.graphs["train"]
    node = next(node for node in graph.nodes if node.target is torch.ops.aten.add_.Tensor)
    graph.erase_node(node)
    with pytest.raises(CaptureError, match=r"buffer '1.norm.num_batches_tracked' after the call differs in train mode"):
        check_program(program, model, (IMAGES,), {})


def test_a_baked_batch_size_is_found_at_its_node(captured: tuple[nn.Module, Program]) -> None:
    model, program = captured
    for graph in program.graphs.values():
        output = next(node for node in graph.nodes if node.op == "output")
        (result,) = output.args[0]
        with graph.inserting_before(output):
            fixed = graph.call_function(torch.ops.aten.view.default, (result, [2, -1]))
            fixed = graph.call_function(torch.ops.aten.view.default, (fixed, [2, 64]))
        output.args = ((fixed,),)
    with pytest.raises(CaptureError, match="one more sample"):
        check_program(program, model, (IMAGES,), {})


def test_the_check_leaves_no_trace(captured: tuple[nn.Module, Program]) -> None:
    model, program = captured
    state = {key: value.clone() for key, value in program.root.state_dict().items()}
    numbers = torch.get_rng_state()
    check_program(program, model, (IMAGES,), {})
    assert all(torch.equal(value, state[key]) for key, value in program.root.state_dict().items())
    assert all(parameter.grad is None for parameter in [*program.root.parameters(), *model.parameters()])
    assert torch.equal(torch.get_rng_state(), numbers)
    assert all(isinstance(graph, fx.Graph) for graph in program.graphs.values())
