"""The table against the reports to the digit, against torch on random modules, and the same from either source."""

import json
import re
import warnings
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from striate.core.errors import NetworkError
from striate.nets import NETWORKS, NetworkConfig, network_graph
from striate.nets.graph.graph import Graph, Node
from striate.nets.pytorch.build import build
from striate.nets.pytorch.trace.tracer import trace
from striate.nets.summary.columns import COLUMNS, MIB, STATUS
from striate.nets.summary.summarize import count_parameters, summarize, summarize_graph
from striate.nets.summary.table import LayerTable, layer_table
from tests.nets.random_modules import modules
from tests.nets.random_networks import networks

WITH_64 = "conv64k2s2p0 pool conv10k2s2p0 pool conv10k2s2p0"
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same'")


def of(name, **changes):
    named = NETWORKS[name]
    return summarize(NetworkConfig(**{**named.config, **changes}), named.input_shape, named.classes)


def table_of(name, **changes):
    return of(name, **changes).table


def test_a1_has_1860_parameters():
    assert [row.formula for row in table_of("report-a").rows if row.parameters] == [
        "32 x 1 x 2 x 2 + 32",
        "10 x 32 x 2 x 2 + 10",
        "10 x 10 x 2 x 2 + 10",
    ]
    assert table_of("report-a").totals.parameters == 1_860


def test_a2_is_a_volume():
    table = table_of("report-a-3d")
    assert table.totals.parameters == 957_706
    assert table.input_shape == (1, 32, 32, 3)
    assert table.rows[0].field.size == (3, 3, 3)


def test_the_six_figures_of_d1():
    totals = table_of("report-d").totals
    assert (totals.parameters, totals.parameters_of) == (6_216_074, {"conv": 960_896, "fc": 5_255_178})
    assert (totals.neurons, totals.neurons_of) == (133_130, {"conv": 131_072, "fc": 2_058})
    text = of("report-d").text()
    assert "6,216,074: conv 960,896 (15.46 %), fc 5,255,178 (84.54 %)" in text
    assert "133,130: conv 131,072 (98.45 %), fc 2,058 (1.55 %)" in text


def test_e1_and_its_four_sizes():
    """The report's rows are layers, dropout and flatten; 28,680,966 values, each twice, of 4 bytes."""
    table = table_of("report-e")
    totals = table.totals
    sizes = (totals.input_bytes, totals.forward_backward_bytes, totals.parameters_bytes, totals.total_bytes)
    assert totals.parameters == 16_154_950
    assert [round(size / MIB, 2) for size in sizes] == [0.75, 218.82, 61.63, 281.19]
    assert [row.parameters for row in table.rows] == [7168, 0, 0, 295_040, 0, 0, 73_792, 0, 0, 15_745_280, 32_896, 774]


def test_e3_color_or_grey():
    first = {
        channels: summarize(NetworkConfig(layers="conv256"), (channels, 32, 32), 6).table.rows[0] for channels in (3, 1)
    }
    assert [(row.parameters, row.formula) for row in first.values()] == [
        (7_168, "256 x 3 x 3 x 3 + 256"),
        (2_560, "256 x 1 x 3 x 3 + 256"),
    ]
    assert first[3].output_shape == first[1].output_shape


def test_the_other_networks_of_the_reports():
    counts = {name: table_of(name).totals.parameters for name in ("report-b-fc", "report-b-gap", "lenet5")}
    assert counts == {"report-b-fc": 61_618, "report-b-gap": 618, "lenet5": 61_706}


def check_against_torch(graph, module, shape):
    """Parameters, multiply-adds and output shape are torch's own."""
    table, parts = layer_table(graph), {id(parameter): parameter.numel() for parameter in module.parameters()}
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        output = module.eval()(torch.rand(1, *shape, dtype=next(iter(module.parameters()), torch.empty(0)).dtype))
    assert table.totals.parameters == sum(parts.values()), "parameters"
    assert table.totals.macs == counter.get_total_flops() // 2, "multiply-adds"
    assert table.rows[-1].output_shape == tuple(output.shape[1:]), "shape"
    return table


QUICK = {"deadline": None, "derandomize": True, "database": None, "suppress_health_check": list(HealthCheck)}


def prove_modules():
    @given(modules())
    def prove(drawn):
        module, shape = drawn
        assume(len(module.steps))
        check_against_torch(trace(module, shape), module, shape)

    return prove


def test_costs_of_random_modules():
    settings(max_examples=25, **QUICK)(prove_modules())()


@pytest.mark.slow
def test_costs_of_many_random_modules():
    settings(max_examples=200, **QUICK)(prove_modules())()


def rows_of(table):
    """What is compared: memory is not (zeros around a map are a copy), nor are activations (a pool may go first)."""
    return {row.name: replace(row, activation_bytes=0) for row in table.rows if row.op != "activation"}


