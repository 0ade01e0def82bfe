"""Capture checks itself: outputs and gradients of the graphs against the original, on the example and other sizes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from scfx.capture.blame import custom_function, failing_node, first_different_module, remembered
from scfx.capture.calling import SizeError
from scfx.capture.guards import Guard
from scfx.capture.program import MODES, Mode, Program, graph_module
from scfx.capture.runs import Run, differs, largest_gradient, run, tolerance
from scfx.capture.twin import twin
from scfx.capture.variations import Args, Kwargs, batches, first_sample, one_more, other_sizes
from scfx.errors import CaptureError, InputError

_TRAINING = (
    "\nIf the model does this in training only: with train_as_eval=True what it computes in evaluation is trained, "
    "dropout and norms as in training."
)


@dataclass(frozen=True)
class Subject:
    """A program under test, with copies of the original that share its parameters.

    One copy of the original serves all calls in a mode: what the model keeps from its first call has to show in the
    second.
    """

    program: Program
    original: nn.Module
    twins: dict[Mode, nn.Module]

    def check(self, mode: Mode, args: Args, kwargs: Kwargs, what: str, gradients: bool) -> bool:
        """Compare both on one call. Return False if the original refuses it; raise CaptureError if they differ."""
        if not self._covered(args, kwargs):
            return False
        module = self.twins[mode]
        with torch.no_grad():
            for name, buffer in self.original.named_buffers():
                _restore(module.get_buffer(name), buffer)
        try:
            expected = run(lambda: module(*_cloned(args), **_cloned(kwargs)), module, gradients)
        except Exception:  # whatever the reason, the original does not take this call and so nothing has to agree
            return False
        try:
            got = self._run_graph(mode, args, kwargs, gradients)
        except InputError as error:
            raise CaptureError(self._frozen_message(mode, error)) from error
        except Exception as error:
            where = failing_node(self.program, mode, self._leaves(args, kwargs))
            raise CaptureError(
                f"the captured graph fails in {mode} mode on {what}, where the original does not{where}: {error}\n"
                "A size was probably fixed at capture: write x.shape[0], not len(x) or int(...), and let operators "
                f"infer sizes.{_TRAINING if mode == 'train' else ''}"
            ) from error
        self._compare(mode, args, kwargs, what, expected, got)
        return True

    def _covered(self, args: Args, kwargs: Kwargs) -> bool:
        """Say whether the sizes of a call are those that the graph claims to hold for, as far as the model branches."""
        try:
            self.program.call.flatten(args, kwargs)
        except SizeError:
            return False
        except InputError:  # a size that was fixed at capture: whether the model fixes it is what the check asks
            return True
        return True

    def _run_graph(self, mode: Mode, args: Args, kwargs: Kwargs, gradients: bool) -> Run:
        leaves = self.program.call.flatten(_cloned(args), _cloned(kwargs))
        module = graph_module(self.program, mode)
        with untouched_buffers(self.program.root):
            return run(lambda: module(*leaves), self.program.root, gradients)

    def _leaves(self, args: Args, kwargs: Kwargs) -> list[Any]:
        return self.program.call.flatten(_cloned(args), _cloned(kwargs))

    def _compare(self, mode: Mode, args: Args, kwargs: Kwargs, what: str, expected: Run, got: Run) -> None:
        allowed = tolerance([*self.program.root.parameters(), *pytree.tree_leaves((args, kwargs))]) or 1e-10
        names = self.program.call.output_names[mode]
        if len(expected.outputs) != len(got.outputs):
            raise CaptureError(
                f"the original gives {len(expected.outputs)} outputs on {what}, the graph {len(got.outputs)}."
            )
        for name, one, other in zip(names, expected.outputs, got.outputs, strict=True):
            if differs(one, other, allowed):
                cause = self._cause(mode, args, kwargs, allowed)
                raise CaptureError(_difference(f"output{name and ' ' + name}", mode, what) + cause)
        floor = 1e-3 * largest_gradient(expected)
        for name, gradient in expected.gradients.items():
            if _gradients_differ(gradient, got.gradients[name], allowed, floor):
                cause = custom_function(expected.history) or self._cause(mode, args, kwargs, allowed)
                raise CaptureError(_difference(f"the gradient of parameter {name!r}", mode, what) + cause)
        for name, buffer in expected.buffers.items():
            if differs(buffer, got.buffers[name], allowed):
                cause = self._cause(mode, args, kwargs, allowed)
                raise CaptureError(_difference(f"buffer {name!r} after the call", mode, what) + cause)

    def _cause(self, mode: Mode, args: Args, kwargs: Kwargs, allowed: float) -> str:
        memory = remembered(self.original, mode, _cloned(args), _cloned(kwargs))
        if memory:
            return memory
        with untouched_buffers(self.program.root):
            return first_different_module(self.program, self.original, mode, _cloned(args), _cloned(kwargs), allowed)

    def _frozen_message(self, mode: Mode, error: InputError) -> str:
        places = (place for leaf in self.program.call.inputs for dim, place in leaf.fixed if dim == 0 and place)
        lines = "".join(f"\nA size is fixed{place}" for place in dict.fromkeys(places))
        return (
            f"the batch size was frozen at capture: the original takes another one in {mode} mode, the captured graph "
            "does not "
            f"({error}){lines}\nWrite x.shape[0] instead of len(x), do not turn sizes into Python numbers with int(), "
            f"and do not loop over the batch.{_TRAINING if mode == 'train' else ''}"
        )


def check_program(program: Program, original: nn.Module, args: Args, kwargs: Kwargs) -> None:
    """Raise CaptureError, with the likely cause, if `program` does not compute what `original` does.

    Outputs and buffers after the call are compared in both modes, on the example, with one more sample, with one sample
    alone and with other sizes where they are free; gradients of all parameters on the example, as operators that lose a
    gradient lose it for any size. `original` has to share its parameters with `program.root`; neither is changed. If
    one sample alone is something else to the model, the program's guards say so from now on.
    """
    twins: dict[Mode, nn.Module] = {mode: twin(original).train(mode == "train") for mode in MODES}
    subject = Subject(program, original, twins)
    for mode in MODES:
        subject.check(mode, args, kwargs, "the example inputs", gradients=True)
        for bigger in one_more(program.call, args, kwargs):
            if subject.check(mode, *bigger, "the example inputs with one more sample", gradients=False):
                break
        other = other_sizes(program.call, args, kwargs)
        if not _alone(subject, mode, other or (args, kwargs)) and other is not None:
            subject.check(mode, *other, "inputs of another size", gradients=False)


def _alone(subject: Subject, mode: Mode, call: tuple[Args, Kwargs]) -> bool:
    """Compare on the first sample of a call alone; say whether they agree. If they do not, two samples are needed."""
    spec = subject.program.call
    try:
        return subject.check(mode, *first_sample(spec, *call), "one sample alone", gradients=False)
    except CaptureError:
        spec.guards += tuple(Guard(f"{name}.shape[0] >= 2") for name in batches(spec, *call))
        return False


@contextlib.contextmanager
def untouched_buffers(root: nn.Module) -> Iterator[None]:
    """Put every buffer of `root` back to what it was."""
    before = [(buffer, buffer.detach().clone()) for buffer in root.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in before:
                _restore(buffer, value)


def _restore(buffer: torch.Tensor, value: torch.Tensor) -> None:
    """Put `value` into `buffer` if it holds another one; expanded tensors, as constants are, can't be written."""
    if not torch.equal(buffer, value):
        buffer.copy_(value)


def _cloned(tree: Any) -> Any:
    """Return `tree` with its tensors cloned, so that a model that works in place does not spoil the next run."""
    return pytree.tree_map(lambda leaf: leaf.clone() if isinstance(leaf, torch.Tensor) else leaf, tree)


def _gradients_differ(one: torch.Tensor | None, other: torch.Tensor | None, allowed: float, floor: float) -> bool:
    if one is None or other is None:
        present = one if one is not None else other
        return present is not None and bool((present.abs() > allowed * floor).any())
    return differs(one, other, allowed, floor)


def _difference(what: str, mode: Mode, on: str) -> str:
    return f"the captured graph is not the model: {what} differs in {mode} mode on {on}.\n"
