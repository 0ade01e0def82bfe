"""How a captured model is called: the original's arguments to flat leaves, and flat leaves to the original's output."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch.utils import _pytree as pytree

from scfx.capture.guards import Guard
from scfx.capture.leaves import named_leaves, plain_spec, register_dataclasses, spec_from_plain
from scfx.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from scfx.capture.program import Mode


class SizeError(InputError):
    """The sizes of a call are ones at which the model branches another way than at capture."""


@dataclass(frozen=True)
class InputLeaf:
    """One leaf of the inputs as it was at capture.

    Attributes:
        name: The path of the leaf, such as `x` or `batch['ids']`.
        shape: The size of each dimension, None where any size will do; None as a whole if the leaf is not a tensor.
        dtype: The dtype of a tensor, else None.
        value: What a leaf that is not a tensor was, and has to stay.
        example: The sizes of a tensor at capture.
        fixed: Where the model made the size of a dimension a number, as ` at file:line in function: code`.
    """

    name: str
    shape: tuple[int | None, ...] | None
    dtype: torch.dtype | None
    value: object = None
    example: tuple[int, ...] = ()
    fixed: tuple[tuple[int, str], ...] = ()

    def check(self, leaf: object) -> None:
        """Raise InputError unless `leaf` can stand in the place of this leaf."""
        if self.shape is None:
            self._check_constant(leaf)
        elif not isinstance(leaf, torch.Tensor):
            was = f"{self.name} was a tensor of shape {_shape_text(self.shape)} when the model was captured"
            now = "absent (None)" if leaf is None else f"{_short(leaf)}, a {type(leaf).__name__},"
            raise InputError(f"{was} but is {now} now. Give a tensor, or capture the model again without it.")
        else:
            self._check_tensor(leaf)

    def _check_constant(self, leaf: object) -> None:
        if _same(leaf, self.value):
            return
        was = "absent (None)" if self.value is None else _short(self.value)
        now = "absent (None)" if leaf is None else _short(leaf)
        raise InputError(
            f"{self.name} was {was} when the model was captured but is {now} now. What is not a tensor is fixed at "
            "capture: "
            f"capture the model again with example inputs in which {self.name} is {now}."
        )

    def _check_tensor(self, leaf: torch.Tensor) -> None:
        assert self.shape is not None
        assert self.dtype is not None
        if leaf.ndim != len(self.shape):
            raise InputError(
                f"{self.name} has {leaf.ndim} dimensions, shape {tuple(leaf.shape)}; "
                f"the model was captured with {len(self.shape)}, shape {_shape_text(self.shape)}."
            )
        if _family(leaf.dtype) != _family(self.dtype):
            raise InputError(f"{self.name} has dtype {leaf.dtype}; the model was captured with {self.dtype}.")
        for dim, (expected, got) in enumerate(zip(self.shape, leaf.shape, strict=True)):
            if expected is not None and expected != got:
                place = dict(self.fixed).get(dim)
                because = f", which the model fixes{place}" if place else ""
                raise InputError(
                    f"{self.name} has size {got} in dimension {dim}, shape {tuple(leaf.shape)}; the model was "
                    f"captured with size {expected}, shape {_shape_text(self.shape)}{because}. Capture it again to use "
                    "it with another size."
                )


@dataclass
class CallSpec:
    """The calling convention of a captured model: the original's signature, the structure of inputs and outputs.

    Attributes:
        signature: The signature of the original `forward`, without annotations.
        in_spec: The structure of the bound arguments, a dict in the order of the signature.
        inputs: One record per flat leaf, tensors and constants alike, in the order of the graph's placeholders.
        out_specs: The structure of the output in each mode.
        output_names: The path of each output leaf in each mode, such as `[0]`, `['logits']`, `.logits`; empty for a
            bare tensor.
        guards: What the sizes of a call have to meet, as the model branches on them.
    """

    signature: inspect.Signature
    in_spec: pytree.TreeSpec
    inputs: tuple[InputLeaf, ...]
    out_specs: dict[Mode, pytree.TreeSpec] = field(default_factory=dict)
    output_names: dict[Mode, tuple[str, ...]] = field(default_factory=dict)
    guards: tuple[Guard, ...] = ()

    @classmethod
    def of(cls, forward: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> CallSpec:
        """Describe the call `forward(*args, **kwargs)`. Raises InputError if the arguments do not fit the signature."""
        signature = plain_signature(forward)
        register_dataclasses((tuple(args), dict(kwargs)))
        bound = _bind(signature, args, kwargs)
        leaves, in_spec = pytree.tree_flatten(bound)
        names = [name for argument, value in bound.items() for name, _ in named_leaves(value, argument)]
        return cls(signature, in_spec, tuple(_record(name, leaf) for name, leaf in zip(names, leaves, strict=True)))

    @property
    def input_names(self) -> tuple[str, ...]:
        """The path of each flat input leaf, such as `x` or `batch['ids']`."""
        return tuple(leaf.name for leaf in self.inputs)

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return all arguments of a call by name, defaults too. Raises InputError if they do not fit the signature."""
        return _bind(self.signature, args, kwargs)

    def flatten(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
        """Bind the arguments of a call as the original does and return their flat leaves, one for each placeholder.

        Raises InputError, naming argument and dimension, where the call does not fit what was captured.
        """
        bound = self.bind(args, kwargs)
        leaves, spec = pytree.tree_flatten(bound)
        if spec != self.in_spec:
            leaves = self._by_name(bound)
        for record, leaf in zip(self.inputs, leaves, strict=True):
            record.check(leaf)
        broken = next((guard for guard in self.guards if not guard.holds(bound)), None)
        if broken is not None:
            raise SizeError(self._refusal(broken, leaves))
        return leaves

    def _refusal(self, guard: Guard, leaves: Sequence[Any]) -> str:
        shapes = {
            record.name: tuple(leaf.shape) for record, leaf in zip(self.inputs, leaves, strict=True) if record.shape
        }
        given = ", ".join(f"{name} has shape {shapes[name]}" for name in dict(guard.sizes))
        return (
            f"{given}, but what was captured holds where {guard.condition}: the model branches on this{guard.place}. "
            "Capture it again with an example of the size you need."
        )

    def unflatten(self, leaves: Sequence[Any], mode: Mode) -> Any:
        """Rebuild the output of the original in `mode` from its flat leaves."""
        return pytree.tree_unflatten(list(leaves), self.out_specs[mode])

    def select_outputs(self, name: str | int, mode: Mode) -> list[int]:
        """Return the positions of the output leaves that `name` means in `mode`.

        A name is the path of a leaf or of a part that holds leaves. `logits`, `.logits` and `['logits']` mean the
        same, and so do `0` and `[0]`. Raises UnknownNameError, with the names there are, if it means nothing.
        """
        wanted = _plain_path(str(name))
        names = self.output_names[mode]
        found = [i for i, path in enumerate(names) if (_plain_path(path) + ".").startswith(wanted + ".")]
        if not found:
            raise UnknownNameError(
                f"the model has no output named {name!r} in {mode} mode; its outputs are: "
                f"{', '.join(map(repr, names)) or 'none'}."
            )
        return found

    def __getstate__(self) -> dict[str, Any]:
        state = dict(vars(self))
        state["in_spec"] = plain_spec(self.in_spec)
        state["out_specs"] = {mode: plain_spec(spec) for mode, spec in self.out_specs.items()}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.in_spec = spec_from_plain(state["in_spec"])
        self.out_specs = {mode: spec_from_plain(spec) for mode, spec in state["out_specs"].items()}

    def _by_name(self, bound: dict[str, Any]) -> list[Any]:
        """Return the leaves in captured order when only the order of dict keys differs; raise InputError otherwise."""
        register_dataclasses(bound)
        now = dict(pair for argument, value in bound.items() for pair in named_leaves(value, argument))
        expected = {leaf.name: leaf for leaf in self.inputs}
        for name, leaf in expected.items():
            if name not in now:
                inside = [other for other in now if other.startswith((f"{name}[", f"{name}."))]
                if inside and leaf.shape is None and leaf.value is None:
                    raise InputError(
                        f"{name} was absent (None) when the model was captured but is given now ({', '.join(inside)}). "
                        f"Capture the model again with example inputs that give {name}."
                    )
                raise InputError(
                    f"{name} was given when the model was captured but is missing now; got "
                    f"{', '.join(now) or 'nothing'}."
                )
        for name in now:
            if name not in expected:
                raise InputError(
                    f"{name} is given now but was not when the model was captured; it was captured with "
                    f"{', '.join(expected)}. Leave it out, or capture the model again with it."
                )
        return [now[name] for name in expected]


def split_example(example_inputs: object) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return `example_inputs` as positional and keyword arguments.

    A tensor is the only argument, a tuple holds the positional arguments, a mapping the keyword arguments. Anything
    else raises InputError, lists too: whether a list is one argument or several cannot be told.
    """
    if isinstance(example_inputs, torch.Tensor):
        return (example_inputs,), {}
    if type(example_inputs) is tuple:
        return example_inputs, {}
    if isinstance(example_inputs, Mapping):
        if not all(isinstance(key, str) for key in example_inputs):
            raise InputError(
                "example_inputs is a dict, so it holds keyword arguments, but not all of its keys are strings."
            )
        return (), {str(key): value for key, value in example_inputs.items()}
    hint = ""
    if isinstance(example_inputs, (list, tuple)):
        hint = " For several arguments write a plain tuple; for one argument that is a list write (the_list,)."
    raise InputError(
        "example_inputs has to be a tensor, a tuple of positional arguments or a dict of keyword arguments, "
        f"not {type(example_inputs).__name__}.{hint}"
    )


def plain_signature(forward: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of `forward` without annotations, so that it copies and pickles without the function."""
    parameters = inspect.signature(forward).parameters.values()
    return inspect.Signature([parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters])


def _bind(signature: inspect.Signature, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise InputError(f"the arguments do not fit forward{signature}: {error}.") from None
    bound.apply_defaults()
    arguments = dict(bound.arguments)
    for parameter in signature.parameters.values():
        if (
            parameter.kind is inspect.Parameter.VAR_KEYWORD
        ):  # these are arguments of their own: **kwargs is not their name
            arguments.update(arguments.pop(parameter.name))
    return arguments


def _record(name: str, leaf: object) -> InputLeaf:
    if isinstance(leaf, torch.Tensor):
        return InputLeaf(name, tuple(leaf.shape), leaf.dtype, example=tuple(leaf.shape))
    return InputLeaf(name, None, None, leaf)


def _same(a: object, b: object) -> bool:
    if a is b:
        return True
    try:
        return type(a) is type(b) and bool(a == b)
    except Exception:  # an object whose == fails is not known to be the same
        return False


def _family(dtype: torch.dtype) -> str:
    """Return the kind of number: within a kind, the operators themselves know best which dtypes go together."""
    if dtype is torch.bool:
        return "bool"
    return "complex" if dtype.is_complex else "float" if dtype.is_floating_point else "integer"


def _plain_path(path: str) -> str:
    """Return a path with one spelling for attributes, keys and indices: `.a`, `['a']` and `a` become `a`."""
    for quote in ("['", "']", '["', '"]', "[", "]"):
        path = path.replace(quote, ".")
    return ".".join(part for part in path.split(".") if part)


def _shape_text(shape: Sequence[int | None]) -> str:
    sizes = ", ".join("any" if size is None else str(size) for size in shape)
    return f"({sizes},)" if len(shape) == 1 else f"({sizes})"


def _short(value: object) -> str:
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {_shape_text(tuple(value.shape))}"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
