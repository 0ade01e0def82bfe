"""Example inputs from their shapes."""

import pytest
import torch

from scfx.commands.shapes import InputShape, described, example
from scfx.commands.usage import UsageError


@pytest.mark.parametrize("text", ["1x3x8x8", "7", "2x16:int64", "input_ids=2x16:int64", "mask=1x4:bool"])
def test_shapes_are_written_as_they_are_read(text: str) -> None:
    assert str(InputShape.read(text)) == text


def test_tensors_have_the_shape_and_the_dtype() -> None:
    made = example([InputShape.read("2x3:float64"), InputShape((4, 9), torch.int64, below=5)])
    assert isinstance(made, tuple)
    floats, whole = made
    assert (floats.shape, floats.dtype, whole.shape, whole.dtype) == ((2, 3), torch.float64, (4, 9), torch.int64)
    assert len(floats.unique()) == 6
    assert set(whole.unique().tolist()) <= set(range(5))
    assert len(whole.unique()) > 2
    assert set(InputShape.read("9x9:int32").tensor().unique().tolist()) == {0, 1}
    assert InputShape.read("9x9:bool").tensor().dtype == torch.bool
    assert InputShape.read("9x9").tensor("meta").is_meta


def test_named_inputs_are_keywords() -> None:
    made = example([InputShape.read("a=2x3"), InputShape.read("b=2:int64")])
    assert isinstance(made, dict)
    assert {name: tuple(tensor.shape) for name, tensor in made.items()} == {"a": (2, 3), "b": (2,)}
    assert described(made) == ["a=2x3", "b=2:int64"]
    assert described((torch.ones(2, 3), 1)) == described(torch.ones(2, 3)) == ["2x3"]


@pytest.mark.parametrize(
    ("text", "message"),
    [("3,4", "no shape"), ("3x", "no shape"), ("-1x3", "no shape"), ("1x0", "size of 0"), ("1x2:int65", "'int65'")],
)
def test_what_is_no_shape_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        InputShape.read(text)


def test_names_are_for_all_or_none_and_differ() -> None:
    with pytest.raises(UsageError, match="every --input a name"):
        example([InputShape.read("a=2x3"), InputShape.read("2x3")])
    with pytest.raises(UsageError, match="same name: a, a"):
        example([InputShape.read("a=2x3"), InputShape.read("a=2x3")])
