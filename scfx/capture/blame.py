"""The likely cause when a captured graph does not compute what the model does."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import fx, nn
from torch.autograd.function import BackwardCFunction
from torch.utils import _pytree as pytree

from scfx.capture.chance import Chance
from scfx.capture.leaves import named_leaves
from scfx.capture.program import Mode, Program, graph_module
from scfx.capture.runs import SEED, differs
from scfx.capture.twin import same_random_state, twin

_MODULE_STATE = frozenset(vars(nn.Module()))


def custom_function(history: Iterable[Any]) -> str:
    """Return what to say about the custom `autograd.Function`s through which gradients flow back, or nothing."""
    names = sorted({_function_name(node) for node in _walk(history) if isinstance(node, BackwardCFunction)})
    if not names:
        return ""
    return (
        f"Likely cause: the model calls the custom autograd.Function {', '.join(names)}. Capture records the "
        "operators of its "
        "forward and loses its backward. Write it with operators whose own gradient is the one you want, "
        "for example x + (torch.round(x) - x).detach() for rounding with a straight-through gradient."
    )


def remembered(original: nn.Module, mode: Mode, args: Sequence[Any], kwargs: dict[str, Any]) -> str:
    """Return what to say about a model that keeps a tensor from one call to the next, or nothing if it keeps none."""
    module = twin(original).train(mode == "train")
    before = _tensors_on_self(module)
    with torch.no_grad(), same_random_state(module, SEED), Chance():
        module(*args, **kwargs)
    kept = [name for name, value in _tensors_on_self(module).items() if value is not before.get(name)]
    if not kept:
        return ""
    return (
        f"Likely cause: the call stores a tensor on the model, {', '.join(kept)}, so later calls depend on the first "
        "one. "
        "Register it as a buffer when the model is built, or compute it in each call."
    )


def first_different_module(
    program: Program, original: nn.Module, mode: Mode, args: Sequence[Any], kwargs: dict[str, Any], allowed: float
) -> str:
    """Return what to say about the first submodule whose output no node of its own in the graph computes."""
    outputs = _module_outputs(original, mode, args, kwargs)
    values = _node_values(program, mode, program.call.flatten(args, kwargs))
    for path, leaves in outputs:
        own = [(node, value) for node, value in values if path in _module_paths(node)]
        if not own or not leaves:
            continue
        if any(all(differs(leaf, value, allowed) for _, value in own) for leaf in leaves):
            return f"The first submodule whose output differs is {path!r}{_source(own[-1][0])}."
    return "No submodule differs, so the difference arises between them: look at the forward of the model itself."


def failing_node(program: Program, mode: Mode, leaves: Sequence[Any]) -> str:
    """Return ` at node ... of module ...` for the first node that cannot be run on `leaves`, or nothing."""
    watcher = _Watcher(graph_module(program, mode))
    try:
        with torch.no_grad():
            watcher.run(*leaves)
    except Exception:
        node = watcher.current
        if node is not None:
            paths = _module_paths(node)
            return f", at node {node.name}{f' of module {paths[-1]!r}' if paths else ''}{_source(node)}"
    return ""


class _Watcher(fx.Interpreter):
    """Runs a graph and remembers which node runs and what each has given."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.extra_traceback = False
        self.current: fx.Node | None = None
        self.values: list[tuple[fx.Node, Any]] = []

    def run_node(self, n: fx.Node) -> Any:
        self.current = n
        value = super().run_node(n)
        if isinstance(value, torch.Tensor):
            self.values.append((n, value.detach().clone()))
        return value


def _node_values(program: Program, mode: Mode, leaves: Sequence[Any]) -> list[tuple[fx.Node, Any]]:
    watcher = _Watcher(graph_module(program, mode))
    with torch.no_grad(), same_random_state(program.root, SEED):
        watcher.run(*leaves)
    return watcher.values


def _module_outputs(
    original: nn.Module, mode: Mode, args: Sequence[Any], kwargs: dict[str, Any]
) -> list[tuple[str, list[torch.Tensor]]]:
    """Return the output tensors of every submodule in the order in which they finish: the innermost first."""
    module = twin(original).train(mode == "train")
    seen: list[tuple[str, list[torch.Tensor]]] = []

    def record(path: str) -> Any:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            seen.append(
                (path, [leaf.detach().clone() for leaf in pytree.tree_leaves(output) if isinstance(leaf, torch.Tensor)])
            )

        return hook

    for path, child in module.named_modules():
        if path:
            child.register_forward_hook(record(path))
    with torch.no_grad(), same_random_state(module, SEED), Chance():
        module(*args, **kwargs)
    return seen


def _module_paths(node: fx.Node) -> list[str]:
    """Return the paths of the modules that called `node`, outermost first, without export's count of the calls."""
    return [str(path).split("@")[0] for path, _ in node.meta.get("nn_module_stack", {}).values() if path]


def _source(node: fx.Node) -> str:
    lines = str(node.meta.get("stack_trace") or "").strip().splitlines()
    places = [line.strip() for line in lines if line.strip().startswith("File ")]
    return f" ({places[-1]})" if places else ""


def _tensors_on_self(module: nn.Module) -> dict[str, torch.Tensor]:
    """Return the tensors that hang on modules as plain attributes, or in lists and dicts there, by their path."""
    found: dict[str, torch.Tensor] = {}
    for path, child in module.named_modules():
        for name, value in vars(child).items():
            if name not in _MODULE_STATE and isinstance(value, (torch.Tensor, list, tuple, dict)):
                for leaf_path, leaf in named_leaves(value, f"{path}.{name}".lstrip(".")):
                    if isinstance(leaf, torch.Tensor):
                        found[leaf_path] = leaf
    return found


def _walk(roots: Iterable[Any]) -> list[Any]:
    seen: dict[Any, None] = {}
    todo = [node for node in roots if node is not None]
    while todo:
        node = todo.pop()
        if node not in seen:
            seen[node] = None
            todo.extend(source for source, _ in node.next_functions if source is not None)
    return list(seen)


def _function_name(node: Any) -> str:
    function = getattr(node, "_forward_cls", None)
    name = getattr(function, "__qualname__", None) or type(node).__name__.removesuffix("Backward")
    try:
        assert function is not None
        return f"{name} ({inspect.getsourcefile(function)}:{inspect.getsourcelines(function)[1]})"
    except (OSError, TypeError, AssertionError):
        return str(name)
