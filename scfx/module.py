"""The compressed module: it behaves as the model does, and loses channels."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Iterator, Mapping, Set
from typing import Any

from torch import Tensor, fx, nn

from scfx.capture.program import Mode, Program
from scfx.errors import InputError
from scfx.executable import Executable
from scfx.graph.channels import ChannelGraph, Kept
from scfx.nodes.quantizer import Quantizer
from scfx.removal.zero_bits import find_zero_bits
from scfx.reporting.left import Left, prunable
from scfx.reporting.quantization_error import quantization_error
from scfx.surgery.following import enlist
from scfx.surgery.optimizers import Optimizers, meet_optimizers
from scfx.surgery.parallel import refuse_sharded
from scfx.surgery.pruning import PruneReport, apply, prune
from scfx.surgery.resuming import Saved, Widths, channels_of, check_names, is_entry, marked_entries, plan_from
from scfx.surgery.valued import refuse_valueless
from scfx.training.finalizing import finalized
from scfx.training.forgetting import Guards
from scfx.training.groups import param_groups
from scfx.training.size import CostKind, SizeModel
from scfx.training.training import Training


class CompressedModule(Executable):
    """A model that can lose channels: made by `scfx.compress`.

    It is called as the model is, returns what the model returns, and owns the parameters under the model's own names; a
    quantized weight `w` has its quantizer's state beside it, as `w_quantizer.bits`, `.exponent` and `.dead`.

    Attributes:
        start_error: The `quantization_error` of the example inputs in `scfx.compress`; None without quantizers or
            values, as on the meta device.
    """

    start_error: float | None = None

    def __init__(
        self,
        program: Program,
        kept: tuple[Kept, ...] = (),
        outputs: Mapping[Mode, Set[int]] | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(program, attributes)
        self._kept = kept
        self._outputs = outputs
        self._channels: ChannelGraph | None = None
        self._size = SizeModel.of(self.channels)
        self._channels_at_first = prunable(self.channels)
        self._training = Training()
        self._followers: list[weakref.ref[CompressedModule]] = []
        self._training.start(self)
        self._widths = Widths(shapes={name: tuple(p.shape) for name, p in program.root.named_parameters()})
        self.register_load_state_dict_post_hook(_loaded)  # type: ignore[no-untyped-call]

    # ------------------------------------------------------------------ its state

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """As for any module, and from one that had lost channels, too: this one then loses the same.

        Raises:
            CheckpointError: The state is not that of this model, or of one that had more channels left. Nothing has
                changed then.
        """
        if strict:
            check_names(self._own_state(), state_dict)
        return super().load_state_dict(state_dict, strict, assign)

    def _own_state(self) -> dict[str, Any]:
        return {name: value for name, value in self.state_dict().items() if not is_entry(name)}

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        latched = marked_entries(self.channels, self._training.latched)
        Saved(self._widths, self._training.step, latched).save(destination, prefix)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        saved, plan = plan_from(self, state_dict, prefix)
        for key in [key for key in state_dict if key.startswith(prefix) and is_entry(key.removeprefix(prefix))]:
            del state_dict[key]
        if plan:
            apply(self, plan, None)
        self._training.step = saved.step
        self._training.latched = channels_of(self.channels, saved.latched)
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def _apply(self, fn: Any, recurse: bool = True) -> CompressedModule:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._training.again(self)
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> CompressedModule:
        graphs: dict[Mode, fx.Graph] = {mode: copy.deepcopy(graph) for mode, graph in self._program.graphs.items()}
        call = copy.deepcopy(self._program.call, memo)
        own = self._program
        program = Program(copy.deepcopy(own.root, memo), graphs, call, own.notes, own.examples)
        other = type(self)(program, self._kept, self._outputs, self._attributes)
        memo[id(self)] = other
        other._size = self._size.for_graph(other.channels)
        other._channels_at_first = self._channels_at_first
        other._widths = Widths(dict(self._widths.kept), self._widths.shapes)
        other._training = self._training.copy()
        other._training.latched = channels_of(other.channels, marked_entries(self.channels, self._training.latched))
        other._training.again(other)
        other.training, other.start_error = self.training, self.start_error
        return other

    # --------------------------------------------------------------- to look at

    @property
    def channels(self) -> ChannelGraph:
        """The channel dependency graph as it is now."""
        if self._channels is None:
            self._channels = ChannelGraph(self._program, self._kept, self._outputs)
        return self._channels

    def left(self) -> Left:
        """What is left: bits, shares, widths; and which channels have no bits, go next, or are blocked, and by what.

        Raises:
            ModelError: Parameters are on the meta device.
        """
        refuse_valueless(dict(self.named_parameters()))
        return Left.of(self, find_zero_bits(self.channels, self._training.latched))

    def quantization_error(self, *args: Any, **kwargs: Any) -> float:
        """How far quantization takes the outputs for some inputs from what they would be with the weights as they are.

        It is the length of the difference over the length of the outputs without quantizers, in evaluation, for the
        output of which it is largest: 0.01 is 1 % off. Nothing changes. It is infinite where a number has become none,
        and NaN if no output has finite numbers to compare.

        Raises:
            InputError: The network is not called like this.
            ModelError: Parameters are on the meta device.
        """
        refuse_valueless(dict(self.named_parameters()))
        leaves, own = self._program.call.flatten(args, kwargs), (quantizer for _, quantizer in self.quantizers())
        return quantization_error(self._program.root, self._written("eval"), own, leaves)

    def extra_repr(self) -> str:
        return "" if self.start_error is None else f"start_error={self.start_error:.2g}"

    def quantizers(self) -> Iterator[tuple[str, Quantizer]]:
        """Every quantizer with its path."""
        for path, module in self.named_modules():
            if isinstance(module, Quantizer):
                yield path, module

    # -------------------------------------------------------------- to train by

    @property
    def guards(self) -> Guards:
        """How careful `update` is with what cannot be undone: see `scfx.Guards`. They are not part of the state."""
        return self._training.guards

    @guards.setter
    def guards(self, guards: Guards) -> None:
        if not isinstance(guards, Guards):
            raise InputError(f"net.guards takes scfx.Guards(...), not a {type(guards).__name__}")
        self._training.guards = guards

    @property
    def prune_every(self) -> int | None:
        """After how many calls of `update` channels are removed; None: only `prune` removes any."""
        return self._training.prune_every

    @prune_every.setter
    def prune_every(self, steps: int | None) -> None:
        if steps is not None and steps < 1:
            raise InputError(f"prune_every is a positive number of steps or None, not {steps}")
        self._training.prune_every = steps

    def param_groups(
        self, lr: float = 1e-3, weight_decay: float = 5e-4, quantizer_lr: float = 0.5, quantizer_eps: float = 1e-3
    ) -> list[dict[str, Any]]:
        """Parameter groups for an Adam optimizer with the paper's values: weights, other parameters, quantizers.

        Args:
            lr: Learning rate of weights, biases and norm parameters; their eps is 1e-5.
            weight_decay: L2 of the weights; biases, norms and quantizers have none.
            quantizer_lr: Learning rate of the quantizers.
            quantizer_eps: Their eps; a large one keeps the first steps of the bit depths small.
        """
        return param_groups(self, lr, weight_decay, quantizer_lr, quantizer_eps)

    def size(self) -> Tensor:
        """Average bits per original weight: a scalar, differentiable in the bit depths (the paper's equations 3 to 5).

        A weight counts the bit depths of its output channels, times its kernel and its input channels that are alive.
        For other things to keep small see `cost`.
        """
        return self.cost("bits")

    def cost(self, kind: CostKind = "bits", weights: Mapping[str, float] | None = None) -> Tensor:
        """What the network costs: a scalar to add to the loss, differentiable in the bit depths.

        Args:
            kind: What counts, for each quantized weight. "bits": the paper's equations 3 and 4, I * H * W * sum(b) over
                the number of quantized weights at first. I is the number of input channels that are alive: those that
                can go, or wait for blockers only, count as removed. "bits_both_ends": equation 5, H * W * (alive inputs
                * sum(b) + outputs with bits * sum(b of the channels that make the inputs)); it starts near 16. Where
                several make an input, their mean counts; where none does, as with the model's inputs, nothing.
                "bit_ops": multiply-accumulates times the bits of the weight that they multiply by, per original one.
                "macs": the share of the original multiply-accumulates that is left. As a count has no slope, its
                gradient is that of the same count with b / 8 in place of each channel, for both ends of each weight.
            weights: How much parts of the network count, as factors by module path; "" is all of it, and the longest
                path that holds a weight decides. What is not named counts once.

        Multiply-accumulates are those of the eval graph for the example inputs: a size that is free counts as it was
        there. Looking rows up, as an embedding does, is none; of experts, each row meets one.

        Raises:
            InputError: There is no such kind, or a factor is negative or not finite.
            UnknownNameError: `weights` names a path with no quantized weight below it.
            ModelError: The parameters are split over processes, or some are on the meta device and their values are
                needed.
        """
        try:
            return self._size.cost(kind, weights or {})
        except RuntimeError:
            refuse_sharded(dict(self.named_parameters()))
            refuse_valueless(dict(self.named_parameters()))
            raise

    def attach(self, optimizer: Optimizers) -> None:
        """Checks optimizers before their first step; `update` does so after it.

        Those that count a parameter's entries (Muon, Adafactor) go on counting what there was at first. If channels
        have gone before such an optimizer is made, it has to be attached before its first step, to know of them.

        Raises:
            OptimizerError: They do not own the parameters, or hold state that can't be sliced. Nothing changes.
        """
        meet_optimizers(optimizer, dict(self.named_parameters()), self._widths.shapes, stepped=False)

    def update(self, optimizer: Optimizers) -> PruneReport | None:
        """To be called after each `optimizer.step()`.

        Keeps bit depths at or above zero, shrinks the blockers of zero-bit channels, and every `prune_every` calls
        removes what can be removed.

        Args:
            optimizer: The optimizer, or all of them if several share the parameters.

        Returns:
            The report of what was removed, if anything was.

        Raises:
            OptimizerError: The optimizer does not own the parameters, or its state can't be sliced. Nothing changes.
            ModelError: Parameters are on the meta device.
        """
        try:
            return self._training.update(self, optimizer)
        except RuntimeError:
            refuse_valueless(dict(self.named_parameters()))
            raise

    def add_follower(self, follower: nn.Module) -> None:
        """From now on a copy of this module, or what holds one, loses the channels that this module loses.

        It is for averages of the weights: `torch.optim.swa_utils.AveragedModel(net)`. Their channels that can go take
        on what this module has there (zeros, that is) on the same step, whether they are removed then or later.

        Args:
            follower: It is not kept alive by this.

        Raises:
            InputError: It holds no copy of this module as it is now.
        """
        enlist(self, follower, CompressedModule)

    def followers(self) -> list[CompressedModule]:
        """The copies that lose the channels that this module loses."""
        return [alive for follower in self._followers if (alive := follower()) is not None]

    def prune(self, optimizer: Optimizers | None = None, constants: bool = False) -> PruneReport:
        """Removes what can be removed without changing what is computed.

        Args:
            optimizer: Its state follows the parameters; all of them if several share the parameters. Without one, make
                a new optimizer afterwards.
            constants: Remove also the channels that do contribute, but the same number whatever the inputs are, if the
                layers behind them have a bias that can add it from now on. The outputs stay the same, in both modes;
                gradients and later training don't, because what made these numbers is not trained any more.

        Raises:
            OptimizerError: The optimizer does not own the parameters, or its state can't be sliced. Nothing changes.
        """
        return prune(self, optimizer, constants)

    def finalize(self, fold: bool = True) -> fx.GraphModule:
        """A plain, compact GraphModule of the eval graph: quantized weights in place, nothing of scfx inside.

        As nothing trains there, it also lacks the channels that are zero or constant in this mode as things are; layers
        add such constants in their bias, and get one where they have none. Its `meta["bits"]` gives, for each weight by
        name, the bits in which the whole numbers of each output channel can be stored; of a weight of several matrices,
        as experts have, those of one matrix after the other; `meta["scales"]` what these numbers are multiplied by.

        Args:
            fold: Whether convolutions and linear layers take over the norms, scales and shifts of channels beside them.
                The whole numbers stay, what they are multiplied by changes, and layers without a bias get one: outputs
                agree to rounding. What is computed of parameters alone is then computed once, and what does nothing
                goes. Without, parameters keep their names and values, for whoever wants to train on.

        Raises:
            ModelError: The parameters are split over processes, or on the meta device.
        """
        refuse_sharded(dict(self.named_parameters()))
        refuse_valueless(dict(self.named_parameters()))
        return finalized(self.channels, fold)


def _loaded(module: nn.Module, _: object) -> None:
    """Once the quantizers below have their state, too, what is dead is found out anew."""
    if isinstance(module, CompressedModule):
        module._training.again(module)
