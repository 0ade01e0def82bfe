"""Normalisation: batch, instance, group, layer and weight norm, and counted forms, which keep the original number."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from scfx.signatures.call import Call
from scfx.signatures.pattern import Pattern
from scfx.signatures.rearranging import letters_of
from scfx.signatures.record import Choice, Kept, Operator, Record, Replacement
from scfx.terms.facts import LARGE, Fact, Zeros, both, either, everything, unknown

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

        def fact(name: str, dim: int = 0, absent: Fact | None = None) -> Fact:
            return facts[name].fact(dim) if name in facts else absent or unknown(size)

        centred = fact("input", 1)
        if not self.own_statistics:
            centred = both(centred, fact("running_mean"))
        zero = both(either(centred, fact("weight")), fact("bias", absent=everything(size)))
        return (Zeros.of(zero if dim == 1 else unknown(n) for dim, n in enumerate(shape)),)

    def fixed(self, call: Call, fixed: Mapping[str, Zeros], zeros: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
        """What is normalized depends on the statistics too, even where the input is zero."""
        return Pattern.fixed(replace(self, zero="normalized*weight + bias"), call, fixed, zeros)


def _channel_norm(name: str, pointwise: str, own: bool, statistic: str = "", target: str | None = None) -> _ChannelNorm:
    """Channels are always alone; samples and positions only where no statistic is taken over them."""
    why = f"{name} statistics over it"
    return _ChannelNorm(
        targets=(target or f"aten.{name}.default",),
        signature="b c *s, c, c, c, c -> b c *s",
        operands=("input", *_AFFINE, *_RUNNING),
        pointwise=pointwise,
        statistic=statistic,
        counted=f"scfx.{name}.default" if statistic else None,
        reasons={"b": why, "*s": why},
        zero="input*weight + bias",
        own_statistics=own,
    )


_KNOWN_STATISTICS = {name: _channel_norm(name, "b c *s", own=False) for name in ("batch_norm", "instance_norm")}
_OF_THE_BATCH = {name: _channel_norm(name, "c", own=True) for name in ("batch_norm", "instance_norm")}
_OF_A_SAMPLE = _channel_norm("instance_norm", "b c", own=True)
_OF_WEIGHTS = _channel_norm("batch_norm", "c", own=True, statistic="*s")
_COUNTED = _channel_norm("batch_norm", "c", own=True, statistic="*s", target="scfx.batch_norm.default")


def _batch_norm(call: Call) -> Operator:
    """One that remembers no statistics may also be what standardises weights: places along it can go there."""
    if not call.arguments["training"]:
        return _KNOWN_STATISTICS["batch_norm"]
    remembers = "running_mean" in call.operands
    sized = all(size <= LARGE for size in call.shape("input")[2:])
    return _OF_WEIGHTS if sized and not remembers else _OF_THE_BATCH["batch_norm"]


def _instance_norm(call: Call) -> Operator:
    """Running statistics are means over the batch of those of each sample."""
    if not call.arguments["use_input_stats"]:
        return _KNOWN_STATISTICS["instance_norm"]
    return _OF_THE_BATCH["instance_norm"] if "running_mean" in call.operands else _OF_A_SAMPLE


def _group_norm(target: str, doc: str, samples: tuple[str, ...]) -> Pattern:
    return Pattern(
        targets=(target,),
        signature="b (G c) *s, (G c), (G c) -> b (G c) *s",
        operands=("input", *_AFFINE),
        pointwise="b G",
        statistic="c",
        sizes={"G": "num_groups"},
        reasons={"*s": "group norm statistics over it"},
        zero="normalized*weight + bias",
        counted="scfx.group_norm.default",
        doc=doc,
        samples=samples,
    )


def _layer_norm(kind: str, target: str, doc: str, samples: tuple[str, ...]) -> Choice:
    """Layer norm, or RMS norm, which has no shift and keeps zeros."""

    def choose(call: Call) -> Operator:
        inner = len(call.arguments["normalized_shape"])
        letters = " ".join(f"c{index}" for index in range(inner))
        outer = " ".join(f"b{index}" for index in range(call.rank("input") - inner))
        return (_RootMeanSquare if kind == "rms_norm" else Pattern)(
            targets=(call.target,),
            signature=f"{outer} {letters}, {letters}, {letters} -> {outer} {letters}",
            operands=("input", *_AFFINE),
            pointwise=outer,
            statistic=letters,
            size_lists={"normalized_shape": letters},
            zero="input*weight" if kind == "rms_norm" else "normalized*weight + bias",
            counted=f"scfx.{kind}.default",
        )

    return Choice(targets=(target,), doc=doc, choose=choose, samples=samples)


@dataclass(frozen=True, kw_only=True)
class _RootMeanSquare(Pattern):
    """RMS norm, whose default epsilon, that of the input's type, is written down when it is counted."""

    def resize(self, call: Call, kept: Kept) -> Replacement | None:
        change = super().resize(call, kept)
        if change is None or call.arguments["eps"] is not None:
            return change
        return Replacement({**change.arguments, "eps": torch.finfo(call.node.meta["dtype"]).eps}, change.target)


