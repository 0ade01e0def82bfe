"""Reports on what can be pruned."""

import pytest
import torch

import scfx
from scfx.reporting.report import DimShare, GraphReport, OutputCost
from scfx.reporting.report_text import percent
from tests.graphs import Twice, graph_of
from tests.toys import Residual


@pytest.mark.zoo
def test_the_share_is_that_of_the_prototype() -> None:
    assert int(100 * graph_of("resnet50").report().share + 0.5) == 96


def test_shares_are_told_per_dimension() -> None:
    report = graph_of("residual").report()
    dims = {(dim.name, dim.dim): dim for dim in report.dims}
    assert dims["head.weight", 0] == DimShare("head.weight", 0, size=10, prunable=0, kernel=False, numel=240)
    assert dims["head.weight", 1].share == 1
    assert dims["block1.conv1.weight", 2].kernel
    assert not dims["stem.0.weight", 1].kernel
    assert len({name for name, _ in dims}) == len(graph_of("residual")._parameters)
    counted = [dim for dim in report.dims if not dim.kernel and dim.size > 1]
    assert report.share == pytest.approx(1 - (240 + 10) / sum(dim.numel for dim in counted))
    assert report.channels == 36 + 10 + report.prunable_channels


def test_a_product_is_prunable_where_one_of_its_factors_is() -> None:
    report = graph_of("grouped").report()
    (flattened,) = [dim for dim in report.dims if (dim.name, dim.dim) == ("last.weight", 1)]
    assert flattened.prunable == flattened.size == 48


def test_pins_are_grouped_by_reason() -> None:
    pins = {group.reason: group for group in graph_of("residual").report().pins}
    assert set(pins) == {"convolution kernel", "model output"}
    assert (pins["convolution kernel"].axes, pins["convolution kernel"].channels) == (12, 36)
    assert pins["model output"].examples == ("head.weight[0]",)


def test_operators_without_a_rule_come_with_place_and_remedy() -> None:
    report = graph_of("unknown").report()
    (trouble,) = report.troubles
    assert (trouble.target, trouble.module, trouble.reason) == ("aten.renorm.default", "odd.0", "no rule")
    lines = str(report).splitlines()
    assert any("CONTRIBUTING.md" in line for line in lines)
    assert any(line.split() == ["aten.renorm.default", "renorm", "odd.0", "no", "rule"] for line in lines)


def test_outputs_that_pin_the_trunk_are_named() -> None:
    report = graph_of("twice").report()
    assert report.outputs == (
        OutputCost("['logits']", ("train", "eval"), channels=2, gain=6),
        OutputCost("['hidden']", ("eval",), channels=6, gain=2),
    )
    assert "outputs=\"['logits']\" would leave 6 more channels prunable" in str(report)


def test_naming_the_outputs_takes_the_advice_away() -> None:
    net = scfx.compress(Twice(), torch.randn(2, 4), quantize=False, outputs="logits")
    report = net.channels.report()
    assert [(cost.name, cost.gain) for cost in report.outputs] == [("['logits']", 0)]
    assert "outputs=" not in str(report)


def test_outputs_can_be_left_out() -> None:
    assert GraphReport.of(graph_of("twice"), outputs=False).outputs == ()


def test_unused_parameters_are_listed() -> None:
    report = graph_of("twice").report()
    assert report.unused == ("idle",)
    assert "parameters that the model doesn't compute with: idle" in str(report)


def test_quantizers_do_not_count() -> None:
    plain = scfx.compress(Residual(), torch.randn(2, 1, 8, 8), quantize=False).channels.report()
    quantized = scfx.compress(Residual(), torch.randn(2, 1, 8, 8)).channels.report()
    assert quantized.dims == plain.dims
    assert quantized.share == plain.share


def test_a_report_fits_on_a_page() -> None:
    text = str(graph_of("bottlenecks").report())
    assert len(text.splitlines()) < 20
    assert "  conv1.weight  64 x 3 x 7 x 7  100 %, 0 %, window, window" in text
    assert "  fc.weight     5 x 2,048       0 %, 100 %" in text
    assert "other parameters: all of every dim" in text


def test_percentages_never_round_to_all_or_nothing() -> None:
    assert [percent(share) for share in (0, 0.0001, 0.5, 0.99999, 1)] == ["0 %", "0.1 %", "50.0 %", "99.9 %", "100 %"]
