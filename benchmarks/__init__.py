"""Measurements, to be run by hand: `python -m benchmarks.analysis`."""

from tests import torchvision_shim

torchvision_shim.prepare()
