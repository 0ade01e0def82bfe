"""A class for each compressed model, so that what looks at a model's class finds what it would find at the model's."""

from __future__ import annotations

import inspect
import re
from typing import Any

from torch import nn

from scfx.capture.calling import CallSpec
from scfx.module import CompressedModule


def class_like(model: nn.Module, call: CallSpec) -> type[CompressedModule]:
    """The class of a compressed module that stands in for a model: with its name, and its `forward`'s signature.

    Trainers read off these which columns of a data set to pass on, and which are labels. Arguments that the model would
    take by `**kwargs` are in the signature if they were given at capture; others are refused at a call anyhow.

    Args:
        model: What was captured.
        call: How it is called.
    """

    def forward(self: CompressedModule, *args: Any, **kwargs: Any) -> Any:
        return CompressedModule.forward(self, *args, **kwargs)

    forward.__doc__ = CompressedModule.forward.__doc__
    forward.__signature__ = _signature(call)  # type: ignore[attr-defined]
    members = {"forward": forward, "__doc__": CompressedModule.__doc__, "__module__": CompressedModule.__module__}
    return type(type(model).__name__, (CompressedModule,), members)


def _signature(call: CallSpec) -> inspect.Signature:
    own = list(call.signature.parameters.values())
    named = [parameter for parameter in own if parameter.kind is not inspect.Parameter.VAR_KEYWORD]
    given = dict.fromkeys(re.split(r"[.\[]", name)[0] for name in call.input_names)
    known = {parameter.name for parameter in own}
    extra = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in given if name not in known]
    by_position = bool(named) and named[0].kind is inspect.Parameter.POSITIONAL_ONLY
    kind = inspect.Parameter.POSITIONAL_ONLY if by_position else inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Signature([inspect.Parameter("self", kind), *named, *extra])
