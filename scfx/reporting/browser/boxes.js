// Boxes, and chips in them: what a view shows of operators, blocks and frames.
// Names from the model become text and attributes of text, never markup.
"use strict";

const MANY = 6;
const SIGNS = { add: "+", mul: "×", cat: "cat", stack: "stack", sub: "−", matmul: "@" };
const graph = new Graph(JSON.parse(document.getElementById("data").textContent));
const $ = (id) => document.getElementById(id);
// Paths come from the model, where one may be called "constructor".
const classOf = (path) => (Object.hasOwn(graph.classes, path) ? graph.classes[path] : "");
const number = (value) => (value === null ? "any" : value.toLocaleString("en-US"));
const state = { t: 1, route: {}, edges: [], svg: null };

function make(tag, name, ...children) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  element.append(...children);
  return element;
}

// ------------------------------------------------------------------ widths

const between = (first, now) => (first === null || now === null ? now : Math.round(first + (now - first) * state.t));
function share(axes) {
  const known = axes.filter((axis) => graph.axes[axis].pin === null);
  const first = known.reduce((sum, axis) => sum + graph.axes[axis].first, 0);
  return first ? known.reduce((sum, axis) => sum + between(graph.axes[axis].first, graph.axes[axis].size), 0) / first : 1;
}
const spanText = (values) => {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return low === high ? number(values[0]) : `${number(low)}–${number(high)}`;
};

// ------------------------------------------------------------------ chips

const reasons = unique(graph.axes.map((axis) => axis.pin).filter((pin) => pin !== null && pin !== "convolution kernel"));

function chip(name, at, dims, alike = 1) {
  const axes = unique(dims.flatMap((dim) => dim[2]));
  if (dims[0][3] === null || !axes.length) return make("span", "window", number(dims[0][0]));
  const button = make("button", "chip");
  button.type = "button";
  button.axes = axes;
  button.dataset.tensor = name;
  button.dataset.dim = at;
  const free = axes.find((axis) => graph.axes[axis].pin === null);
  const pins = unique(axes.map((axis) => graph.axes[axis].pin).filter(Boolean));
  button.classList.toggle("pinned", free === undefined && pins.length > 0);
  if (free !== undefined) button.style.setProperty("--colour", graph.axes[free].colour);
  const value = make("span", "value");
  button.append(value);
  for (const pin of pins) if (reasons.includes(pin)) button.append(make("sup", "", String(reasons.indexOf(pin) + 1)));
  button.update = () => {
    const sizes = dims.map((dim) => between(dim[1], dim[0]));
    value.textContent = (alike > 1 ? `${alike} × ` : "") + spanText(sizes);
    const [sum, first] = [sizes, dims.map((dim) => dim[1])].map((list) => list.reduce((a, b) => a + (b || 0), 0));
    if (graph.compared) button.style.setProperty("--share", `${first ? (100 * sum) / first : 100}%`);
  };
  button.update();
  const made = dims[0][3] ? ` (${dims[0][3]})` : "";
  const lost = dims.some((dim) => dim[0] !== dim[1]) ? `, ${spanText(dims.map((dim) => dim[1]))} before` : "";
  button.title = `${name}[${at}]: ${spanText(dims.map((dim) => dim[0]))}${made}${lost}${pins.map((pin) => `\npinned: ${pin}`).join("")}`;
  button.setAttribute("aria-label", button.title);
  return button;
}

function rowOf(label, chips) {
  return make("div", "row", make("span", "label", label), make("span", "chips", ...chips));
}

// The dims of a block, those of its copies together: first those that nothing outside of it shares.
function blockRows(node) {
  const own = new Set(node.inside.flat());
  const found = new Map();
  node.inside[0].forEach((index, position) => {
    graph.places[index].rows.forEach((row, line) => row.dims.forEach((dim, at) => {
      if (dim[3] === null || !dim[2].length) return;
      const key = keyOf(dim[2]);
      if (found.has(key)) return;
      const dims = node.inside.map((copy) => graph.places[copy[position]].rows[line].dims[at]);
      const local = dim[2].every((axis) => graph.readers.has(axis) && [...graph.readers.get(axis)].every((place) => own.has(place)));
      found.set(key, { name: row.names[0], at, dims, local });
    }));
  });
  const rows = [];
  for (const [label, local] of [["inside", true], ["shared", false]]) {
    const chips = [...found.values()].filter((each) => each.local === local);
    if (chips.length) rows.push(rowOf(label, together(chips)));
  }
  return rows;
}

