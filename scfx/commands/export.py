"""`scfx export FILE -o FILE`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scfx.commands.options import Inputs
from scfx.commands.shapes import InputShape, example
from scfx.commands.usage import UsageError
from scfx.errors import ExportError
from scfx.exporting.onnx import OPSET, export_onnx
from scfx.exporting.trouble import check_packages
from scfx.files.files import load


def export(
    file: Annotated[Path, typer.Argument(help="A file that scfx.save has written.", show_default=False)],
    out: Annotated[
        Path, typer.Option("--to", "-o", help="The ONNX file; it is replaced if it exists.", show_default=False)
    ],
    inputs: Inputs = None,
    opset: Annotated[int, typer.Option(help="The version of ONNX's operators; from 25 on, INT2 is used.")] = OPSET,
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Compare ONNX Runtime's outputs before anything is written.")
    ] = True,
) -> None:
    """Write a saved network as ONNX, its weights as whole numbers: needs pip install 'scfx[onnx]'."""
    try:
        check_packages("onnx", "onnxscript", *(["onnxruntime"] if check else []))
    except ExportError as error:
        raise UsageError(str(error)) from error
    shapes = [InputShape.read(text) for text in inputs or ()]
    export_onnx(load(file), out, example(shapes) if shapes else None, opset=opset, check=check)
    typer.echo(f"Written to {out}: {out.stat().st_size:,} bytes")
