"""torchvision's convolutional classifiers, with small images and few classes."""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import nn

from tests import torchvision_shim
from tests.zoo.inputs import images
from tests.zoo.model import ZooModel

torchvision_shim.prepare()

from torchvision import models  # noqa: E402  (needs the declarations above)
from torchvision.models.regnet import BlockParams, RegNet  # noqa: E402

CLASSES = 5


def torchvision_model(name: str, **options: Any) -> nn.Module:
    """Return one of torchvision's models with random weights, by default in its published size."""
    model: nn.Module = models.get_model(name, weights=None, **options)
    return model


def _torchvision(name: str, **options: Any) -> Callable[[], nn.Module]:
    return lambda: torchvision_model(name, num_classes=CLASSES, **options)


def _narrow_classifier(name: str, width: int = 48) -> Callable[[], nn.Module]:
    """Return a VGG or an AlexNet whose two hidden linear layers have `width` features instead of 4096."""

    def build() -> nn.Module:
        with torch.device("meta"):
            model: Any = torchvision_model(name, num_classes=CLASSES)
        hidden = [i for i, layer in enumerate(model.classifier) if isinstance(layer, nn.Linear)]
        size = model.classifier[hidden[0]].in_features
        for index in hidden:
            last = index == hidden[-1]
            model.classifier[index] = nn.Linear(size, CLASSES if last else width)
            size = width
        model.features.to_empty(device="cpu")
        for module in model.features.modules():
            if isinstance(module, nn.Conv2d | nn.BatchNorm2d):
                module.reset_parameters()
        return cast(nn.Module, model)

    return build


def _narrow_regnet() -> nn.Module:
    """RegNetY-128GF with all widths divided by 8: its 640 million parameters need 40 GB in these tests."""
    parameters = BlockParams.from_init_params(depth=27, w_0=456, w_a=160.83, w_m=2.52, group_width=264, se_ratio=0.25)
    parameters.widths = [width // 8 for width in parameters.widths]
    parameters.group_widths = [width // 8 for width in parameters.group_widths]
    model: nn.Module = RegNet(parameters, num_classes=CLASSES)
    return model


FAMILIES = {
    "resnet": ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    "resnext": ("resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d"),
    "wide_resnet": ("wide_resnet50_2", "wide_resnet101_2"),
    "densenet": ("densenet121", "densenet161", "densenet169", "densenet201"),
    "vgg": tuple(f"vgg{depth}{bn}" for depth in (11, 13, 16, 19) for bn in ("", "_bn")),
    "alexnet": ("alexnet",),
    "squeezenet": ("squeezenet1_0", "squeezenet1_1"),
    "mobilenet": ("mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large"),
    "mnasnet": ("mnasnet0_5", "mnasnet0_75", "mnasnet1_0", "mnasnet1_3"),
    "efficientnet": (*(f"efficientnet_b{i}" for i in range(8)), *(f"efficientnet_v2_{size}" for size in "sml")),
    "regnet": tuple(
        f"regnet_{kind}_{size}"
        for kind in "xy"
        for size in ("400mf", "800mf", "1_6gf", "3_2gf", "8gf", "16gf", "32gf", *(["128gf"] if kind == "y" else []))
    ),
    "shufflenet": tuple(f"shufflenet_v2_x{width}" for width in ("0_5", "1_0", "1_5", "2_0")),
    "googlenet": ("googlenet",),
    "inception": ("inception_v3", "inception_v3_aux"),
}
"""All classification architectures of torchvision that are convolutional networks of these families."""

IMAGE = {"alexnet": 63, "inception": 75, "inception_v3_aux": 299}
"""Image size by family or name where it is not 32. The auxiliary head of Inception needs the published size."""

FACTORIES: dict[str, Callable[[], nn.Module]] = {
    "googlenet": _torchvision("googlenet", init_weights=False, aux_logits=True),
    "inception_v3": _torchvision("inception_v3", init_weights=False, aux_logits=False, transform_input=True),
    "inception_v3_aux": lambda: torchvision_model("inception_v3", num_classes=CLASSES, init_weights=False),
    "regnet_y_128gf": _narrow_regnet,
    **{name: _narrow_classifier(name) for name in (*FAMILIES["vgg"], *FAMILIES["alexnet"])},
}
"""How to build a model where torchvision's plain constructor does not do."""


def _classifier(name: str, family: str) -> ZooModel:
    build = FACTORIES.get(name, _torchvision(name))
    size = IMAGE.get(name, IMAGE.get(family, 32))
    return ZooModel(f"torchvision/{name}", build, images(size), rounds=3)


MODELS: tuple[ZooModel, ...] = tuple(_classifier(name, family) for family, names in FAMILIES.items() for name in names)
