// The page: boxes and chips for a view, what lights up together, search, the slider, and the way between zooms.
// Names from the model become text and attributes of text, never markup.
"use strict";

const MANY = 6;
const SIGNS = { add: "+", mul: "×", cat: "cat", stack: "stack", sub: "−", matmul: "@" };
const graph = new Graph(JSON.parse(document.getElementById("data").textContent));
const $ = (id) => document.getElementById(id);
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
  const kind = [graph.classes[pathOf(call)], again && `call ${Number(again) + 1}`].filter(Boolean).join(", ");
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

// ------------------------------------------------------------------ a zoom

function show() {
  const route = state.route;
  state.view = graph.view(route, $("all").checked);
  const first = state.view.nodes.find((node) => !node.outside);
  state.prefix = first ? graph.places[first.index].calls.slice(0, state.view.outer) : [];
  const root = ranked(framesOf(state.view), state.view.edges);
  for (const edge of state.view.edges) {
    const frame = edge.above[edge.shared].parent;
    frame.lanes = (frame.lanes || 0) + (obstacles(edge).length ? 1 : 0);
  }
  const picture = $("picture");
  picture.replaceChildren();
  state.svg = document.createElementNS(SVG, "svg");
  state.svg.setAttribute("aria-hidden", "true");
  picture.append(state.svg);
  const outer = route.dim ? "" : route.block || "";
  frameOf(root, outer, picture);
  picture.style.paddingRight = `${24 + 9 * Math.min(12, root.lanes || 0)}px`;
  const widen = (item) => {
    if (item.element && item.lanes) item.element.style.paddingRight = `${14 + 9 * Math.min(12, item.lanes)}px`;
    item.items.forEach(widen);
  };
  widen(root);
  lines();
  crumbs();
  aside();
  $("stage").scrollTo(0, 0);
  light([]);
  const focus = route.focus && [...picture.querySelectorAll(".chip")].find((each) => each.dataset.tensor === route.focus);
  if (focus) {
    focus.closest(".node").classList.add("found");
    focus.scrollIntoView({ block: "center" });
    focus.focus();
  }
}

function lines() {
  drawLines(state.svg, $("picture"), state.view.edges, graph, share);
}

function crumbs() {
  const parts = [["", graph.classes[""] || "Model"]];
  const block = state.route.block || "";
  block.split(".").forEach((_, at, names) => {
    const path = names.slice(0, at + 1).join(".");
    if (path && (path === block || graph.selected(path, null).length > 1)) parts.push([path, names[at]]);
  });
  $("crumbs").replaceChildren();
  for (const [path, name] of parts) {
    const button = make("button", "", name);
    button.type = "button";
    button.dataset.block = path;
    $("crumbs").append(button);
  }
  if (state.route.dim) $("crumbs").append(make("span", "here", `${state.route.dim}[${state.route.at}]`));
  document.title = `${[...$("crumbs").children].map((each) => each.textContent).join(" › ")} – channel graph`;
}

// ------------------------------------------------------------------ beside the graph

function explained(name, at) {
  const said = (graph.tensors[name] || [])[at];
  return said ? said[0] + (said[1] === null ? "" : `\n${graph.texts[said[1]]}`) : "";
}

function aside() {
  const side = $("side");
  side.replaceChildren();
  if (state.route.dim) {
    side.append(make("h2", "", `${state.route.dim}[${state.route.at}]`), make("pre", "explain", explained(state.route.dim, state.route.at)));
    side.append(make("p", "hint", "Shown is all that this axis passes through. Escape leads back."));
    return;
  }
  const block = state.route.block || "";
  side.append(make("h2", "", block || graph.classes[""] || "Model"));
  const weights = weightsOf(graph.selected(block, null));
  const free = graph.axes.filter((axis) => axis.pin === null);
  const sum = (key) => free.reduce((total, axis) => total + axis[key], 0);
  const facts = make("p", "", `${number(weights)} weights, in ${graph.mode} mode.`);
  if (!block) {
    facts.append(` ${number(free.length)} axes with ${number(sum("size"))} channels can lose some`);
    facts.append(graph.compared ? `; there were ${number(sum("first"))} channels.` : ".");
  }
  side.append(facts);
  if (state.route.focus) side.append(make("pre", "explain", explained(state.route.focus, 0)));
  const hints = make("ul", "hint");
  for (const text of [
    "A coloured number is a dim: dims of one colour are one axis and lose channels together.",
    "Point at one: everything coupled with it lights up. Click it: its axis alone, and why it is as it is.",
    "Click the name of a block to open it. Escape goes back, / searches.",
    "Lines are as thick as there are channels left on them; grey ones carry none that could go.",
  ]) hints.append(make("li", "", text));
  side.append(hints);
  if (reasons.length) {
    side.append(make("h3", "", "Dashed: pinned, because"));
    const list = make("ol", "pins");
    for (const reason of reasons) {
      const channels = graph.axes.filter((axis) => axis.pin === reason).reduce((total, axis) => total + axis.size, 0);
      list.append(make("li", "", reason, make("span", "kind", `${number(channels)} channels`)));
    }
    side.append(list);
  }
}

// ------------------------------------------------------------------ light

function light(axes) {
  const lit = new Set(axes);
  const picture = $("picture");
  picture.classList.toggle("lighting", lit.size > 0);
  for (const element of picture.querySelectorAll(".chip, .line")) {
    element.classList.toggle("lit", element.axes.some((axis) => lit.has(axis)));
  }
}

const lightAt = (target) => {
  const found = target.closest ? target.closest(".chip, .line") : null;
  light(found ? found.axes : []);
};

// ------------------------------------------------------------------ ways

