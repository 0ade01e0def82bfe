// Lines between boxes, drawn behind them: in the colours of their axes, as thick as their share of channels is.
"use strict";

const SVG = "http://www.w3.org/2000/svg";
const STRIPES = 3;

function drawLines(svg, picture, edges, graph, share) {
  const origin = picture.getBoundingClientRect();
  const box = (item) => {
    const found = item.element.getBoundingClientRect();
    return {
      left: found.left - origin.left, right: found.right - origin.left,
      top: found.top - origin.top, bottom: found.bottom - origin.top,
    };
  };
  const middle = (item) => { const found = box(item); return (found.left + found.right) / 2; };
  svg.replaceChildren();
  svg.setAttribute("width", picture.scrollWidth);
  svg.setAttribute("height", picture.scrollHeight);
  spread(edges, "source", "target", "leaves", middle);
  spread(edges, "target", "source", "arrives", middle);
  const lanes = [];
  const ordered = [...edges].sort((a, b) => span(a, box) - span(b, box));
  for (const edge of ordered) {
    const [above, below] = [box(edge.source), box(edge.target)];
    const start = { x: port(above, edge.leaves), y: above.bottom };
    const end = { x: port(below, edge.arrives), y: below.top - 5 };
    const boxes = obstacles(edge).map(box);
    const [low, high] = [Math.min(start.x, end.x) - 8, Math.max(start.x, end.x) + 8];
    const free = !boxes.some((each) => each.left < high && each.right > low);
    const d = free ? straight(start, end) : around(start, end, boxes, lanes);
    svg.append(line(edge, d, end, graph, share));
  }
}

const span = (edge, box) => Math.abs(box(edge.target).top - box(edge.source).bottom);
const port = (found, part) => found.left + (found.right - found.left) * part;

// Several lines at one box end side by side.
function spread(edges, here, there, name, middle) {
  const groups = new Map();
  for (const edge of edges) {
    if (!groups.has(edge[here])) groups.set(edge[here], []);
    groups.get(edge[here]).push(edge);
  }
  for (const group of groups.values()) {
    group.sort((a, b) => middle(a[there]) - middle(b[there]));
    group.forEach((edge, at) => { edge[name] = 0.5 + (at - (group.length - 1) / 2) * Math.min(0.16, 0.8 / group.length); });
  }
}

function straight(start, end) {
  const bend = Math.max(6, (end.y - start.y) / 2);
  return `M${start.x},${start.y}C${start.x},${start.y + bend},${end.x},${end.y - bend},${end.x},${end.y}`;
}

// Around all that is in the way, on its right, beside the lines that are there already.
function around(start, end, boxes, lanes) {
  let x = Math.max(start.x, end.x, ...boxes.map((each) => each.right)) + 20;
  const clash = (lane) => lane.top < end.y && start.y < lane.bottom && Math.abs(lane.x - x) < 9;
  while (lanes.some(clash)) x += 9;
  lanes.push({ x, top: start.y, bottom: end.y });
  const bend = Math.min(18, Math.max(7, (end.y - start.y) / 4));
  return `M${start.x},${start.y}C${start.x},${start.y + bend},${x},${start.y},${x},${start.y + bend + 6}`
    + `L${x},${end.y - bend - 6}C${x},${end.y},${end.x},${end.y - bend},${end.x},${end.y}`;
}

function line(edge, d, end, graph, share) {
  const group = document.createElementNS(SVG, "g");
  group.setAttribute("class", edge.from.startsWith("[") || edge.to.startsWith("[") ? "line away" : "line");
  group.axes = edge.axes;
  const free = unique(edge.axes.filter((axis) => graph.axes[axis].pin === null).map((axis) => graph.axes[axis].colour));
  const colours = free.length ? free.slice(0, STRIPES) : [""];
  const first = Math.max(1, ...edge.axes.map((axis) => graph.axes[axis].first));
  const full = (1 + Math.log2(first) / 2.5) / Math.sqrt(colours.length);
  colours.forEach((colour, at) => {
    const shift = (at - (colours.length - 1) / 2) * full;
    if (graph.compared) group.append(stroke(d, full, colour, shift, "ghost"));
    group.append(stroke(d, Math.max(0.6, full * share(edge.axes)), colour, shift, "now"));
  });
  const head = document.createElementNS(SVG, "path");
  head.setAttribute("class", "head");
  const half = 2.5 + full / 2;
  head.setAttribute("d", `M${end.x - half},${end.y - half}L${end.x + half},${end.y - half}L${end.x},${end.y + 4}Z`);
  if (colours[0]) head.style.fill = colours[0];
  const title = document.createElementNS(SVG, "title");
  const shape = edge.dims.map((dim) => dim[3] || (dim[0] === null ? "any" : dim[0])).join(" × ");
  title.textContent = `${edge.operand}: ${shape}${edge.through.length ? `\nthrough ${edge.through.join(", ")}` : ""}`;
  group.append(head, title);
  return group;
}

function stroke(d, width, colour, shift, name) {
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", d);
  path.setAttribute("class", name);
  path.setAttribute("stroke-width", width.toFixed(2));
  if (shift) path.setAttribute("transform", `translate(${shift.toFixed(2)} 0)`);
  if (colour) path.style.stroke = colour;
  return path;
}
