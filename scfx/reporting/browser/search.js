// Search by name, for parameters and modules.
"use strict";

const searchable = [
  ...Object.keys(graph.tensors).map((name) => ({ name, kind: "parameter" })),
  ...unique(graph.places.flatMap((place) => place.calls.map(pathOf))).map((name) => ({ name, kind: classOf(name) || "module", module: true })),
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
