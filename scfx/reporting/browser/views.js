// What of the graph each zoom shows: nodes, edges, and the frames around them. No drawing here.
"use strict";

// A model is opened as deep as so many nodes allow.
const READABLE = 40;

const keyOf = (calls) => JSON.stringify(calls);
const pathOf = (call) => call.split("@")[0];
const unique = (items) => [...new Set(items)];

class Graph {
  constructor(data) {
    Object.assign(this, data);
    this.into = this.places.map(() => []);
    for (const [source, target, operand, dims] of this.streams) this.into[target].push({ source, target, operand, dims });
    this.plain = this.places.map((place, index) => this.isPlain(place, index));
    this.traced = new Map();
    this.reader = new Map(); // of a parameter: the first place that reads it
    this.readers = new Map(); // of an axis: all places that read a parameter on it
    this.places.forEach((place, index) => {
      for (const row of place.rows) {
        for (const name of row.names) if (!this.reader.has(name)) this.reader.set(name, index);
        for (const axis of row.dims.flatMap((dim) => dim[2])) {
          this.readers.set(axis, (this.readers.get(axis) || new Set()).add(index));
        }
      }
    });
  }

  // Whether a place neither reads a parameter, nor joins branches, nor begins or ends the model.
  isPlain(place, index) {
    if (place.kind !== "operator" || place.rows.length) return false;
    const given = this.into[index].filter((s) => s.dims.some((dim) => dim[2].length)).map((s) => s.source);
    return new Set(given).size < 2;
  }

  // The places from which a value comes that are shown, each with the operators between.
  sources(index, hidden) {
    if (!hidden(index)) return new Map([[index, []]]);
    const key = index;
    if (!this.traced.has(key)) {
      const found = new Map();
      for (const stream of this.into[index]) {
        for (const [source, through] of this.sources(stream.source, hidden)) {
          if (!found.has(source)) found.set(source, [...through, this.places[index].op]);
        }
      }
      this.traced.set(key, found);
    }
    return this.traced.get(key);
  }

  // What a route shows. `all`: operators without parameters, too.
  view(route, all) {
    this.traced.clear();
    const axes = route.dim ? new Set(this.axesOf(route.dim, route.at)) : null;
    const selected = this.selected(route.block || "", axes);
    const hidden = (index) => !axes && !all && this.plain[index];
    const depthOf = axes || !selected.length ? 0 : this.common(selected, route.block || "");
    const folds = this.folded(selected, depthOf, axes);
    let view = null;
    const deepest = Math.max(1, ...selected.map((index) => this.places[index].calls.length));
    for (let depth = depthOf + 1; depth <= deepest; depth += 1) {
      const deeper = this.viewAt(selected, hidden, folds, axes ? Infinity : depth, depthOf, axes);
      if (view && deeper.nodes.length > READABLE) break;
      view = deeper;
      if (axes) break;
    }
    return view || this.viewAt(selected, hidden, folds, 1, 0, axes);
  }

  axesOf(name, at) {
    for (const place of this.places) {
      for (const row of place.rows) if (row.names.includes(name)) return row.dims[at] ? row.dims[at][2] : [];
    }
    return [];
  }

  selected(block, axes) {
    const every = this.places.map((_, index) => index);
    if (axes) {
      const carries = (dims) => dims.some((dim) => dim[2].some((axis) => axes.has(axis)));
      const found = new Set(every.filter((index) => this.places[index].rows.some((row) => carries(row.dims))));
      for (const [source, target, , dims] of this.streams) {
        if (carries(dims)) found.add(source).add(target);
      }
      return every.filter((index) => found.has(index));
    }
    if (!block) return every;
    return every.filter((index) => this.places[index].calls.some((call) => pathOf(call) === block));
  }

  // How many calls all places of a block lie in.
  common(selected, block) {
    if (!block) return 0;
    const ends = selected.map((index) => this.places[index].calls.findIndex((call) => pathOf(call) === block) + 1);
    return Math.min(...ends);
  }

  // Which frames are drawn once for several, and the place that stands for each place.
  folded(selected, depth, axes) {
    const drawn = new Map(selected.map((index) => [index, index]));
    const copies = new Map();
    if (axes) return { drawn, copies };
    for (const run of [...this.folds].sort((a, b) => a[0].length - b[0].length)) {
      if (run[0].length <= depth) continue;
      const inside = run.map((frame) => {
        const key = keyOf(frame);
        return selected.filter((index) => keyOf(this.places[index].calls.slice(0, frame.length)) === key);
      });
      if (!inside[0].length || inside.some((places) => places.length !== inside[0].length)) continue;
      copies.set(keyOf(run[0]), { frames: run, inside });
      inside.slice(1).forEach((places) => places.forEach((index, at) => drawn.set(index, inside[0][at])));
    }
    for (const [index, first] of drawn) {
      let end = first;
      while (drawn.get(end) !== end) end = drawn.get(end);
      drawn.set(index, end);
    }
    return { drawn, copies };
  }