def with_layers_of(notation, traced):
    """`traced` with the rows of `notation` for norms that are layers of their own; a run cannot tell them from others."""
    own = {node.name for node in notation.nodes if node.op in ("norm", "activation") and node.name == node.layer}
    nodes = tuple(replace(node, layer=node.name) if node.name in own else node for node in traced.nodes)
    return Graph(nodes=nodes, output=traced.output)


def check_either_source(network, image=(4, 8, 8), classes=4):
    """The notation's table, torch's counts of the built module, and the table of tracing it say the same."""
    try:
        graph = network_graph(network, image, classes)
    except NetworkError:
        assume(False)
    module = build(network, image, classes, seed=0)
    # A 3D network reads the image as a volume; its layers alone read the volume itself.
    run = module if network.dims == 2 else nn.Sequential(OrderedDict(module.named_children()))
    shape = graph.input_shape
    try:
        run_graph = with_layers_of(graph, trace(run, shape))
    except NetworkError as error:
        assume("more than 1 value" not in str(error))  # torch normalizes no value by itself alone
        raise
    expected, traced = rows_of(layer_table(graph)), rows_of(layer_table(run_graph))
    # Laying out one-pixel logits in a row is the module's affair, and zeros around a map or a number times the logits are no layer.
    extra = {name for name in traced if name in {"logits", "logit_scale"} or name.endswith("_padding")}
    assert set(expected) == set(traced) - extra, set(expected) ^ set(traced)
    for name in expected:
        assert expected[name] == traced[name], f"{name}: {expected[name]}\n{traced[name]}"
    totals = layer_table(graph).totals
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        run.eval()(torch.rand(1, *shape))
    assert totals.macs == counter.get_total_flops() // 2
    assert totals.parameters == sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("name", sorted(set(NETWORKS) - {"report-e", "report-c-transfer"}))
def test_named_networks_have_one_table_from_either_source(name):
    named = NETWORKS[name]
    check_either_source(NetworkConfig(**named.config), named.input_shape, named.classes)


def prove_networks():
    @given(networks())
    def prove(network):
        assume("~" not in network.layers)  # where a permuted row comes from is not visible in a run
        check_either_source(network)

    return prove


def test_random_networks_have_one_table_from_either_source():
    settings(max_examples=60, **QUICK)(prove_networks())()


@pytest.mark.slow
def test_many_random_networks_have_one_table_from_either_source():
    settings(max_examples=400, **QUICK)(prove_networks())()


@pytest.mark.parametrize(
    "change", [{"weights": 113}, {"biases": 5}, {"weight_shape": (4, 3, 3, 4)}, {"output_shape": (4, 6, 7)}]
)
def test_a_planted_off_by_one_is_found(change):
    module = nn.Sequential(nn.Conv2d(3, 4, 3))
    graph = trace(module, (3, 8, 8))
    check_against_torch(graph, module, (3, 8, 8))
    wrong = Graph(nodes=(graph.nodes[0], replace(graph.nodes[1], **change)), output="0")
    with pytest.raises(AssertionError, match=r"parameters|multiply-adds|shape"):
        check_against_torch(wrong, module, (3, 8, 8))


def small():
    """A row of each kind, by hand: a strided dilated grouped convolution with a norm, shared weights, a part unknown."""
    window = {"kernel": (3, 3), "stride": (2, 1), "dilation": (1, 2), "padding": ((1, 1), (2, 2)), "groups": 2}
    conv = Node(
        name="conv1", op="conv", inputs=("input",), output_shape=(4, 4, 8), layer="conv1", weights=72, biases=4,
        weight_shape=(4, 2, 3, 3), **window,
    )  # fmt: skip
    norm = Node(
        name="n",
        op="norm",
        inputs=("conv1",),
        output_shape=(4, 4, 8),
        layer="conv1",
        weights=4,
        biases=4,
        weight_shape=(4,),
    )
    again = replace(conv, name="conv2", inputs=("n",), layer="conv2", output_shape=(4, 2, 8), weights=0, biases=0)
    odd = Node(
        name="odd",
        op="other",
        inputs=("conv2",),
        output_shape=(4, 2, 8),
        layer="odd",
        whole=True,
        certainty="upper bound",
    )
    start = Node(name="input", op="input", output_shape=(4, 8, 8), layer="input")
    return summarize_graph(Graph(nodes=(start, conv, norm, again, odd), output="odd", unused_parameters=3))


def test_a_row_by_hand():
    """2 x 3 x 3 weights for each of 4 filters at 4 x 8 positions: 72 x 32; the norm's output is memory too: 2 x 128 x 4 bytes."""
    conv, again, odd = small().table.rows
    assert (conv.formula, conv.parameters) == ("4 x 2 x 3 x 3 + 4 + 2 x 4", 84)
    assert (conv.kernel, conv.macs, conv.neurons) == ("3x3 s2x1 d1x2 g2", 72 * 32, 128)
    assert conv.activation_bytes == 2 * 128 * 4
    assert (again.formula, again.parameters, again.macs) == ("shared", 0, 72 * 16)
    assert odd.field.status == "upper bound"
    assert small().table.totals.parameters == 87
    assert "parameters     87: conv 76 (87.36 %), norm 8 (9.20 %), unused 3" in small().text()


