"""The pictures of one graph at its three zooms, each with its heading."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from scfx.capture.program import Mode
from scfx.errors import InputError
from scfx.graph.selection import dimension, split_member
from scfx.reporting.chips import Chips
from scfx.reporting.drawing_dot import Artist, Drawing
from scfx.reporting.drawing_style import GREY, coloured, sized
from scfx.reporting.flow import flow
from scfx.reporting.report import GraphReport
from scfx.reporting.report_text import percent
from scfx.reporting.widths import Widths
from scfx.reporting.wording import dim_text
from scfx.reporting.zooms import Zooms
from scfx.terms.dims import Var, variables

if TYPE_CHECKING:
    from scfx.graph.channels import ChannelGraph


class Pictures:
    """Makes the pictures of one graph.

    Args:
        graph: The channel graph.
        before: That of the same model before it lost channels, to compare with.
        mode: Which of the two graphs is drawn.

    Raises:
        InputError: `before` is the graph of another model.
    """

    def __init__(self, graph: ChannelGraph, before: ChannelGraph | None, mode: Mode) -> None:
        self.graph, self.mode = graph, mode
        self.widths = Widths(graph, before)
        self.flow = flow(graph)
        self.zooms = Zooms(self.flow, mode, self.widths)
        self.artist = Artist(self.flow, Chips(self.flow, mode, self.widths), self.widths)

    def of(self, what: str | None) -> Drawing:
        """The picture of the model (None), of a module by its path, or of the axis along a dim.

        Raises:
            UnknownNameError: Nothing is called so.
            InputError: The dimension has no channels, or several axes.
        """
        found = split_member(what or "")
        if what is None:
            return self.artist.draw(self.zooms.model(), self._heading())
        if found is None:
            title = escape(what) or "all of the model"
            kind = coloured(escape(self.artist.classes.get(what, "")), GREY)
            return self.artist.draw(self.zooms.block(what), (f"<b>{title}</b> {kind}", *self._key()))
        axis = self._axis(*found)
        free = "prunable" if axis.pin is None else f"pinned: {escape(axis.pin.reason)}"
        title = f"<b>{escape(str(what))}</b> {coloured(f'{axis.size:,} channels, {free}', GREY)}"
        return self.artist.draw(self.zooms.axis(axis), (title, *self._key()))

    def check(self, what: str | None) -> None:
        """Checks that there is something of this name to look at, in a page: a dim may have several axes there.

        Raises:
            UnknownNameError: Nothing is called so.
            InputError: There is no such dimension.
        """
        found = split_member(what or "")
        if found is not None:
            dimension(self.graph.dims(found[0]), *found)
        elif what:
            self.zooms.block(what)

    def _axis(self, name: str, dim: int) -> Var:
        dims = self.graph.dims(name)
        dim = dimension(dims, name, dim)
        known = {axis._var: axis for axis in self.graph.axes}
        axes = [variable for variable in dict.fromkeys(variables(dims[dim])) if variable in known]
        if len(axes) != 1:
            others = ", ".join(str(known[axis].members[0]) for axis in axes[:4])
            what = f"{dim_text(dims[dim])}: draw one of its axes, such as {others}" if axes else "a single channel"
            raise InputError(f"{name}[{dim}] is not one axis but {what}")
        return axes[0]

    def _heading(self) -> tuple[str, ...]:
        report = GraphReport.of(self.graph, outputs=False)
        counts = f"{report.prunable_channels:,} of {report.channels:,} channels are prunable"
        share = f"{percent(report.share)} of the dims of parameters, by entries; {self.mode} graph"
        return (f"<b>{counts}</b>", coloured(sized(share, 11), GREY), *self._key())

    def _key(self) -> tuple[str, ...]:
        notes = ["dims of one colour lose channels together; grey, dashed dims are pinned"]
        if self.widths.before is not None:
            notes += ["before → now; lines are as wide as the share of channels that is left"]
            unknown = self.widths.unknown
            notes += [f"{unknown} axes could not be found in the graph before" if unknown else ""]
        return tuple(coloured(sized(note, 11), GREY) for note in notes if note)
