"""Captured programs keep names, objects and shapes of the model, and leave the model as it was."""

from __future__ import annotations

import copy
import pickle
import random
from typing import Any

import pytest
import torch
from torch import nn

import scfx
from scfx.capture.capture import capture
from scfx.capture.program import MODES, Mode, Program, graph_module
from scfx.terms.symbolic import FIRST_PRIME, is_symbolic
from tests.captured import MODELS, Base, Convolution, Keywords, Tied, TwoInputs, TwoOutputs, WeightNorm, X


def call(program: Program, mode: Mode, *args: Any, **kwargs: Any) -> Any:
    leaves = program.call.flatten(args, kwargs)
    return program.call.unflatten(graph_module(program, mode)(*leaves), mode)


@pytest.mark.parametrize("name", MODELS)
def test_names_order_and_kinds_of_state_are_the_models(name: str) -> None:
    build, example = MODELS[name]
    model = build()
    root = capture(model, example).root
    assert list(root.state_dict()) == list(model.state_dict())
    assert [n for n, _ in root.named_parameters()] == [n for n, _ in model.named_parameters()]
    for key, value in model.state_dict().items():
        assert torch.equal(root.state_dict()[key], value)
    for one, other in zip(root.parameters(), model.parameters(), strict=True):
        assert one is not other
        assert one.requires_grad == other.requires_grad


@pytest.mark.parametrize("name", MODELS)
def test_the_model_and_the_random_state_stay_as_they_were(name: str) -> None:
    build, example = MODELS[name]
    model = build().train()
    next(model.children()).eval()
    flags = [module.training for module in model.modules()]
    state = {key: value.clone() for key, value in model.state_dict().items()}
    attributes = {path: set(vars(module)) for path, module in model.named_modules()}
    numbers, python = torch.get_rng_state(), random.getstate()
    capture(model, example)
    assert [module.training for module in model.modules()] == flags
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert {path: set(vars(module)) for path, module in model.named_modules()} == attributes
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), numbers)
    assert random.getstate() == python


@pytest.mark.parametrize("name", MODELS)
def test_every_node_has_plain_metadata(name: str) -> None:
    build, example = MODELS[name]
    program = capture(build(), example)
    for graph in program.graphs.values():
        graph.lint()
        for node in graph.nodes:
            assert not {"val", "tensor_meta"} & set(node.meta)
            assert {"shape", "dtype"} <= set(node.meta)
            if node.op == "get_attr":
                value = dict([*program.root.named_parameters(), *program.root.named_buffers()])[str(node.target)]
                assert node.meta["shape"] == tuple(value.shape)
                assert node.meta["dtype"] == value.dtype


@pytest.mark.parametrize("name", MODELS)
def test_programs_copy_and_pickle(name: str) -> None:
    build, example = MODELS[name]
    program = copy.deepcopy(capture(build(), example))
    pickle.loads(pickle.dumps(program.call))
    for mode in MODES:
        module = graph_module(program, mode)
        again = pickle.loads(pickle.dumps(module))
        assert [node.target for node in again.graph.nodes] == [node.target for node in module.graph.nodes]


def test_a_pickled_graph_module_computes_draws_and_counts_as_before() -> None:
    class Noisy(Convolution):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) + torch.rand(64) + torch.zeros(x.shape[0], 64)

    images = torch.ones(3, 3, 6, 6)
    module = graph_module(capture(Noisy(), images), "train")
    again = pickle.loads(pickle.dumps(module))
    assert again.get_buffer("norm.num_batches_tracked") == 0
    results = []
    for one in (module, again):
        torch.manual_seed(3)
        results.append(one(images)[0])
    assert torch.equal(*results)
    assert not torch.equal(again(images)[0], results[0])
    assert again.get_buffer("norm.num_batches_tracked") == 2


def test_a_batch_size_is_one_prime_in_both_modes() -> None:
    program = capture(TwoInputs(), (X, X.clone()))
    for graph in program.graphs.values():
        holders = [node for node in graph.nodes if node.op == "placeholder"]
        assert [node.meta["shape"] for node in holders] == [(FIRST_PRIME, 3)] * 2  # adding them makes them one size
    assert is_symbolic(FIRST_PRIME)
    assert not is_symbolic(2**20)
    assert not is_symbolic(2**63 - 1)


