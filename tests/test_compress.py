"""The compressed module behaves as the model does, and names what is wrong with what it is given."""

import copy

import pytest
import torch
from torch import Tensor, nn

import scfx
from tests.toys import Residual, images


class Documented(nn.Module):
    """A model with a nested input, a constant keyword, a dict output and an attribute of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.config = {"width": 8}
        self.first = nn.Linear(6, 8)
        self.norm = nn.LayerNorm(8)
        self.last = nn.Linear(8, 4)

    def forward(self, batch: dict[str, Tensor], scale: float = 2.0, *, flag: bool = True) -> dict[str, Tensor]:
        hidden = torch.relu(self.norm(self.first(batch["x"]))) * scale
        return {"logits": self.last(hidden) if flag else hidden, "hidden": hidden}


def example() -> dict[str, dict[str, Tensor]]:
    return {"batch": {"x": torch.randn(3, 6)}}


def test_same_outputs_names_and_calls() -> None:
    model = Documented()
    net = scfx.compress(model, example(), quantize=False)
    batch = {"x": torch.randn(5, 6)}
    expected = model(batch)
    for found in (net(batch), net(batch=batch), net(batch, 2.0, flag=True)):
        assert found.keys() == expected.keys()
        torch.testing.assert_close(found, expected)
    assert list(net.state_dict()) == list(model.state_dict())
    assert net.config is model.config


def test_the_given_model_is_untouched() -> None:
    model = Residual().double()
    before = copy.deepcopy(model.state_dict())
    net = scfx.compress(model, images(2), quantize=False)
    assert model.training
    assert all(p.grad is None for p in model.parameters())
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
    net.prune()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("batch", [1, 2, 7])
def test_any_batch_size_in_both_modes(training: bool, batch: int) -> None:
    if training and batch == 1:
        batch = 3
    model = Residual().double().train(training)
    net = scfx.compress(copy.deepcopy(model), images(2), quantize=False).train(training)
    torch.testing.assert_close(net(images(batch, 1)), model(images(batch, 1)), rtol=1e-10, atol=1e-12)
    for (name, expected), found in zip(model.named_buffers(), net.buffers(), strict=True):
        torch.testing.assert_close(found, expected, msg=name)


def test_quantizers_are_visible_and_one_for_each_weight() -> None:
    net = scfx.compress(Residual().double(), images(2))
    weights = [name for name, p in net.named_parameters() if p.dim() > 1]
    assert sorted(path for path, _ in net.quantizers()) == sorted(f"{name}_quantizer" for name in weights)
    called = {str(node.target) for node in net.graph_module.graph.nodes if node.op == "call_module"}
    assert called == {path for path, _ in net.quantizers()}
    assert "block1.conv1.weight_quantizer" in net.graph_module.code


def test_quantized_network_starts_near_the_float_one() -> None:
    model = Residual().double().eval()
    net = scfx.compress(model, images(2)).eval()
    expected = model(images(16)).detach()
    assert float((net(images(16)).detach() - expected).abs().max() / expected.abs().max()) < 0.05


def test_shared_weights_share_one_quantizer() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 8)
            self.other = nn.Linear(8, 8)
            self.other.weight = self.layer.weight

        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = self.other(torch.relu(self.layer(torch.relu(self.layer(x)))))
            return result

    net = scfx.compress(Shared(), torch.randn(3, 8))
    assert [path for path, _ in net.quantizers()] == ["layer.weight_quantizer"]


def test_transposed_convolution_is_quantized_along_its_outputs() -> None:
    model = nn.Sequential(nn.ConvTranspose2d(4, 6, 3, groups=2), nn.ReLU(), nn.Conv2d(6, 2, 1))
    net = scfx.compress(model, torch.randn(2, 4, 5, 5))
    channels = {path: quantizer.bits.numel() for path, quantizer in net.quantizers()}
    assert channels == {"0.weight_quantizer": 6, "2.weight_quantizer": 2}


def test_keep_by_name_module_and_axis() -> None:
    model = Residual()
    x = torch.randn(2, 1, 8, 8)
    axis = next(
        a
        for a in scfx.channel_graph(model, x).axes
        if any(m.name == "block1.conv1.weight" and m.dim == 0 for m in a.members)
    )
    for keep in (["block1.conv1.weight"], "block1.conv1", model.block1.conv1, axis):
        net = scfx.compress(model, x, quantize=False, keep=keep)
        reasons = {m.name: a.pinned for a in net.channels.axes for m in a.members if m.dim == 0}
        assert "kept by the user" in str(reasons["block1.conv1.weight"])
        assert reasons["branch.weight"] is None


def test_outputs_that_do_not_matter_do_not_pin() -> None:
    pinned = {}
    for outputs in (None, "logits", ["hidden"]):
        net = scfx.compress(Documented(), example(), quantize=False, outputs=outputs)
        pinned[str(outputs)] = next(a.pinned for a in net.channels.axes if a.members[0].name == "first.weight")
    assert pinned["logits"] is None
    assert "model output" in str(pinned["None"])
    assert "hidden" in str(pinned["['hidden']"])


def test_deep_copy_is_independent() -> None:
    net = scfx.compress(Residual().double(), images(2), quantize=False)
    other = copy.deepcopy(net)
    with torch.no_grad():
        for axis in net.channels.axes:
            for member in axis.members if axis.pinned is None else ():
                if "running" not in member.name:
                    net.state_dict()[member.name].index_fill_(member.dim, torch.from_numpy(member.indices(0)), 0)
    assert net.prune()
    assert not other.prune()
    assert sum(p.numel() for p in net.parameters()) < sum(p.numel() for p in other.parameters())


def test_moving_and_casting_reaches_the_graphs() -> None:
    net = scfx.compress(Residual(), torch.randn(2, 1, 8, 8)).double()
    assert net(images(3)).dtype == torch.float64
    assert net.eval()(images(3)).dtype == torch.float64


def test_state_dict_round_trip() -> None:
    a = scfx.compress(Residual().double(), images(2))
    b = scfx.compress(Residual().double(), images(2))
    b.load_state_dict(a.state_dict())
    assert torch.equal(a.eval()(images(3)), b.eval()(images(3)))


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: scfx.compress(3, torch.randn(2, 1)), scfx.ModelError, "torch.nn.Module"),  # type: ignore[arg-type]
        (lambda: scfx.compress(nn.ReLU(), torch.randn(2, 1)), scfx.ModelError, "parameter"),
        (lambda: scfx.compress(nn.Linear(3, 2), torch.randn(2, 4)), scfx.InputError, "example"),
        (lambda: scfx.compress(nn.Linear(3, 2), "text"), scfx.InputError, "tensor"),
        (lambda: scfx.compress(nn.Linear(3, 2), torch.randn(2, 3), keep="wieght"), scfx.UnknownNameError, "'weight'"),
        (
            lambda: scfx.compress(nn.Linear(3, 2), torch.randn(2, 3), keep=[nn.ReLU()]),
            scfx.UnknownNameError,
            "no module",
        ),
        (lambda: scfx.compress(nn.Linear(3, 2), torch.randn(2, 3), keep=3), scfx.UnknownNameError, "not a int"),  # type: ignore[arg-type]
        (lambda: scfx.compress(Documented(), example(), outputs="logit"), scfx.UnknownNameError, "logits"),
        (lambda: scfx.compress(Documented(), example(), outputs=[]), scfx.InputError, "names no output"),
        (lambda: scfx.compress(Documented(), example(), outputs=1.5), scfx.UnknownNameError, "1.5"),  # type: ignore[arg-type]
    ],
)
def test_errors_say_what_is_wrong(call: object, error: type[Exception], says: str) -> None:
    assert callable(call)
    with pytest.raises(error) as caught:
        call()
    assert isinstance(caught.value, scfx.ScfxError)
    assert says in str(caught.value)


def test_nan_weights_are_refused_by_name() -> None:
    model = Residual()
    with torch.no_grad():
        model.branch.weight[0, 0, 0, 0] = torch.nan
    with pytest.raises(scfx.ModelError, match=r"branch\.weight"):
        scfx.compress(model, torch.randn(2, 1, 8, 8))


class Namesakes(nn.Module):
    """Parts and parameters that have the names of methods of a compressed module."""

    def __init__(self) -> None:
        super().__init__()
        self.channels = nn.Linear(4, 6)
        self.update = nn.Linear(6, 5)
        self.prune = nn.Linear(5, 3)
        self.size = nn.Parameter(torch.ones(5))
        self.register_buffer("finalize", torch.ones(5))

    def forward(self, x: Tensor) -> Tensor:
        size, shift = self.get_parameter("size"), self.get_buffer("finalize")
        hidden = torch.relu(self.update(torch.relu(self.channels(x)))) * size + shift
        result: Tensor = self.prune(hidden)
        return result


def test_parts_may_have_the_names_of_methods() -> None:
    model = Namesakes()
    net = scfx.compress(model, torch.randn(2, 4), quantize=False)
    x = torch.randn(3, 4)
    torch.testing.assert_close(net(x), model(x))
    assert net.get_parameter("channels.weight").shape == (6, 4)
    assert net.get_parameter("size").shape == net.get_buffer("finalize").shape == (5,)
    with torch.no_grad():
        net.get_parameter("channels.weight")[2] = 0
        net.get_parameter("channels.bias")[2] = 0
    before = net(x)
    net.prune()
    assert net.get_submodule("channels").get_parameter("weight").shape == (5, 4)
    torch.testing.assert_close(net(x), before)
    net = scfx.compress(model, x)
    optimizer = torch.optim.Adam(net.param_groups())
    (net(x).sum() + net.size()).backward()
    optimizer.step()
    net.update(optimizer)
    net.load_state_dict(net.state_dict())


def test_says_when_there_is_nothing_to_quantize() -> None:
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), nn.ReLU())
    with pytest.warns(UserWarning, match="nothing to quantize"):
        scfx.compress(model, torch.randn(2, 4))


def test_synchronized_batch_norm_is_told() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.SyncBatchNorm(4))
    with pytest.warns(UserWarning, match="each of them normalizes by its own samples"):
        scfx.compress(model, torch.randn(2, 3, 8, 8), dynamic=False)
