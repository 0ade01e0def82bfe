// Where nodes stand: rows of boxes inside of frames, laid out by the browser; each row is fed by the rows above it.
"use strict";

// A tree of frames with the nodes inside; frames with a single node are left out.
function framesOf(view) {
  const counts = new Map();
  for (const node of view.nodes) {
    for (let end = 1; end <= node.frame.length; end += 1) {
      const key = keyOf(node.frame.slice(0, end));
      counts.set(key, (counts.get(key) || 0) + 1);
    }
  }
  const root = { frame: [], items: [], parent: null };
  const known = new Map([[keyOf([]), root]]);
  for (const node of view.nodes) {
    let within = root;
    for (let end = 1; end <= node.frame.length; end += 1) {
      const frame = node.frame.slice(0, end);
      const key = keyOf(frame);
      if (counts.get(key) < 2) continue;
      if (!known.has(key)) {
        known.set(key, { frame, items: [], parent: within, node: null });
        within.items.push(known.get(key));
      }
      within = known.get(key);
    }
    within.items.push({ node, parent: within, items: [] });
  }
  return root;
}

// Gives every item of every frame a row, so that what it is fed by stands above it.
function ranked(root, edges) {
  const itemOf = new Map();
  const walk = (item) => {
    if (item.node) itemOf.set(item.node.key, item);
    item.items.forEach(walk);
  };
  walk(root);
  const lineage = (item) => (item ? [...lineage(item.parent), item] : []);
  const links = new Map();
  for (const edge of edges) {
    edge.source = itemOf.get(edge.from);
    edge.target = itemOf.get(edge.to);
    edge.above = lineage(edge.source);
    edge.below = lineage(edge.target);
    let shared = 0;
    while (edge.above[shared] === edge.below[shared]) shared += 1;
    edge.shared = shared;
    const [one, other] = [edge.above[shared], edge.below[shared]];
    if (!links.has(other)) links.set(other, []);
    links.get(other).push(one);
  }
  const place = (frame) => {
    const seen = new Set();
    for (const item of frame.items) {
      const before = (links.get(item) || []).filter((other) => seen.has(other));
      item.row = Math.max(-1, ...before.map((other) => other.row)) + 1;
      item.fed = before.length > 0;
      seen.add(item);
    }
    // What nothing feeds stands just above what it feeds.
    for (const item of frame.items) {
      if (item.fed) continue;
      const after = frame.items.filter((other) => (links.get(other) || []).includes(item)).map((other) => other.row);
      if (after.length) item.row = Math.max(0, Math.min(...after) - 1);
    }
    frame.rows = [];
    for (const item of frame.items) (frame.rows[item.row] = frame.rows[item.row] || []).push(item);
    frame.rows = frame.rows.filter(Boolean);
    frame.rows.forEach((row, at) => row.forEach((item) => { item.row = at; }));
    frame.items.filter((item) => item.items.length).forEach(place);
  };
  place(root);
  return root;
}

// What a line from one node to another must not run across.
function obstacles(edge) {
  const found = [];
  const { above, below, shared } = edge;
  for (let at = shared + 1; at < above.length; at += 1) {
    for (const row of above[at - 1].rows.slice(above[at].row + 1)) found.push(...row);
  }
  const [one, other] = [above[shared], below[shared]];
  for (const row of one.parent.rows.slice(one.row + 1, other.row)) found.push(...row);
  for (let at = shared + 1; at < below.length; at += 1) {
    for (const row of below[at - 1].rows.slice(0, below[at].row)) found.push(...row);
  }
  return found;
}
