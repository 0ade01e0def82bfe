"""The passes that bring a captured graph into one plain, functional dialect, in order."""

from __future__ import annotations

from collections.abc import Collection

from torch import fx, nn

from scfx.passes.base import Pass
from scfx.passes.drop_assertions import DropAssertions
from scfx.passes.drop_inactive_dropout import DropInactiveDropout
from scfx.passes.eliminate_dead_code import EliminateDeadCode
from scfx.passes.explicit_orders import ExplicitOrders
from scfx.passes.explicit_scale import ExplicitScale
from scfx.passes.explicit_shapes import ExplicitShapes
from scfx.passes.explicit_splits import ExplicitSplits
from scfx.passes.fold_constants import FoldConstants
from scfx.passes.functionalize import Functionalize
from scfx.passes.fuse_layer_norm import FuseLayerNorm
from scfx.passes.grouped_products import GroupedProducts
from scfx.passes.inline_autocast import ExplicitAutocast, InlineAutocast
from scfx.passes.inline_grad_mode import InlineGradMode
from scfx.passes.mutations import mutated_buffers
from scfx.passes.separate_recurrent import SeparateRecurrent
from scfx.passes.split_before_view import SplitBeforeView
from scfx.passes.views_as_reshapes import ViewsAsReshapes
from scfx.passes.views_in_place import ViewsInPlace


def pipeline(mutable: Collection[str] = ()) -> tuple[Pass, ...]:
    """Return the passes of normalization; see `normalize` for `mutable`."""
    return (
        InlineAutocast(),
        InlineGradMode(),
        InlineAutocast(),
        DropAssertions(),
        DropInactiveDropout(),
        ViewsInPlace(),
        ExplicitSplits(),
        ExplicitShapes(),
        ExplicitScale(),
        GroupedProducts(),
        SeparateRecurrent(),
        EliminateDeadCode(),
        Functionalize(),
        FuseLayerNorm(),
        EliminateDeadCode(),
        FoldConstants(frozenset(mutable)),
        ExplicitOrders(),
        EliminateDeadCode(),
        SplitBeforeView(),
        ViewsAsReshapes(),
        EliminateDeadCode(),
        ExplicitAutocast(),
    )


NORMALIZE = pipeline()


def normalize(graph: fx.Graph, root: nn.Module, mutable: Collection[str] = ()) -> dict[str, int]:
    """Bring `graph` into the normal dialect, in place, and return how much each pass changed.

    Args:
        graph: A graph as export makes it, but with state fetched from `root` by `get_attr` nodes; each node carries its
            fake value in `meta["val"]`.
        root: The modules that own what the graph fetches. It gains folded constants and loses inlined regions.
        mutable: Names of buffers that must not be taken for constants although `graph` may not write to them: the
            `mutated_buffers` of the graph of the other mode.

    Raises CaptureError for a model that writes to a parameter, or in place in a way that has no functional form.
    """
    counts: dict[str, int] = {}
    for step in pipeline(mutable):
        counts[step.name] = counts.get(step.name, 0) + step(graph, root)
    return counts


__all__ = ["NORMALIZE", "mutated_buffers", "normalize", "pipeline"]
