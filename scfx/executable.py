"""A program as a module: it is called as the model is, and owns the model's parameters under their own names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, fx, nn

from scfx.capture.program import MODES, Mode, Program, graph_module
from scfx.passes.in_place import written_in_place


class Executable(nn.Module):
    """Runs the graph of the mode it is in.

    Args:
        program: Its root's parameters, buffers and modules are shared, not copied.
        attributes: The model's plain attributes, for whoever reads them.
    """

    def __init__(self, program: Program, attributes: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        for state in ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set"):
            self.__dict__[state] = program.root.__dict__[state]
        self._program = program
        self._attributes = dict(attributes or {})
        self._graph_modules: dict[Mode, fx.GraphModule] = {}
        for mode in MODES:
            with written_in_place(program.graphs[mode]):
                self._graph_modules[mode] = graph_module(program, mode)
        self._edited: set[Mode] = set()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Computes what the model computes, in the mode the module is in."""
        mode = self._mode
        leaves = self._program.call.flatten(args, kwargs)
        return self._program.call.unflatten(self._graph_modules[mode](*leaves), mode)

    @property
    def _mode(self) -> Mode:
        return "train" if self.training else "eval"

    def graphs_changed(self) -> None:
        """To be called when the graphs have been edited: code is written anew, for the other mode once it is entered.

        It takes a tenth of a training step for a small network, and who trains may be long in coming to evaluation.
        """
        self._edited = set(MODES)
        self._written(self._mode)

    def _written(self, mode: Mode) -> fx.GraphModule:
        """The graph of a mode with code that is that of the graph as it is now."""
        if mode in self._edited:
            with written_in_place(self._program.graphs[mode]):
                self._graph_modules[mode].recompile()
            self._edited.discard(mode)
        return self._graph_modules[mode]

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "training":  # whoever sets it, so that forward, which torch.compile follows, need not ask
            self._written(self._mode)

    def __getattr__(self, name: str) -> Any:
        attributes = self.__dict__.get("_attributes", {})
        if name in attributes:
            return attributes[name]
        try:
            return super().__getattr__(name)
        except AttributeError:
            raise AttributeError(
                f"the compressed module has no attribute {name!r}. It keeps the model's parameters, buffers, modules "
                f"and plain attributes, but not its methods and properties: if something reads {name!r}, set it, as in "
                f"net.{name} = model.{name}."
            ) from None

    def get_submodule(self, target: str) -> nn.Module:
        """As for any module. A submodule that has the name of a method here (such as `channels`) is found this way."""
        return self._program.root.get_submodule(target) if target else self

    def get_parameter(self, target: str) -> nn.Parameter:
        """As for any module."""
        return self._program.root.get_parameter(target)

    def get_buffer(self, target: str) -> Tensor:
        """As for any module."""
        return self._program.root.get_buffer(target)

    @property
    def graph_module(self) -> fx.GraphModule:
        """The graph of the current mode: printable, quantizers visible, called with the flat leaves of the inputs."""
        return self._graph_modules[self._mode]

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(
            "a compressed module isn't pickled: save net.state_dict(), or net.finalize(), which is a plain GraphModule"
        )
