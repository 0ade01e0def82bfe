"""Parameter groups with the values of the paper's experiments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scfx.module import CompressedModule


def param_groups(
    module: CompressedModule, lr: float, weight_decay: float, quantizer_lr: float, quantizer_eps: float
) -> list[dict[str, Any]]:
    """See `CompressedModule.param_groups`."""
    own = {id(parameter) for _, quantizer in module.quantizers() for parameter in quantizer.parameters()}
    rest = [parameter for parameter in module.parameters() if id(parameter) not in own and parameter.requires_grad]
    weights = [parameter for parameter in rest if parameter.dim() > 1]
    others = [parameter for parameter in rest if parameter.dim() <= 1]
    groups = [
        {"params": weights, "lr": lr, "eps": 1e-5, "weight_decay": weight_decay},
        {"params": others, "lr": lr, "eps": 1e-5, "weight_decay": 0.0},
        {
            "params": [parameter for _, quantizer in module.quantizers() for parameter in quantizer.parameters()],
            "lr": quantizer_lr,
            "eps": quantizer_eps,
            "weight_decay": 0.0,
        },
    ]
    return [group for group in groups if group["params"]]
