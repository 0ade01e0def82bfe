// The page: what lights up together, the slider, and the way between zooms.
"use strict";

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
  const parts = [["", classOf("") || "Model"]];
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
  side.append(make("h2", "", block || classOf("") || "Model"));
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
  if (Object.hasOwn(graph.tensors, given.dim || "")) {
    const at = Number(given.at) || 0;
    if (at >= 0 && at < graph.tensors[given.dim].length) Object.assign(route, { dim: given.dim, at });
  }
  if (given.block && graph.selected(given.block, null).length) route.block = given.block;
  if (Object.hasOwn(graph.tensors, given.focus || "")) route.focus = given.focus;
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
