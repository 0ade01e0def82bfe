"""Make a freshly built model fit for the exactness tests: nothing random, and no number at which a mistake is unseen.

Randomness is off, because random masks have the shape of what they mask: with fewer channels the same random state
draws different ones. Constant parameters are drawn, because at 0 and 1 a mistake would not show. Running statistics
fit the activations. Norms have a large eps: over few values, or where all values that it sees are equal but for
rounding, a norm multiplies rounding errors by up to 1 / sqrt(eps), and several in a row leave gradients with a few
correct digits, in the original as in the pruned network.
"""

from typing import Any

import torch
from torch import Tensor, nn

from tests.observation import Inputs, call

EPS = 0.1
"""What the small constants of norms become."""


def settle(model: nn.Module, inputs: Inputs) -> nn.Module:
    """Turn randomness off, draw norm parameters, biases and constants, and fit running statistics to the inputs."""
    for module in model.modules():
        _calm(module)
        _calm(getattr(module, "config", None))
    for parameter in model.parameters():
        _draw(parameter)
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._NormBase)]
    tracking = [(norm, norm.momentum) for norm in norms if norm.track_running_stats]
    for norm, _ in tracking:
        norm.momentum = 1.0
    if tracking:
        with torch.no_grad():
            call(model.train(), inputs)
    for norm, momentum in tracking:
        norm.momentum = momentum
    return model


def _calm(holder: Any) -> None:
    """Set the probabilities that a module or its configuration holds to 0, and small constants to EPS.

    Models spell dropout, stochastic depth and layer drop in many ways, but each way has "drop" in the name of the
    number, or in that of the class which calls it p. Mistakes show: the runner requires that equal inputs give equal
    outputs in train mode.
    """
    dropping = "drop" in type(holder).__name__.lower() or type(holder).__name__ == "StochasticDepth"
    for name, value in list(vars(holder).items()) if hasattr(holder, "__dict__") else ():
        if not isinstance(value, float):
            continue
        if "drop" in name.lower() or (dropping and name == "p"):
            setattr(holder, name, 0.0)
        elif "eps" in name.lower() and isinstance(holder, nn.Module):
            setattr(holder, name, EPS)


def _draw(parameter: Tensor) -> None:
    """Draw a parameter anew if all of its entries are one number: around that number, or around zero."""
    first = parameter.flatten()[:1]
    if not parameter.numel() or not bool((parameter == first).all()):
        return
    value = first.item()
    with torch.no_grad():
        if value == 0.0:
            parameter.uniform_(-0.5, 0.5)
        else:  # a scale; some start so small that nothing would be seen through them
            parameter.uniform_(0.5, 1.5).mul_(value if abs(value) > 0.1 else 1.0)
