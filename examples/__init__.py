"""Training runs on real data, to be run from the repository root: `python -m examples.cifar10`; see README.md here."""

from tests import torchvision_shim

torchvision_shim.prepare()
