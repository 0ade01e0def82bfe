"""Compression in a Hugging Face `Trainer`, or one derived from it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from scfx import distributed
from scfx.errors import InputError
from scfx.integrations.penalty import Gamma, add_size_gradient, restore, state_of
from scfx.module import CompressedModule
from scfx.reporting.left import Left

try:
    from transformers import Trainer, TrainerCallback
    from transformers.trainer_callback import ExportableState
except ImportError as error:
    raise ImportError("the Trainer of Hugging Face is needed here: pip install 'scfx[hugging-face]'") from error


def attach(trainer: Trainer, gamma: Gamma) -> None:
    """Has a trainer compress its model while it trains it.

    The gradient of the size term is added to that of the trainer's own loss, once for each step of the optimizer
    whatever is accumulated, and `update` is called after the step. What is left goes into the logs and the progress
    bar, as `bits_per_weight`, `weights_left` and `channels_left`; the logged loss is the trainer's own.

    Args:
        trainer: Its model is a compressed module, which was captured with what the trainer's batches hold, labels too.
            Give it an optimizer made from `net.param_groups()`: the trainer's own has one learning rate for all, at
            which bit depths hardly move.
        gamma: The factor of `net.size()`, or a function of the network that gives the whole term. If it has a state,
            as `scfx.SizeTarget` has, checkpoints keep it.

    Raises:
        InputError: The model isn't compressed, or the trainer is set to do what doesn't go with losing channels.
    """
    net = trainer.model
    if not isinstance(net, CompressedModule):
        raise InputError(
            f"the trainer's model is a {type(net).__name__}: build it with Trainer(model=scfx.compress(model, batch), "
            "...), where the batch is one of the trainer's own, as a dict with the labels"
        )
    arguments = trainer.args
    if arguments.load_best_model_at_end:
        raise InputError(
            "load_best_model_at_end would load a checkpoint into a network that has since lost channels: leave it out, "
            "and load the checkpoint into a fresh scfx.compress(model, batch) instead"
        )
    if arguments.n_gpu > 1:
        raise InputError(
            "torch's DataParallel copies the network for each device, and the copies don't learn: start one process "
            "for each device with torchrun, or show only one device"
        )
    if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        raise InputError(
            "FSDP and DeepSpeed split parameters over processes, and whether a channel can go is seen in whole tensors "
            "only: compress with plain data parallelism, then shard what net.finalize() gives"
        )
    stateful = state_of(gamma) is not None
    if stateful and arguments.restore_callback_states_from_checkpoint:
        raise InputError(
            "restore_callback_states_from_checkpoint would have the trainer make this callback anew, without its "
            "network: leave it out, the state of gamma is restored anyway"
        )
    net.register_state_dict_post_hook(_separate)  # type: ignore[no-untyped-call]
    # In front, so that those which report logs report these numbers, too.
    callback = (_StatefulCompression if stateful else _Compression)(trainer, gamma)
    trainer.callback_handler.callbacks.insert(0, callback)


class _Compression(TrainerCallback):
    """See `attach`."""

    def __init__(self, trainer: Trainer, gamma: Gamma) -> None:
        self._trainer = trainer
        self._gamma = gamma

    @property
    def _net(self) -> CompressedModule:
        assert self._trainer.model is not None
        return distributed.compressed_module(self._trainer.model)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        own = {id(parameter) for _, quantizer in self._net.quantizers() for parameter in quantizer.parameters()}
        for group in kwargs["optimizer"].param_groups:
            if len({id(parameter) in own for parameter in group["params"]}) > 1:
                raise InputError(
                    "the optimizer treats bit depths as it does weights: with a learning rate for weights they hardly "
                    "move, and weight decay isn't meant for them. Give the trainer one with groups of their own, as in "
                    "Trainer(..., optimizers=(torch.optim.Adam(net.param_groups(lr=1e-3)), None))"
                )

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        scaler = getattr(kwargs["optimizer"], "scaler", None)
        add_size_gradient(self._net, self._gamma, 1.0 if scaler is None else scaler.get_scale())

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        optimizer = kwargs["optimizer"]
        if not getattr(optimizer, "step_was_skipped", False):
            distributed.update(self._trainer.model_wrapped, optimizer)

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        logs: dict[str, float] = kwargs["logs"]
        if "loss" in logs or "train_loss" in logs:
            scalars = Left.of(self._net).scalars()
            logs.update(scalars)
            state.log_history[-1].update(scalars)


class _StatefulCompression(_Compression, ExportableState):
    """With a size term whose state goes into checkpoints, and comes back when training is resumed from one."""

    def state(self) -> dict[str, Any]:
        return {"args": {}, "attributes": {"gamma": state_of(self._gamma)}}

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        super().on_train_begin(args, state, control, **kwargs)
        saved = state.stateful_callbacks.get(type(self).__name__)
        if saved is not None:  # without a checkpoint it is the state that it has
            restore(self._gamma, saved["attributes"]["gamma"])


def _separate(_: torch.nn.Module, state: dict[str, Any], prefix: str, __: Any) -> None:
    """Gives tied parameters a copy for each of their names: the trainer's file format holds no tensor twice."""
    seen: set[int] = set()
    for name, value in state.items():
        if name.startswith(prefix) and isinstance(value, Tensor) and value.numel():
            if value.data_ptr() in seen:
                state[name] = value.clone()
            seen.add(value.data_ptr())
