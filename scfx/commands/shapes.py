"""`--input 2x3x224x224`, `--input input_ids=2x16:int64`: example inputs from their shapes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from scfx.commands.usage import UsageError

#: What follows the shape, and the dtype that it stands for.
DTYPES: dict[str, torch.dtype] = {
    name: getattr(torch, name)
    for name in "float32 float64 float16 bfloat16 complex64 int64 int32 int16 int8 uint8 bool".split()
}

_SHAPE = re.compile(r"(?:(?P<name>[A-Za-z_]\w*)=)?(?P<sizes>\d+(?:x\d+)*)(?::(?P<dtype>\w+))?")


@dataclass(frozen=True)
class InputShape:
    """One example input.

    Attributes:
        sizes: Its shape, the batch first.
        dtype: Its dtype.
        name: The argument that it is given as; "" for the next one without a name.
        below: Whole numbers are drawn from those below this one.
    """

    sizes: tuple[int, ...]
    dtype: torch.dtype = torch.float32
    name: str = ""
    below: int = 2

    @staticmethod
    def read(text: str) -> InputShape:
        """Reads `[NAME=]SIZExSIZE...[:DTYPE]`.

        Raises:
            UsageError: It is written in another way, has a size of 0, or its dtype is not known.
        """
        found = _SHAPE.fullmatch(text.strip())
        if found is None:
            raise UsageError(
                f"--input {text!r} is no shape: write sizes with an x between them, the batch first, as in "
                "1x3x224x224, 1x16:int64 or input_ids=1x16:int64"
            )
        sizes = tuple(map(int, found["sizes"].split("x")))
        if 0 in sizes:
            raise UsageError(f"--input {text!r} has a size of 0: the example needs at least one element")
        dtype = found["dtype"] or "float32"
        if dtype not in DTYPES:
            raise UsageError(f"--input {text!r} has the dtype {dtype!r}, which is none of {', '.join(DTYPES)}")
        return InputShape(sizes, DTYPES[dtype], found["name"] or "")

    def __str__(self) -> str:
        sizes = "x".join(map(str, self.sizes))
        dtype = "" if self.dtype == torch.float32 else f":{str(self.dtype).removeprefix('torch.')}"
        return f"{self.name and self.name + '='}{sizes}{dtype}"

    def tensor(self, device: str = "cpu") -> Tensor:
        """A tensor of this shape: normally distributed, or whole numbers, with a random state of its own."""
        if device == "meta":
            return torch.empty(self.sizes, dtype=self.dtype, device=device)
        generator = torch.Generator().manual_seed(0)
        if self.dtype.is_floating_point or self.dtype.is_complex:
            return torch.randn(self.sizes, dtype=self.dtype, generator=generator)
        return torch.randint(self.below, self.sizes, generator=generator).to(self.dtype)


def example(shapes: Sequence[InputShape], device: str = "cpu") -> tuple[Tensor, ...] | dict[str, Tensor]:
    """Example inputs of these shapes, as `scfx.channel_graph` takes them: by position, or all by name.

    Raises:
        UsageError: Some have a name and some do not, or two have the same.
    """
    names = [shape.name for shape in shapes]
    if not any(names):
        return tuple(shape.tensor(device) for shape in shapes)
    if not all(names):
        raise UsageError("give every --input a name, as in input_ids=1x16:int64, or none")
    if len(set(names)) < len(names):
        raise UsageError(f"two of the inputs have the same name: {', '.join(names)}")
    return {shape.name: shape.tensor(device) for shape in shapes}


def described(inputs: object) -> list[str]:
    """The tensors of example inputs, as `--input` would say them."""
    if isinstance(inputs, Tensor):
        return [str(InputShape(tuple(inputs.shape), inputs.dtype))]
    if isinstance(inputs, dict):
        pairs: Iterable[tuple[str, object]] = inputs.items()
    else:
        pairs = (("", each) for each in inputs) if isinstance(inputs, (tuple, list)) else ()
    return [
        str(InputShape(tuple(each.shape), each.dtype, str(name))) for name, each in pairs if isinstance(each, Tensor)
    ]
