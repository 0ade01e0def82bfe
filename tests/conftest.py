"""What holds for every test: few threads, fixed seeds, no network, and reproducible property tests."""

import os
import random
import socket
from collections.abc import Iterator
from typing import Any

import hypothesis
import numpy as np
import pytest
import torch

from tests import torchvision_shim

#: One: threads that share a core with another worker's wait for one another, and a test takes ten times as long.
torch.set_num_threads(1)
os.environ["HF_HUB_OFFLINE"] = "1"
torchvision_shim.prepare()


class _TorchSeed:
    """torch's global generator, in the form in which hypothesis seeds and restores generators around each example."""

    def seed(self, seed: int) -> None:
        torch.manual_seed(seed)

    def getstate(self) -> torch.Tensor:
        return torch.get_rng_state()

    def setstate(self, state: torch.Tensor) -> None:
        torch.set_rng_state(state)


# Hypothesis keeps only a weak reference.
_TORCH_SEED = _TorchSeed()
hypothesis.register_random(_TORCH_SEED)

# "ci" tries the same examples on every run. "fuzz" looks for new ones: pytest --hypothesis-profile=fuzz -k random
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None)
hypothesis.settings.register_profile("fuzz", max_examples=1000, deadline=None, print_blob=True)
hypothesis.settings.load_profile("ci")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Seed every generator, take back what a program under test set for all, and skip what this machine cannot run."""
    torch.set_num_threads(1)
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")


@pytest.fixture(autouse=True, scope="session")
def _no_network() -> Iterator[None]:
    """Make any connection to another machine an error: the tests must pass without a network."""
    connect = socket.socket.connect

    def local_only(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            self.close()
            raise RuntimeError(f"A test tried to reach {address} over the network; tests must work offline.")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", local_only)
        yield