@pytest.mark.parametrize("width", [60, 80, 120, 160, 240])
def test_the_text_fits_and_is_complete(width):
    summary = of("report-d", norm="batch")
    text = summary.text(width)
    assert max(map(len, text.splitlines())) <= width
    words = re.split(r" {2,}|\n", text)
    for row in summary.table.rows:
        cells = {column.cell(row) for column in COLUMNS if column.heading != "weights + biases"}
        assert cells <= {word.strip() for word in words}
        assert re.search(rf"^{row.name} .*{row.field.status}$", text, re.MULTILINE)
    assert all(column.heading in text for column in COLUMNS)
    assert "133,130" in text.partition("parameters     ")[0]


def test_every_field_is_printed_beside_its_status():
    summary = small()
    assert "upper bound" in summary.text(160).split("total")[0]
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", summary._repr_html_())
    assert [cells[at + 3] for at, cell in enumerate(cells) if cell in ("3x5", "7x9", "8x8")] == [
        "exact",
        "exact",
        "upper bound",
    ]


def test_everything_shown_is_defined():
    summary = of("report-e")
    for shown in (summary.text(legend=True), summary._repr_html_(), json.dumps(summary.json())):
        assert all(column.meaning[:40] in shown.replace("&#x27;", "'").replace("\n", " ") for column in COLUMNS)
        assert all(name in shown for name, _ in STATUS)


def test_the_manual_says_what_the_program_says():
    manual = (Path(__file__).parents[2] / "docs" / "network-tables.md").read_text()
    assert all(f"| {name} |" in manual for name, _ in STATUS)
    wrong_text = summarize(NetworkConfig(**{**NETWORKS["report-a"].config, "layers": WITH_64}), (1, 32, 32), 10)
    assert f"64 filters would be {wrong_text.table.totals.parameters:,}" in manual
    assert "28,680,966 values" in manual
    assert table_of("report-e").totals.forward_backward_bytes / 8 == 28_680_966


def test_json_is_plain():
    data = json.loads(json.dumps(of("report-e").json()))
    assert data["rows"][0]["output_shape"] == [256, 256, 256]
    assert data["totals"]["total_bytes"] / MIB == pytest.approx(281.19, abs=0.005)


@pytest.mark.parametrize("made", [lambda: of("report-a-3d"), small], ids=["volume", "each kind of row"])
def test_a_table_saved_as_json_is_read_back_equal(made):
    table = made().table
    data = json.loads(json.dumps(table.to_json()))
    assert LayerTable.from_json(data) == table
    assert LayerTable.from_json({**data, "later": 1}) == table


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda data: data["rows"][1].pop("macs"), r"not a layer table: rows\.1\.macs: Field required"),
        (lambda data: data["rows"][1]["field"].update(status="certain"), r"rows\.1\.field\.status: .* 'exact'"),
        (lambda data: data.update(totals=None), r"not a layer table: totals: "),
    ],
)
def test_json_that_is_no_table_is_refused_at_its_key(spoil, says):
    data = of("report-a").table.to_json()
    spoil(data)
    with pytest.raises(NetworkError, match=says):
        LayerTable.from_json(data)


def test_the_legend_is_printed_when_asked_for():
    legend = COLUMNS[0].meaning
    assert legend not in small().text()
    assert legend in small().text(legend=True)


def test_parameters_are_counted_without_a_table_too():
    network = NetworkConfig(layers="conv8 res(conv16s2 conv16) fc8", norm="batch")
    assert count_parameters(network, (3, 8, 8), 10) == summarize(network, (3, 8, 8), 10).table.totals.parameters


def test_html_is_escaped_and_colorless():
    start = Node(name="input", op="input", output_shape=(1, 2, 2), layer="input")
    odd = Node(name="a", op="activation", inputs=("input",), output_shape=(1, 2, 2), layer="<script>")
    html = summarize_graph(Graph(nodes=(start, odd), output="a"))._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert not re.search(r"#[0-9a-f]{3,6}\b(?!;)|rgb\(", html.replace("&#x27;", ""))


def test_no_torch_for_a_network_of_ours():
    import subprocess
    import sys

    code = "from striate.nets import NetworkConfig; from striate.nets.summary.summarize import summarize; import sys\n"
    code += "summarize(NetworkConfig(layers='conv8 pool'), (3, 8, 8), 2).text()\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_module_of_torchvision_is_run():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = summarize(NetworkConfig(torchvision="squeezenet1_1"), (3, 64, 64), 7).table
    assert table.rows[-1].output_shape == (7,)
    assert table.totals.parameters == 722_496 + 7 * 513