  viewAt(selected, hidden, folds, depth, outer, axes) {
    const closed = this.closed(selected, hidden, folds, depth, outer);
    const nodes = new Map();
    const nodeOf = new Map();
    for (const index of selected) {
      const drawn = folds.drawn.get(index);
      if (hidden(drawn)) continue;
      const frame = closed.get(drawn);
      const place = this.places[drawn];
      const key = frame ? `block ${keyOf(frame)}` : `place ${drawn}`;
      nodeOf.set(index, key);
      if (nodes.has(key)) continue;
      const run = frame && folds.copies.get(keyOf(frame));
      nodes.set(key, {
        key, order: drawn, block: frame || null, place: frame ? null : place, index: drawn,
        copies: run ? run.frames : null,
        frame: (frame ? frame.slice(0, -1) : place.calls).slice(outer),
      });
    }
    for (const [key, node] of nodes) if (node.block) node.inside = this.insideOf(node, folds, selected);
    const edges = this.edges(nodes, nodeOf, hidden, folds, axes);
    return { nodes: [...nodes.values()].sort((a, b) => a.order - b.order), edges, outer };
  }

  insideOf(node, folds, selected) {
    const run = folds.copies.get(keyOf(node.block));
    if (run) return run.inside;
    const key = keyOf(node.block);
    return [selected.filter((index) => keyOf(this.places[index].calls.slice(0, node.block.length)) === key)];
  }

  // For each place that is drawn the frame that stands for it, where it is folded or too deep.
  closed(selected, hidden, folds, depth, outer) {
    const found = new Map();
    const shown = new Map();
    for (const index of selected) {
      if (folds.drawn.get(index) !== index) continue;
      const calls = this.places[index].calls;
      let end = depth;
      for (let at = outer + 1; at <= calls.length && at < end; at += 1) {
        if (folds.copies.has(keyOf(calls.slice(0, at)))) end = at;
      }
      if (end > calls.length) continue;
      const frame = calls.slice(0, end);
      found.set(index, frame);
      shown.set(keyOf(frame), (shown.get(keyOf(frame)) || 0) + (hidden(index) ? 0 : 1));
    }
    for (const [index, frame] of found) if (shown.get(keyOf(frame)) < 2) found.delete(index);
    return found;
  }

  edges(nodes, nodeOf, hidden, folds, axes) {
    const edges = new Map();
    this.places.forEach((place, target) => {
      if (hidden(target)) return;
      for (const stream of this.into[target]) {
        if (axes && !stream.dims.some((dim) => dim[2].some((axis) => axes.has(axis)))) continue;
        for (const [source, through] of this.sources(stream.source, hidden)) {
          if (!nodeOf.has(source) && !nodeOf.has(target)) continue;
          const from = nodeOf.get(source) || this.outside(nodes, source, "from", nodeOf);
          const to = nodeOf.get(target) || this.outside(nodes, target, "to", nodeOf);
          if (from === to) continue;
          const carried = unique(stream.dims.flatMap((dim) => dim[2]));
          const key = keyOf([from, to, carried]);
          if (edges.has(key)) continue;
          const again = nodes.get(from).order > nodes.get(to).order;
          if (!again) edges.set(key, { from, to, operand: stream.operand, dims: stream.dims, axes: carried, through });
        }
      }
    });
    return [...edges.values()];
  }

  // A node that only says where something comes from or goes to.
  outside(nodes, index, side, nodeOf) {
    const place = this.places[index];
    const inside = this.places[[...nodeOf.keys()][0]].calls;
    let shared = 0;
    while (shared < place.calls.length && place.calls[shared] === inside[shared]) shared += 1;
    const name = pathOf(place.calls[shared] || "") || `${place.kind === "operator" ? "" : place.kind} ${place.op}`.trim();
    const key = keyOf([side, name]);
    if (!nodes.has(key)) {
      const order = side === "from" ? -1 : this.places.length + nodes.size;
      nodes.set(key, { key, order, index, outside: side, name, block: null, place: null, copies: null, frame: [] });
    }
    return key;
  }

  // The innermost module around a place in which anything else is shown.
  home(index) {
    const calls = this.places[index].calls;
    for (let end = calls.length; end > 0; end -= 1) {
      const path = pathOf(calls[end - 1]);
      const shown = this.selected(path, null).filter((other) => !this.plain[other]);
      if (shown.length > 1) return path;
    }
    return "";
  }
}
