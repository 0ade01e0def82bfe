"""Recurrent layers and cells: a hidden channel goes once it stays at zero, or nothing listens to it.

The rows of the weights hold a run of channels for each gate. One of the gates is the candidate for the new state: a
channel stays at zero for good if its candidate is zero for any input, which takes zeros in that gate's rows of both
weights and both biases, and if it starts at zero where the old state is carried on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from scfx.signatures.binding import Binding, SignatureError
from scfx.signatures.call import Call, Dims
from scfx.signatures.pattern import Pattern
from scfx.signatures.record import Choice, Operator, Record
from scfx.terms.facts import Mask, Zeros, known, unknown


@dataclass(frozen=True, kw_only=True)
class _Recurrent(Pattern):
    """One layer in one direction, or one step of it.

    Attributes:
        candidate: Which of the gates is the candidate for the new state.
        row, column, biases: The operands that are the weight of the input, that of the state, and the biases.
        projection: The weight that makes what is put out from the state, if there is one.
        carried: The operand whose channels must start at zero for the state to stay at zero.
        steps: Whether it takes several steps, so that what is put out comes back.
    """

    candidate: int
    row: str
    column: str
    biases: tuple[str, ...]
    projection: str | None
    carried: str | None
    steps: bool

    def zeros(self, call: Call, facts: Mapping[str, Zeros]) -> tuple[Zeros, ...]:
        state, out = self._state(call, facts), self._out(call, facts)
        found = [out] * (len(call.result_shapes) - 1) + [state if self._has_cell(call) else out]
        return tuple(
            Zeros.of((*map(unknown, shape[:-1]), unknown(shape[-1]) if mask is None else known(mask)))
            for shape, mask in zip(call.result_shapes, found, strict=True)
        )

    def sink_zeros(self, call: Call, facts: Mapping[str, Zeros]) -> Mapping[str, Mask | None]:
        old = facts["hx[0]" if self._has_cell(call) else "hx"].along(-1)
        if self.steps:
            old = _both(old, self._out(call, facts))
        return {
            "i": _either(facts["input"].along(-1), facts[self.row].along(1)),
            "r" if self.projection else "h": _either(old, facts[self.column].along(1)),
        }

    def weights(self, call: Call) -> Mapping[str, tuple[tuple[tuple[bool, int], ...], ...]]:
        assert isinstance(call.binding, Binding)
        size = call.binding.sizes
        rows = ((True, size["g"]), (True, size["h"]))
        found: dict[str, tuple[tuple[tuple[bool, int], ...], ...]] = {
            self.row: (rows, ((False, size["i"]),)),
            self.column: (rows, ((False, call.shape(self.column)[1]),)),
        }
        if self.projection:
            found[self.projection] = (((True, size["r"]),), ((False, size["h"]),))
        return found

    def repeats(self, call: Call) -> Mapping[str, Dims]:
        assert isinstance(call.binding, Binding)
        steps = tuple(dim for letter, dim in call.binding.dims.items() if letter in ("b", "t"))
        return dict.fromkeys(self.weights(call), steps)

    def _state(self, call: Call, facts: Mapping[str, Zeros]) -> Mask | None:
        """The channels whose state is zero after each step."""
        masks = list(self._candidates(call, facts))
        if self.carried is not None:
            masks.append(facts[self.carried].along(-1))
        result = masks[0]
        for mask in masks[1:]:
            result = _both(result, mask)
        return result

    def _candidates(self, call: Call, facts: Mapping[str, Zeros]) -> Iterator[Mask | None]:
        assert isinstance(call.binding, Binding)
        for name in (self.row, self.column, *self.biases):
            if name in call.operands:
                mask = facts[name].along(0)
                yield None if mask is None else mask.reshape(-1, call.binding.sizes["h"])[self.candidate]

    def _out(self, call: Call, facts: Mapping[str, Zeros]) -> Mask | None:
        """The channels of what is put out that are zero after each step."""
        return facts[self.projection].along(0) if self.projection else self._state(call, facts)

    def _has_cell(self, call: Call) -> bool:
        return "hx[0]" in call.operands


def _both(a: Mask | None, b: Mask | None) -> Mask | None:
    return None if a is None or b is None else a & b


def _either(a: Mask | None, b: Mask | None) -> Mask | None:
    return b if a is None else a if b is None else a | b


def _record(target: str, kind: str, names: tuple[str, ...], before: str, after: str, projected: bool) -> _Recurrent:
    """The record of a call, from what its parameters are called and the dims in front of its channels.

    Args:
        target: The operator.
        kind: "lstm", "gru" or "rnn".
        names: The operands that are the weight of the input, that of the state, the biases, and the projection.
        before, after: The dims in front of the channels of the input, and of the states.
        projected: Whether the last name is that of a projection.
    """
    out = "r" if projected else "h"
    states = (("hx[0]", out), ("hx[1]", "h")) if kind == "lstm" else (("hx", "h"),)
    biases = names[2 : len(names) - projected]
    shapes = [f"{before} i", *(f"{after} {x}" for _, x in states), "(g h) i", f"(g h) {out}", *["(g h)"] * len(biases)]
    results = [f"{after} {x}" for _, x in states]
    return _Recurrent(
        targets=(target,),
        signature=", ".join([*shapes, *(["r h"] if projected else [])])
        + " -> "
        + ", ".join([f"{before} {out}", *results] if "t" in before else results),
        operands=("input", *(name for name, _ in states), *names),
        pointwise="b",
        contract=f"i {out}",
        reasons={
            "g": "each gate has a role of its own",
            "t": "a step follows another",
            "h": "a projection is known by having fewer channels than the state",
        },
        candidate=0 if kind == "rnn" else 2,
        row=names[0],
        column=names[1],
        biases=biases,
        projection=names[-1] if projected else None,
        carried={"lstm": "hx[1]", "gru": "hx", "rnn": None}[kind],
        steps="t" in before,
    )


def _kind(call: Call) -> str:
    return call.target.split(".")[1].split("_")[0]


def _layer(call: Call) -> Operator:
    if call.arguments["num_layers"] != 1 or call.arguments["bidirectional"]:
        raise SignatureError("layers and directions share hidden channels in one call")
    names = tuple(name for name in call.operands if name.startswith("params["))
    projected = len(names) != (4 if call.arguments["has_biases"] else 2)
    before = "b t" if call.arguments["batch_first"] else "t b"
    return _record(call.target, _kind(call), names, before, "1 b", projected)


def _cell(call: Call) -> Operator:
    names = tuple(name for name in ("w_ih", "w_hh", "b_ih", "b_hh") if name in call.operands)
    return _record(call.target, _kind(call), names, "b", "b", projected=False)


_PARAMETERS = "[t({g}, 4), t({g}, 5), t({g}), t({g})]"
_REST = "True, 1, 0.0, True, False"

RECORDS: tuple[Record, ...] = (
    Choice(
        targets=("aten.lstm.input",),
        doc="LSTM, one layer in one direction",
        choose=_layer,
        samples=(
            f"op(t(3, B, 4), [t(1, B, 5), t(1, B, 5)], {_PARAMETERS.format(g=20)}, {_REST}, False)",
            "op(t(B, 3, 4), [t(1, B, 5), t(1, B, 5)], [t(20, 4), t(20, 5)], False, 1, 0.0, True, False, True)",
            f"op(t(3, B, 4), [t(1, B, 2), t(1, B, 5)], [t(20, 4), t(20, 2), t(20), t(20), t(2, 5)], {_REST}, False)",
        ),
        refused=(
            "op(t(3, 2, 4), [t(2, 2, 5), t(2, 2, 5)], [t(20, 4), t(20, 5), t(20, 4), t(20, 5)], "
            "False, 1, 0.0, True, True, False)",
        ),
    ),
    Choice(
        targets=("aten.gru.input",),
        doc="GRU, one layer in one direction",
        choose=_layer,
        samples=(
            f"op(t(3, B, 4), t(1, B, 5), {_PARAMETERS.format(g=15)}, {_REST}, False)",
            f"op(t(B, 3, 4), t(1, B, 5), {_PARAMETERS.format(g=15)}, {_REST}, True)",
        ),
    ),
    Choice(
        targets=("aten.rnn_tanh.input", "aten.rnn_relu.input"),
        doc="plain recurrent layer, in one direction",
        choose=_layer,
        samples=(f"op(t(3, B, 4), t(1, B, 5), {_PARAMETERS.format(g=5)}, {_REST}, False)",),
    ),
    Choice(
        targets=("aten.lstm_cell.default",),
        doc="one step of an LSTM",
        choose=_cell,
        samples=("op(t(B, 4), [t(B, 5), t(B, 5)], t(20, 4), t(20, 5), t(20), t(20))",),
    ),
    Choice(
        targets=("aten.gru_cell.default",),
        doc="one step of a GRU",
        choose=_cell,
        samples=("op(t(B, 4), t(B, 5), t(15, 4), t(15, 5), t(15), t(15))", "op(t(B, 4), t(B, 5), t(15, 4), t(15, 5))"),
    ),
    Choice(
        targets=("aten.rnn_tanh_cell.default", "aten.rnn_relu_cell.default"),
        doc="one step of a plain recurrent layer",
        choose=_cell,
        samples=("op(t(B, 4), t(B, 5), t(5, 4), t(5, 5), t(5), t(5))",),
    ),
)
