"""Lets torchvision import beside a CPU build of torch.

The wheels of torchvision carry a compiled part for CUDA builds. Where it does not load, the operators
`torchvision::nms` and `torchvision::qnms` do not exist, and `import torchvision` fails because it attaches shape
functions to them. No classification model ever calls them, so declaring their schemas is enough. transformers and timm
import torchvision in turn, and need the same.

`prepare()` must run before the first import of torchvision: the command line calls it before it builds a model.
"""

import functools
import importlib.util
from pathlib import Path

import torch

SCHEMAS = {
    "nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}


@functools.cache
def prepare() -> torch.library.Library | None:
    """Declare the operators that torchvision's compiled part would have brought, if it does not load.

    Returns the library that holds the declarations, which live as long as it does (the cache keeps it), or None where
    nothing had to be declared.
    """
    if _compiled_part_loads():
        return None
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name, schema in SCHEMAS.items():
        if not hasattr(torch.ops.torchvision, name):
            library.define(name + schema)
    return library


def _compiled_part_loads() -> bool:
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return False
    extensions = [path for path in Path(spec.origin).parent.iterdir() if path.name in ("_C.so", "_C.pyd", "_C.dylib")]
    try:
        for extension in extensions:
            torch.ops.load_library(extension)
    except (OSError, RuntimeError):
        return False
    return bool(extensions)
