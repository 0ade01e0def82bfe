"""How long the analysis takes, beside capture: `python -m benchmarks.analysis [name ...]`.

Models of up to 100 million parameters, on one core, without values: neither capture nor analysis looks at any.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from scfx.capture.capture import capture
from scfx.graph.channels import ChannelGraph

#: How often the analysis is timed; the shortest counts.
TIMES = 3


def _vision(name: str) -> tuple[nn.Module, Any]:
    import torchvision

    return torchvision.models.get_model(name, weights=None), torch.zeros(2, 3, 224, 224)


def _encoder() -> tuple[nn.Module, Any]:
    """The shape of BERT's base model."""
    layer = nn.TransformerEncoderLayer(768, 12, 3072, activation="gelu", batch_first=True)
    embedding, head = nn.Embedding(30522, 768), nn.Linear(768, 768)
    encoder = nn.TransformerEncoder(layer, 12, enable_nested_tensor=False)
    return nn.Sequential(embedding, encoder, head), torch.zeros(2, 128, dtype=torch.long)


MODELS: dict[str, Callable[[], tuple[nn.Module, Any]]] = {
    "resnet50": lambda: _vision("resnet50"),
    "convnext_base": lambda: _vision("convnext_base"),
    "densenet121": lambda: _vision("densenet121"),
    "vit_b_16": lambda: _vision("vit_b_16"),
    "bert_base": _encoder,
}


def measure(name: str) -> tuple[float, float, float]:
    """Return the millions of parameters of a model and the seconds of processor time of capture and of analysis."""
    with torch.device("meta"):
        model, inputs = MODELS[name]()
    start = time.process_time()
    program = capture(model, inputs)
    captured = time.process_time() - start
    analysed = []
    for _ in range(TIMES):
        start = time.process_time()
        _ = ChannelGraph(program).axes
        analysed.append(time.process_time() - start)
    return sum(p.numel() for p in model.parameters()) / 1e6, captured, min(analysed)


def main() -> None:
    """Print a line for each model."""
    torch.set_num_threads(1)
    print(f"{'model':14} {'parameters':>10} {'capture':>9} {'analysis':>9} {'ratio':>7}")
    for name in sys.argv[1:] or MODELS:
        millions, captured, analysed = measure(name)
        print(f"{name:14} {millions:8.1f} M {captured:7.1f} s {1e3 * analysed:6.0f} ms {analysed / captured:7.2%}")


if __name__ == "__main__":
    main()
