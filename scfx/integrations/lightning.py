"""Compression in Lightning."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.hooks import RemovableHandle

from scfx import distributed
from scfx.errors import InputError
from scfx.integrations.penalty import Gamma, add_size_gradient, restore, state_of
from scfx.module import CompressedModule
from scfx.reporting.left import Left
from scfx.surgery.parallel import refuse_sharded

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
except ImportError as error:
    raise ImportError("Lightning is needed here: pip install 'scfx[lightning]'") from error


class Compression(Callback):
    """Has a Lightning trainer compress the network that its module holds, as in `self.net = scfx.compress(...)`.

    The gradient of the size term is added to that of the training step's loss, before clipping and once for each step
    of the optimizer whatever is accumulated, and `update` is called after the step. What is left goes into the logs
    and the progress bar, as `bits_per_weight`, `weights_left` and `channels_left`.

    Args:
        gamma: The factor of `net.size()`, or a function of the network that gives the whole term. If it has a state,
            as `scfx.SizeTarget` has, checkpoints keep it.

    Raises:
        InputError: When training starts: the module holds no compressed module or several, or no optimizer has its
            parameters.
        ModelError: When training starts: the parameters are split over processes.
    """

    def __init__(self, gamma: Gamma) -> None:
        self._gamma = gamma
        self._first: torch.optim.Optimizer | None = None
        self._hook: RemovableHandle | None = None
        self._left: dict[str, float] = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Finds the network and its optimizers; where there are several, they are to step one after the other."""
        net = distributed.compressed_module(pl_module)
        refuse_sharded(dict(net.named_parameters()))
        own = {id(parameter) for parameter in net.parameters()}
        found = [each for each in trainer.optimizers if own & {id(p) for g in each.param_groups for p in g["params"]}]
        if not found:
            raise InputError(
                f"none of the {len(trainer.optimizers)} optimizers has parameters of the compressed module: have "
                "configure_optimizers make one from self.net.param_groups()"
            )
        self._first = found[0]
        self._hook = found[-1].register_step_post_hook(lambda *_: self._update(trainer, net, found))
        self._left = Left.of(net).scalars()

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Adds the gradient of the size term to those of the module, which are averaged and unscaled by now."""
        if optimizer is self._first:
            add_size_gradient(distributed.compressed_module(pl_module), self._gamma)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Logs what is left."""
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if trainer.global_step % every == 0:
            self._left = Left.of(distributed.compressed_module(pl_module)).scalars()
        pl_module.log_dict(self._left, prog_bar=True)

    def state_dict(self) -> dict[str, Any]:
        """The state of the size term, if it has one."""
        return state_of(self._gamma) or {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from there."""
        restore(self._gamma, state_dict)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Lets go of the optimizer."""
        if self._hook is not None:
            self._hook.remove()
        self._hook = self._first = None

    def _update(self, trainer: Trainer, net: CompressedModule, optimizers: list[torch.optim.Optimizer]) -> None:
        assert trainer.strategy.model is not None
        if distributed.update(trainer.strategy.model, optimizers):
            self._left = Left.of(net).scalars()