def test_two_sizes_are_two_primes() -> None:
    class Apart(Base):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return self.layer(a), self.layer(b).repeat(2, 1)

    program = capture(Apart(), (X, X[:2]))
    for graph in program.graphs.values():
        one, other = (node.meta["shape"][0] for node in graph.nodes if node.op == "placeholder")
        assert one != other
        outputs = next(node for node in graph.nodes if node.op == "output").args[0]
        assert [node.meta["shape"] for node in outputs] == [(one, 4), (2 * other, 4)]


def test_each_size_that_the_model_leaves_open_is_free() -> None:
    program = capture(Convolution(), torch.ones(1, 3, 6, 6))
    assert [leaf.shape for leaf in program.call.inputs] == [(None, 3, None, None)]
    for size in (1, 3, 7):
        assert call(program, "eval", torch.ones(size, 3, 6, 5 + size)).shape == (size, 16 * (3 + size))


def test_outputs_may_differ_between_modes() -> None:
    program = capture(TwoOutputs(), X)
    assert call(program, "train", X)._fields == ("a", "b")
    assert isinstance(call(program, "eval", x=X), torch.Tensor)


def test_arguments_bind_as_in_the_original() -> None:
    model = Keywords()
    program = capture(model, {"x": X, "extra": torch.ones(4, 4), "batch": {"m": [torch.ones(4, 4)]}})
    inputs: dict[str, Any] = {"batch": {"m": [torch.ones(7, 4)]}, "extra": torch.ones(7, 4), "x": torch.ones(7, 3)}
    assert torch.equal(call(program, "eval", **inputs)["out"], model(**inputs)["out"])


def test_tied_weights_are_one_object_fetched_by_its_first_name() -> None:
    program = capture(Tied(), torch.arange(8) % 5)
    assert program.root.get_parameter("head.weight") is program.root.get_parameter("embedding.weight")
    assert program.root.get_submodule("first") is program.root.get_submodule("block.0")
    for graph in program.graphs.values():
        targets = [node.target for node in graph.nodes if node.op == "get_attr"]
        assert len(targets) == len(set(targets))
        assert "head.weight" not in targets
    assert "calls" not in program.root.state_dict()


def test_graph_modules_share_state_with_the_root() -> None:
    program = capture(Convolution(), torch.ones(2, 3, 6, 6))
    train, evaluate = graph_module(program, "train"), graph_module(program, "eval")
    before = evaluate(torch.ones(2, 3, 6, 6))[0]
    train(torch.randn(2, 3, 6, 6))
    assert program.root.get_buffer("norm.num_batches_tracked") == 1
    assert not torch.equal(evaluate(torch.ones(2, 3, 6, 6))[0], before)
    program.root.double()
    assert evaluate(torch.ones(2, 3, 6, 6).double())[0].dtype is torch.float64
    program.root.get_submodule("conv").register_parameter("bias", nn.Parameter(torch.full((4,), float("nan")).double()))
    assert evaluate(torch.ones(2, 3, 6, 6).double())[0].isnan().all()


def test_parametrized_weights_keep_their_names() -> None:
    names = set(capture(WeightNorm(), X).root.state_dict())
    assert {"new.parametrizations.weight.original0", "old.weight_g"} <= names


def test_frozen_and_half_precision_parameters_stay_so() -> None:
    model = TwoOutputs().bfloat16()
    model.layer.bias.requires_grad_(False)
    root = capture(model, X.bfloat16()).root
    assert root.get_parameter("layer.weight").dtype is torch.bfloat16
    assert not root.get_parameter("layer.bias").requires_grad


def test_a_model_without_values_is_captured_from_shapes() -> None:
    with torch.device("meta"):
        model = Convolution()
        program = capture(model, torch.ones(2, 3, 6, 6))
    assert program.root.get_parameter("conv.weight").is_meta


def test_a_model_that_has_been_called_and_hooked_can_be_captured() -> None:
    model = WeightNorm()
    model(X).sum().backward()
    model.new.register_forward_hook(lambda _module, _inputs, output: output * 2)
    program = capture(model, X)
    assert torch.allclose(call(program, "eval", X), model.eval()(X))


class Causal(nn.Module):
    """torch's own decoder, which looks into the mask that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16, 0.0, batch_first=True), 1)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(y.shape[1])
        result: torch.Tensor = self.decoder(y, x, tgt_mask=mask)
        return result


def test_a_mask_that_torch_would_look_into() -> None:
    model = Causal()
    inputs = (torch.randn(2, 5, 8), torch.randn(2, 4, 8))
    net = scfx.compress(model, inputs, quantize=False)
    torch.testing.assert_close(net(*inputs), model(*inputs))
