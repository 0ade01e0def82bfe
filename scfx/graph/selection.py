"""What a user names: the parameters, modules and axes to keep, and the outputs that matter."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any

from torch import nn

from scfx.capture.calling import CallSpec
from scfx.capture.program import MODES, Mode
from scfx.errors import InputError, UnknownNameError
from scfx.signatures.call import Dims
from scfx.terms.symbolic import size_text

if TYPE_CHECKING:
    from scfx.graph.channels import Axis, Kept


def unknown_name(name: object, known: Sequence[str], what: str) -> str:
    """A message that says what was named in vain, and what comes closest."""
    near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5) or list(known[:3])
    verb = "are" if len(near) > 1 else "is"
    return f"no {what} is called {name!r}; the nearest {verb} {', '.join(map(repr, near)) or 'none'}"


def _listed(given: object) -> list[Any]:
    """What a user gave as one thing or as several."""
    return list(given) if isinstance(given, Iterable) and not isinstance(given, (str, nn.Module)) else [given]


def kept_dims(model: nn.Module, keep: Iterable[str | nn.Module | Axis] | str | nn.Module | Axis) -> tuple[Kept, ...]:
    """The dimensions behind what a user wants to keep: parameters, buffers and modules by name, modules, or axes.

    Raises:
        UnknownNameError: a name or module that the model doesn't have.
    """
    items = _listed(keep)
    state = [
        name
        for name, _ in (*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False))
    ]
    paths = {id(module): path for path, module in model.named_modules()}
    kept: list[Kept] = []
    for item in items:
        if isinstance(item, nn.Module):
            if id(item) not in paths:
                raise UnknownNameError(f"keep names a {type(item).__name__} that is no module of the model")
            path: str | None = paths[id(item)]
        elif isinstance(item, str):
            path = item
        elif hasattr(item, "members"):
            whole = [member for member in item.members if len(member.indices(0)) == 1] or item.members
            kept.extend((member.name, member.dim) for member in whole if member.name in state)
            continue
        else:
            raise UnknownNameError(f"keep takes names, modules and axes, not a {type(item).__name__}")
        found = [name for name in state if path in (name, "") or name.startswith(f"{path}.")]
        if not found and path not in paths.values():
            raise UnknownNameError(unknown_name(path, [*state, *paths.values()], "parameter, buffer or module"))
        kept.extend((name, None) for name in found)
    return tuple(dict.fromkeys(kept))


def split_member(text: str) -> tuple[str, int] | None:
    """The name and the dimension of what is written as "fc.weight[1]"; None for anything else."""
    found = re.fullmatch(r"(.+)\[(-?\d+)\]", text)
    return (found[1], int(found[2])) if found else None


def dimension(dims: Dims, name: str, dim: int) -> int:
    """The dimension of a tensor, from 0, given a number that may count from the last one.

    Raises:
        InputError: The tensor has no such dimension.
    """
    if not -len(dims) <= dim < len(dims):
        shape = " x ".join(size_text(each.size) for each in dims)
        raise InputError(f"{name} has {len(dims)} dimensions ({shape}), there is no dimension {dim}")
    return dim % len(dims)


def output_positions(call: CallSpec, outputs: Iterable[str | int] | str | int | None) -> Mapping[Mode, Set[int]] | None:
    """For each mode, the positions of the output leaves that a user named; None: all of them.

    Raises:
        UnknownNameError: an output that the model has in neither mode.
        InputError: no output at all.
    """
    if outputs is None:
        return None
    wanted = _listed(outputs)
    if not wanted:
        raise InputError("outputs=[] names no output that matters, so that nothing would be left to compute: name one")
    result: dict[Mode, set[int]] = {mode: set() for mode in MODES}
    for name in wanted:
        failures: list[UnknownNameError] = []
        for mode in MODES:
            try:
                result[mode].update(call.select_outputs(name, mode))
            except UnknownNameError as error:  # an auxiliary output is there in one mode only
                failures.append(error)
        if len(failures) == len(MODES):
            raise failures[0]
    return result
