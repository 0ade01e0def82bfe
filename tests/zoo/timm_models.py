"""timm's families, one or two members of each."""

from tests import torchvision_shim

torchvision_shim.prepare()

from tests.zoo import (  # noqa: E402  (timm imports torchvision, which needs the declarations above)
    timm_convolutional,
    timm_mixers,
    timm_mobile,
    timm_pyramids,
    timm_transformers,
)

MODELS = (
    *timm_transformers.MODELS,
    *timm_pyramids.MODELS,
    *timm_mixers.MODELS,
    *timm_convolutional.MODELS,
    *timm_mobile.MODELS,
)
"""Every model of this list; `python -m tests.zoo timm` sweeps it."""
