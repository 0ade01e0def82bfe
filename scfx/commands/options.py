"""The arguments that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="torchvision:resnet50, timm:vit_tiny_patch16_224, hf:bert (a model type of transformers), or "
        "file.py:function, which returns a model or (model, example_inputs). Naming a file runs the code in it. "
        "Weights are random, nothing is downloaded.",
        show_default=False,
    ),
]

Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="[NAME=]SHAPE[:DTYPE]",
        help="Shape of an input, the batch first: 1x3x224x224, 1x16:int64, input_ids=1x16:int64. Once for each input. "
        "Needed only for a function that returns no example.",
        show_default=False,
    ),
]

Outputs = Annotated[
    list[str] | None,
    typer.Option(
        "--outputs",
        metavar="NAME",
        help="An output that matters, by name or position, when the model returns more: the others may lose channels. "
        "Once for each.",
        show_default=False,
    ),
]

TrainAsEval = Annotated[
    bool,
    typer.Option(
        "--train-as-eval",
        help="Train on what the model computes in evaluation, where something it does only in training can't be "
        "captured.",
    ),
]

EPILOG = "Exit status: 0 fine; 1 the model could not be made, captured, drawn, trained or saved; 2 wrong usage."