// Of many chips those that say the same are one.
function together(chips) {
  const groups = new Map();
  chips.forEach((each, at) => {
    const pins = each.dims[0][2].map((axis) => graph.axes[axis].pin);
    const key = chips.length > MANY ? keyOf([each.dims.map((dim) => dim.slice(0, 2)), pins]) : at;
    groups.set(key, [...(groups.get(key) || []), each]);
  });
  return [...groups.values()].map((group) => chip(group[0].name, group[0].at, group.flatMap((each) => each.dims), group.length));
}

function weightsOf(places) {
  const seen = new Set();
  let sum = 0;
  for (const index of places) {
    for (const row of graph.places[index].rows) {
      for (const name of row.names) {
        if (!seen.has(name)) sum += row.dims.reduce((product, dim) => product * dim[0], 1);
        seen.add(name);
      }
    }
  }
  return sum;
}

// ------------------------------------------------------------------ boxes

const inner = (path, outer) => (outer && path.startsWith(`${outer}.`) ? path.slice(outer.length + 1) : path === outer ? "" : path);

function title(frames, outer) {
  const names = frames.map((frame) => inner(pathOf(frame[frame.length - 1]), outer));
  const call = frames[0][frames[0].length - 1];
  const again = call.split("@")[1];
  const text = names.length > 2 ? `${names[0]} to ${names[names.length - 1]}` : names.join(" and ");
  const heading = make("button", "open", make("b", "", text));
  heading.type = "button";
  heading.dataset.block = pathOf(call);
  const kind = [classOf(pathOf(call)), again && `call ${Number(again) + 1}`].filter(Boolean).join(", ");
  if (kind) heading.append(make("span", "kind", kind));
  if (names.length > 1) heading.append(make("span", "times", `× ${names.length}`));
  heading.title = `Open ${pathOf(call)}`;
  return heading;
}

function boxOf(node, outer) {
  if (node.outside) return make("div", "node away", `${node.outside} ${node.name}`);
  if (node.block) {
    const box = make("div", "node block", title(node.copies || [node.block], outer));
    const weights = weightsOf(node.inside[0]);
    if (weights) box.append(make("div", "weights", `${number(weights)} weights${node.copies ? " each" : ""}`));
    box.append(...blockRows(node));
    box.dataset.block = pathOf(node.block[node.block.length - 1]);
    return box;
  }
  const place = node.place;
  if (place.kind !== "operator") return make("div", "node end", make("b", "", place.kind), ` ${place.op}`);
  const merge = state.view.edges.filter((edge) => edge.to === node.key).length > 1;
  const name = inner(place.module, outer);
  const box = make("div", `node ${place.rows.length ? "operator" : merge ? "merge" : "plain"}`);
  box.title = `${place.target}${place.module ? `\n${place.module}` : ""}${place.line ? `\n${place.line}` : ""}`;
  if (merge && !place.rows.length) {
    box.append(make("b", "", SIGNS[place.op] || place.op));
    return box;
  }
  box.append(make("div", "name", make("b", "", place.op), name && name !== place.op ? make("span", "kind", name) : ""));
  for (const row of place.rows) {
    box.append(rowOf(row.labels.join(", "), row.dims.map((dim, at) => chip(row.names[0], at, [dim]))));
  }
  return box;
}

function frameOf(item, outer, elements) {
  const path = item.frame.length ? pathOf(item.frame[item.frame.length - 1]) : outer;
  for (const row of item.rows) {
    const line = make("div", "line-of-boxes");
    for (const each of row) {
      const element = each.node ? boxOf(each.node, path) : make("div", "frame");
      each.element = element;
      if (!each.node) {
        const full = state.view.outer ? [...state.prefix, ...each.frame] : each.frame;
        element.append(title([full], path));
        frameOf(each, path, element);
      }
      line.append(element);
    }
    elements.append(line);
  }
}