function go(route) {
  const fields = Object.entries(route).filter(([, value]) => value !== "" && value !== undefined);
  const hash = `#${fields.length ? new URLSearchParams(fields.map(([key, value]) => [key, String(value)])) : "top"}`;
  if (location.hash === hash) arrive();
  else location.hash = hash;
}

// Where the page begins: "fc.weight[1]" is a dim, anything else the path of a module.
function started() {
  const dim = graph.start.match(/^(.+)\[(-?\d+)\]$/);
  if (!dim) return { block: graph.start };
  const at = Number(dim[2]);
  return { dim: dim[1], at: at < 0 ? at + (graph.tensors[dim[1]] || []).length : at };
}

// The route that the address asks for.
function wanted() {
  const given = location.hash ? Object.fromEntries(new URLSearchParams(location.hash.slice(1))) : started();
  const route = {};
  if (given.dim in graph.tensors) {
    const at = Number(given.at) || 0;
    if (at >= 0 && at < graph.tensors[given.dim].length) Object.assign(route, { dim: given.dim, at });
  }
  if (given.block && graph.selected(given.block, null).length) route.block = given.block;
  if (given.focus in graph.tensors) route.focus = given.focus;
  return route;
}

function arrive() {
  state.route = wanted();
  show();
}

function back() {
  const { block, dim } = wanted();
  if (dim) go({ block });
  else if (block) {
    const parents = block.split(".").slice(0, -1).map((_, at, names) => names.slice(0, at + 1).join("."));
    go({ block: parents.reverse().find((path) => graph.selected(path, null).length > 1) });
  }
}

// ------------------------------------------------------------------ search

const searchable = [
  ...Object.keys(graph.tensors).map((name) => ({ name, kind: "parameter" })),
  ...unique(graph.places.flatMap((place) => place.calls.map(pathOf))).map((name) => ({ name, kind: graph.classes[name] || "module", module: true })),
];
let hits = [];
let chosen = 0;

function search() {
  const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const rank = ({ name }) => (name.toLowerCase() === words[0] ? 0 : 1);
  hits = words.length ? searchable.filter(({ name, kind }) => words.every((word) => `${name} ${kind}`.toLowerCase().includes(word))) : [];
  hits = hits.sort((a, b) => rank(a) - rank(b)).slice(0, 14);
  chosen = 0;
  offer();
}

function offer() {
  const list = $("found");
  list.replaceChildren();
  hits.forEach((hit, at) => {
    const item = make("li", at === chosen ? "chosen" : "", make("b", "", hit.name), make("span", "kind", hit.kind));
    item.id = `hit-${at}`;
    item.setAttribute("role", "option");
    item.setAttribute("aria-selected", String(at === chosen));
    item.addEventListener("mousedown", (event) => { event.preventDefault(); take(hit); });
    list.append(item);
  });
  if (!hits.length && $("search").value.trim()) list.append(make("li", "none", "Nothing has this in its name."));
  list.hidden = !$("search").value.trim() || document.activeElement !== $("search");
  $("search").setAttribute("aria-expanded", String(!list.hidden));
  if (hits.length) $("search").setAttribute("aria-activedescendant", `hit-${chosen}`);
  else $("search").removeAttribute("aria-activedescendant");
}

function take(hit) {
  $("search").value = "";
  offer();
  $("stage").focus();
  if (!hit.module) {
    const index = graph.reader.get(hit.name);
    go(index === undefined ? { dim: hit.name, at: 0 } : { block: graph.home(index), focus: hit.name });
    return;
  }
  const inside = graph.selected(hit.name, null);
  const shown = inside.filter((index) => !graph.plain[index]);
  const names = inside.flatMap((index) => graph.places[index].rows.flatMap((row) => row.names));
  go(shown.length > 1 ? { block: hit.name } : { block: graph.home(inside[0]), focus: names[0] });
}

// ------------------------------------------------------------------ hands

$("search").addEventListener("input", search);
$("search").addEventListener("focus", search);
$("search").addEventListener("blur", () => { $("found").hidden = true; });
$("search").addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    chosen = (chosen + (event.key === "ArrowDown" ? 1 : -1) + hits.length) % Math.max(1, hits.length);
    offer();
  } else if (event.key === "Enter" && hits[chosen]) take(hits[chosen]);
  else if (event.key === "Escape") {
    event.stopPropagation();
    $("search").value = "";
    $("search").blur();
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== $("search")) {
    event.preventDefault();
    $("search").focus();
  } else if (event.key === "Escape") back();
});
document.addEventListener("click", (event) => {
  const at = event.target.closest(".chip, [data-block]");
  if (!at) return;
  if (at.classList.contains("chip")) go({ block: state.route.block, dim: at.dataset.tensor, at: at.dataset.dim });
  else go({ block: at.dataset.block });
});
$("picture").addEventListener("mouseover", (event) => lightAt(event.target));
$("picture").addEventListener("mouseleave", () => light([]));
$("picture").addEventListener("focusin", (event) => lightAt(event.target));
$("picture").addEventListener("focusout", () => light([]));
$("all").addEventListener("change", show);
$("theme").addEventListener("click", () => {
  const dark = getComputedStyle(document.documentElement).getPropertyValue("--dark").trim() === "1";
  document.documentElement.dataset.theme = dark ? "light" : "dark";
});
$("slider").addEventListener("input", () => {
  state.t = Number($("slider").value) / 100;
  document.querySelectorAll(".chip").forEach((each) => each.update());
  lines();
});
$("compare").hidden = !graph.compared;
window.addEventListener("hashchange", arrive);
window.addEventListener("resize", () => state.svg && lines());
arrive();
