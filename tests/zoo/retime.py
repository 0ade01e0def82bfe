"""Time the analysis of models again, alone on the machine: `python -m tests.zoo.retime FOLDER NAME ...`.

A sweep runs several processes at once, which share caches and memory, so its times are too long, up to twice. What a
folder remembers of the models is kept, but for the time and what analysis finds.
"""

import sys
import warnings
from pathlib import Path

import torch

from tests.zoo.registry import find
from tests.zoo.result import Result, path_of
from tests.zoo.worker import analyse, compressed


def main(folder: str, *names: str) -> None:
    """Analyse each model three times; the shortest counts, as in a sweep."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    for name in names:
        path, model = path_of(name, Path(folder)), find(name)
        result = Result.load(path)
        before = result.analyse_ms
        analyse(compressed(model.settled(), model, 0), result)
        result.save(path)
        print(f"{name}: {before:.0f} -> {result.analyse_ms:.0f} ms", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
