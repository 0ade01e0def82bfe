"""The real Lightning trainer with a tiny module: it trains as a plain loop does, saves, resumes and logs."""

import warnings
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor, nn

import scfx
from scfx.integrations.lightning import Compression
from tests.processes import alone
from tests.toys import images, labels, small

STEPS, ACCUMULATE, BATCH, GAMMA = 8, 2, 4, 2.0


class Module(pl.LightningModule):
    """As a user writes it."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def training_step(self, batch: list[Tensor], _: int) -> Tensor:
        x, y = batch
        loss = nn.functional.cross_entropy(self.net(x), y)
        self.log("loss", loss)
        return loss

    def configure_optimizers(self) -> Any:
        adam = optimizer(self.net)
        schedule = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: 1 - step / STEPS)
        return {"optimizer": adam, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def optimizer(net: nn.Module) -> torch.optim.Optimizer:
    groups = net.param_groups(lr=1e-3, quantizer_lr=0.5) if isinstance(net, scfx.CompressedModule) else net.parameters()
    return torch.optim.Adam(groups)


def batches() -> torch.utils.data.DataLoader[Any]:
    """Those of one of two epochs."""
    count = STEPS * ACCUMULATE * BATCH // 2
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images(count), labels(count)), BATCH)


@pytest.fixture(scope="module")
def toy() -> scfx.CompressedModule:
    torch.manual_seed(0)
    net = scfx.compress(small(), images(2), dynamic=False)
    net.prune_every = 2
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith(".bias"):
                parameter.zero_()
        for _, quantizer in net.quantizers():
            quantizer.bits.copy_(torch.linspace(0.5, 8, len(quantizer.bits)))
    return net


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Lightning's advice about workers and intervals, and its use of what torch has renamed, are not what is tested."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=PossibleUserWarning)
        warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
        yield


def trainer(folder: Path, *callbacks: pl.Callback, **options: Any) -> pl.Trainer:
    defaults: dict[str, Any] = {
        "accelerator": "cpu", "devices": 1, "max_epochs": 2, "accumulate_grad_batches": ACCUMULATE,
        "gradient_clip_val": 0.1, "log_every_n_steps": 1, "logger": CSVLogger(folder), "default_root_dir": folder,
        "enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False,
    }  # fmt: skip
    return pl.Trainer(callbacks=list(callbacks), **defaults | options)


def plain_loop(net: scfx.CompressedModule) -> None:
    """What the trainer is to do."""
    adam = optimizer(net)
    schedule = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: 1 - step / STEPS)
    parts = iter([*batches(), *batches()])
    for _ in range(STEPS):
        adam.zero_grad()
        (GAMMA * net.size()).backward()
        for x, y in (next(parts) for _ in range(ACCUMULATE)):
            (nn.functional.cross_entropy(net(x), y) / ACCUMULATE).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 0.1)
        adam.step()
        net.update(adam)
        schedule.step()


def test_it_trains_as_a_plain_loop_does(toy: scfx.CompressedModule, tmp_path: Path) -> None:
    net, by_hand = deepcopy(toy), deepcopy(toy)
    training = trainer(tmp_path, Compression(GAMMA))
    training.fit(Module(net), batches())
    plain_loop(by_hand)
    torch.testing.assert_close(net.state_dict(), by_hand.state_dict(), rtol=1e-9, atol=1e-9)
    assert training.progress_bar_metrics["weights_left"] == pytest.approx(net.left().weights)
    assert net.left().weights < 1
    assert isinstance(training.logger, CSVLogger)
    logged = [entry["channels_left"] for entry in training.logger.experiment.metrics if "channels_left" in entry]
    assert logged or "channels_left" in Path(training.logger.experiment.metrics_file_path).read_text()


def test_data_parallel_wrappers_follow(toy: scfx.CompressedModule, tmp_path: Path) -> None:
    net, by_hand = deepcopy(toy), deepcopy(toy)
    with alone():
        training = trainer(tmp_path, Compression(GAMMA), Wrapped(), strategy="ddp", use_distributed_sampler=False)
        training.fit(Module(net), batches())
    plain_loop(by_hand)
    torch.testing.assert_close(net.state_dict(), by_hand.state_dict(), rtol=1e-9, atol=1e-9)


class Wrapped(pl.Callback):
    """Sees to it that a wrapper is there."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(trainer.strategy.model, nn.parallel.DistributedDataParallel)


def test_a_run_goes_on_from_a_checkpoint(toy: scfx.CompressedModule, tmp_path: Path) -> None:
    first, second, straight = deepcopy(toy), deepcopy(toy), deepcopy(toy)
    begun, resumed, whole = (scfx.SizeTarget(bits=0.01, steps=12) for _ in range(3))
    half = trainer(tmp_path, Compression(begun), max_epochs=1)
    half.fit(Module(first), batches())
    half.save_checkpoint(tmp_path / "half.ckpt")
    trainer(tmp_path, Compression(resumed)).fit(Module(second), batches(), ckpt_path=str(tmp_path / "half.ckpt"))
    trainer(tmp_path, Compression(whole)).fit(Module(straight), batches())
    assert second.left().channels < 1
    torch.testing.assert_close(second.state_dict(), straight.state_dict(), rtol=0, atol=0)
    assert resumed.state_dict() == whole.state_dict() != begun.state_dict()
    assert resumed.state_dict()["begin"] == 0


class ByHand(Module):
    """Manual optimization, with two optimizers for the network and one for what is beside it."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__(net)
        self.automatic_optimization = False
        self.scale = nn.Parameter(torch.ones((), dtype=torch.float64))

    def configure_optimizers(self) -> Any:
        assert isinstance(self.net, scfx.CompressedModule)
        weights, others, quantizers = self.net.param_groups(lr=1e-3, quantizer_lr=0.5)
        return [torch.optim.Adam([quantizers]), torch.optim.SGD([self.scale], 0.1), torch.optim.Adam([weights, others])]

    def training_step(self, batch: list[Tensor], _: int) -> Tensor:
        x, y = batch
        loss = nn.functional.cross_entropy(self.scale * self.net(x), y)
        for each in self.optimizers():  # type: ignore[union-attr]
            each.zero_grad()
        self.manual_backward(loss)
        for each in self.optimizers():  # type: ignore[union-attr]
            each.step()
        return loss


def test_steps_by_hand(toy: scfx.CompressedModule, tmp_path: Path) -> None:
    net = deepcopy(toy)
    trainer(tmp_path, Compression(GAMMA), accumulate_grad_batches=1, gradient_clip_val=None).fit(ByHand(net), batches())
    assert net._training.step == STEPS * ACCUMULATE
    assert net.left().channels < 1


def test_two_runs_of_one_callback(toy: scfx.CompressedModule, tmp_path: Path) -> None:
    """The first run's optimizer no longer updates the network once it has ended."""
    net, callback = deepcopy(toy), Compression(GAMMA)
    module = Module(net)
    for runs in (1, 2):
        trainer(tmp_path, callback, limit_train_batches=2).fit(module, batches())
        assert net._training.step == 2 * runs
    assert not module.optimizers().optimizer._optimizer_step_post_hooks  # type: ignore[union-attr]


def test_modules_that_hold_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(scfx.InputError, match="Module holds no compressed module"):
        trainer(tmp_path, Compression(GAMMA)).fit(Module(nn.Linear(2, 2)), batches())