def _weight_norm(call: Call) -> Operator:
    """Each slice along one dim has a length of its own. It is a root of sums of squares: zeros don't count."""
    letters = letters_of(call.rank("v"))
    shape = call.shape("g")
    scales = ["1" if size == 1 else x for x, size in zip(letters, shape, strict=bool(shape))]
    own = [x for x in scales if x != "1"]
    return Pattern(
        targets=(call.target,),
        signature=f"{' '.join(letters)}, {' '.join(scales)} -> {' '.join(letters)}",
        operands=("v", "g"),
        pointwise=" ".join(own),
        statistic=" ".join(x for x in letters if x not in own),
        zero="v*g",
    )


RECORDS: tuple[Record, ...] = (
    Choice(
        targets=("aten.batch_norm.default",),
        doc="batch norm",
        choose=_batch_norm,
        usual=_OF_THE_BATCH["batch_norm"],
        samples=(
            "op(t(B, 4, 3, 3), t(4), t(4), s(4), s(4), True, 0.1, 1e-5, False)",
            "op(t(B, 4, 3, 3), t(4), t(4), s(4), s(4), False, 0.1, 1e-5, False)",
            "op(t(B, 4), None, None, s(4), s(4), False, 0.1, 1e-5, False)",
            "op(t(1, 4, 2), None, t(4), None, None, True, 0.1, 1e-5, False)",
            "op(t(B, 4, 2, 2, 2), None, None, s(4), s(4), True, 0.1, 1e-5, False)",
            "op(t(1, 4, 5), t(4), None, None, None, True, 0.0, 1e-5, False)",
            "op(t(2, 4, 3, 5), t(4), t(4), None, None, True, 0.0, 1e-5, False)",
        ),
    ),
    dataclasses.replace(
        _COUNTED,
        doc="batch norm that keeps its count",
        samples=(
            "op(t(1, 4, 5), t(4), None, None, None, True, 0.0, 1e-5, False, 7)",
            "op(t(2, 4, 3, 2), t(4), t(4), None, None, True, 0.0, 1e-5, False, 9)",
        ),
    ),
    Choice(
        targets=("aten.instance_norm.default",),
        doc="instance norm",
        choose=_instance_norm,
        usual=_OF_A_SAMPLE,
        samples=(
            "op(t(B, 4, 3, 3), t(4), t(4), None, None, True, 0.1, 1e-5, False)",
            "op(t(B, 4, 5), None, None, None, None, True, 0.1, 1e-5, False)",
            "op(t(2, 4, 3, 3), t(4), t(4), s(4), s(4), True, 0.1, 1e-5, False)",
            "op(t(2, 4, 3, 3), t(4), t(4), s(4), s(4), False, 0.1, 1e-5, False)",
        ),
    ),
    _group_norm(
        "aten.group_norm.default",
        "group norm",
        (
            "op(t(B, 6, 3, 3), 3, t(6), t(6))",
            "op(t(B, 6, 5), 1, t(6), t(6))",
            "op(t(2, 6, 2), 6, None, None)",
            "op(t(B, 12), 3, t(12), None)",
        ),
    ),
    _group_norm(
        "scfx.group_norm.default",
        "group norm that keeps its count",
        ("op(t(B, 6, 3, 3), 3, t(6), t(6), 1e-5, False, 4)", "op(t(2, 6), 2, None, None, 1e-5, False, 5)"),
    ),
    _layer_norm(
        "layer_norm",
        "aten.layer_norm.default",
        "layer norm",
        (
            "op(t(B, 5, 6), [6], t(6), t(6))",
            "op(t(B, 4, 3, 2), [4, 3, 2], t(4, 3, 2), t(4, 3, 2))",
            "op(t(6), [6], None, None)",
            "op(t(B, 5, 1, 6), [1, 6], t(1, 6), None)",
        ),
    ),
    _layer_norm(
        "layer_norm",
        "scfx.layer_norm.default",
        "layer norm that keeps its count",
        ("op(t(B, 5, 6), [6], t(6), t(6), 1e-5, False, 9)", "op(t(2, 4, 3), [4, 3], None, None, 1e-5, False, 20)"),
    ),
    _layer_norm(
        "rms_norm",
        "aten.rms_norm.default",
        "RMS norm",
        ("op(t(B, 5, 6), [6], t(6))", "op(t(2, 4, 3), [4, 3], None, 0.1)"),
    ),
    _layer_norm(
        "rms_norm",
        "scfx.rms_norm.default",
        "RMS norm that keeps its count",
        ("op(t(B, 5, 6), [6], t(6), 1e-5, 9)",),
    ),
    Choice(
        targets=("aten._weight_norm.default",),
        doc="weight norm",
        choose=_weight_norm,
        samples=(
            "op(t(6, 4, 3), t(6, 1, 1))",
            "op(t(6, 4, 3), t(1, 1, 3), 2)",
            "op(t(6, 4), t(), -1)",
        ),
    ),
)
