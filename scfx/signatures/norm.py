"""Normalisation: batch, instance, group and layer norm, and their counted forms, which keep the original number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from scfx.facts import Mask, Zeros, known
from scfx.signatures.call import Call
from scfx.signatures.pattern import Pattern
from scfx.signatures.record import Choice, Operator, Record

_AFFINE = ("weight", "bias")
_RUNNING = ("running_mean", "running_var")


@dataclass(frozen=True, kw_only=True)
class _ChannelNorm(Pattern):
    """A norm that treats each channel alone; what is zero depends on where its mean comes from.

    Attributes:
        own_statistics: The mean is that of the input itself, as in training, so that zero stays zero before the shift.
    """

    own_statistics: bool

    def zeros(self, call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
        shape = call.result_shapes[0]
        size = shape[1]

        def mask(name: str, dim: int = 0, absent: bool = False) -> Mask:
            found = facts[name].along(dim) if name in facts else np.full(size, absent)
            return np.zeros(size, bool) if found is None else found

        centred = mask("input", 1)
        if not self.own_statistics:
            centred = centred & mask("running_mean")
        zero = (centred | mask("weight")) & mask("bias", absent=True)
        return (Zeros.unknown(shape).replaced(1, known(zero)),)


def _channel_norm(name: str, per_sample: bool, own: bool) -> _ChannelNorm:
    """Channels are always alone; samples and positions only where no statistic is taken over them."""
    free = "b c *s" if not own else "b c" if per_sample else "c"
    why = f"{name} statistics over it"
    return _ChannelNorm(
        targets=(f"aten.{name}.default",),
        signature="b c *s, c, c, c, c -> b c *s",
        operands=("input", *_AFFINE, *_RUNNING),
        pointwise=free,
        reasons={"b": why, "*s": why},
        zero="input*weight + bias",
        own_statistics=own,
    )


_BATCH = {training: _channel_norm("batch_norm", per_sample=False, own=training) for training in (False, True)}
_INSTANCE = {own: _channel_norm("instance_norm", per_sample=True, own=own) for own in (False, True)}


def _batch_norm(call: Call) -> Operator:
    return _BATCH[bool(call.arguments["training"]) or "running_mean" not in call.operands]


def _instance_norm(call: Call) -> Operator:
    return _INSTANCE[bool(call.arguments["use_input_stats"])]


def _group_norm(target: str, counted: str, doc: str) -> Pattern:
    return Pattern(
        targets=(target,),
        signature="b (G c) *s, (G c), (G c) -> b (G c) *s",
        operands=("input", *_AFFINE),
        pointwise="b G",
        statistic="c",
        sizes={"G": "num_groups"},
        reasons={"*s": "group norm statistics over it"},
        zero="normalized*weight + bias",
        counted=counted,
        doc=doc,
    )


def _layer_norm(target: str, shape_argument: str, counted: str, doc: str) -> Choice:
    def choose(call: Call) -> Operator:
        rank = call.rank("input")
        inner = len(call.arguments[shape_argument])
        letters = " ".join(f"c{index}" for index in range(inner))
        outer = " ".join(f"b{index}" for index in range(rank - inner))
        return Pattern(
            targets=(target,),
            signature=f"{outer} {letters}, {letters}, {letters} -> {outer} {letters}",
            operands=("input", *_AFFINE),
            pointwise=outer,
            statistic=letters,
            size_lists={shape_argument: letters},
            zero="normalized*weight + bias",
            counted=counted,
        )

    return Choice(targets=(target,), doc=doc, choose=choose)


RECORDS: tuple[Record, ...] = (
    Choice(targets=("aten.batch_norm.default",), doc="batch norm", choose=_batch_norm),
    Choice(targets=("aten.instance_norm.default",), doc="instance norm", choose=_instance_norm),
    _group_norm("aten.group_norm.default", "scfx.group_norm.default", "group norm"),
    _group_norm("scfx.group_norm.default", "scfx.group_norm.default", "group norm that keeps its count"),
    _layer_norm("aten.layer_norm.default", "normalized_shape", "scfx.layer_norm.default", "layer norm"),
    _layer_norm("scfx.layer_norm.default", "normalized_shape", "scfx.layer_norm.default", "layer norm that keeps its count"),
)
