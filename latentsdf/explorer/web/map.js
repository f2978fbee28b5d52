// The map: shapes in the plane as thumbnails where there is room and as marks elsewhere; thousands stay smooth.

const MARKS = ["circle", "square", "diamond", "triangle"];
// Okabe and Ito, "Color Universal Design" (2008), without their yellow and black, which vanish on one of the grounds.
export const COLORS = ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#8c8c8c"];

export function styleOf(rank) {
  return { color: COLORS[rank % COLORS.length], mark: MARKS[Math.floor(rank / COLORS.length) % MARKS.length] };
}

export class MapView {
  constructor(canvas, handlers) {
    this.canvas = canvas;
    this.handlers = handlers; // select(name), pin(name), mix(weights), thumbnail(name) -> canvas or null
    this.items = []; this.byName = new Map();
    this.center = [0, 0]; this.zoom = 1; this.goal = { x: 0, y: 0, zoom: 1 };
    this.selected = null; this.hovered = null; this.pins = []; this.weights = []; this.puck = null;
    this.near = []; this.theme = { paper: "#fff", ink: "#222", soft: "#888" };
    this.still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    listen(this);
    new ResizeObserver(() => this.invalidate()).observe(canvas);
  }

  // Items {name, rank} in a new collection; those known already keep their places until new ones come.
  setItems(items) {
    const before = this.byName;
    this.items = items.map(({ name, rank }, i) => {
      const old = before.get(name);
      return { name, ...styleOf(rank), x: old?.x ?? 0, y: old?.y ?? 0, dim: false, order: hash(name), placed: !!old };
    });
    this.byName = new Map(this.items.map((item) => [item.name, item]));
    this.pins = this.pins.filter((name) => this.byName.has(name));
    this.invalidate();
  }

  // Places (S, 2) in the order of the items; they glide there.
  setPoints(points) {
    const fresh = !this.items.some((item) => item.placed);
    this.items.forEach((item, i) => {
      const [x, y] = points[i];
      Object.assign(item, { fromX: fresh ? 0.3 * x : item.placed ? item.x : x, fromY: fresh ? 0.3 * y : item.placed ? item.y : y, toX: x, toY: y, placed: true });
    });
    this.glide = { start: undefined, time: this.still ? 0.001 : fresh ? 0.7 : 1.4 };
    this.invalidate();
  }

  setDim(visible) {
    for (const item of this.items) item.dim = visible !== null && !visible.has(item.name);
    this.invalidate();
  }

  select(name, reveal = true) {
    this.selected = name;
    const item = this.byName.get(name);
    if (item && reveal) {
      const [x, y] = this.toScreen(item.x, item.y), { clientWidth: w, clientHeight: h } = this.canvas;
      if (x < 40 || y < 40 || x > w - 40 || y > h - 40) { this.goal.x = item.x; this.goal.y = item.y; }
    }
    this.invalidate();
  }

  fit() { this.goal = { x: 0, y: 0, zoom: 1 }; this.invalidate(); }

  invalidate() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame((time) => { this.waiting = false; this.draw(time); });
  }

  get scale() { return this.zoom * Math.max(10, Math.min(this.canvas.clientWidth - 90, this.canvas.clientHeight - 90)) / 2; }

  toScreen(x, y) {
    return [this.canvas.clientWidth / 2 + (x - this.center[0]) * this.scale, this.canvas.clientHeight / 2 - (y - this.center[1]) * this.scale];
  }

  toPlane(px, py) {
    return [this.center[0] + (px - this.canvas.clientWidth / 2) / this.scale, this.center[1] - (py - this.canvas.clientHeight / 2) / this.scale];
  }

  draw(time) {
    const { canvas } = this, ratio = Math.min(2, devicePixelRatio || 1);
    const w = canvas.clientWidth, h = canvas.clientHeight;
    if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(h * ratio)) {
      canvas.width = Math.round(w * ratio); canvas.height = Math.round(h * ratio);
    }
    const moving = this.move(time), g = canvas.getContext("2d");
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, w, h);
    for (const item of this.items) [item.px, item.py] = this.toScreen(item.x, item.y);
    const inside = this.items.filter((item) => item.px > -60 && item.py > -60 && item.px < w + 60 && item.py < h + 60);
    const { chosen, size } = this.choose(inside, w, h);
    this.drawMarks(g, inside, chosen);
    this.drawMix(g);
    for (const item of chosen) this.drawThumbnail(g, item, size);
    for (const name of [this.hovered, this.selected]) if (name) this.drawRing(g, this.byName.get(name), size, name === this.selected);
    this.pins.forEach((name, i) => this.drawPin(g, this.byName.get(name), i));
    this.drawLabel(g, this.byName.get(this.hovered ?? this.selected), size, w);
    if (moving) this.invalidate(); else this.before = undefined;
  }

  move(time) {
    const seconds = Math.min(0.05, (time - (this.before ?? time - 16)) / 1000);
    this.before = time;
    let moving = false;
    if (this.glide) {
      this.glide.start ??= time;
      const t = Math.min(1, (time - this.glide.start) / 1000 / this.glide.time), s = t * t * t * (t * (6 * t - 15) + 10);
      for (const item of this.items) { item.x = item.fromX + s * (item.toX - item.fromX); item.y = item.fromY + s * (item.toY - item.fromY); }
      if (t >= 1) this.glide = null; else moving = true;
    }
    const share = this.still || this.panning ? 1 : 1 - Math.exp(-14 * seconds);
    const gaps = [this.goal.x - this.center[0], this.goal.y - this.center[1], Math.log(this.goal.zoom / this.zoom)];
    this.center[0] += gaps[0] * share; this.center[1] += gaps[1] * share;
    this.zoom *= Math.exp(gaps[2] * share);
    return moving || Math.abs(gaps[0]) * this.scale > 0.2 || Math.abs(gaps[1]) * this.scale > 0.2 || Math.abs(gaps[2]) > 1e-3;
  }

  // Shapes that are shown as thumbnails: the first of each cell of a lattice that is fixed to the plane, so that
  // panning does not change them.
  choose(inside, w, h) {
    const step = Math.max(34, Math.min(62, Math.sqrt(w * h / Math.max(1, inside.length)) * 0.85));
    const size = this.items.length > 1 ? step * 1.15 : 120;
    const cell = 2 ** (Math.round(2 * Math.log2(step / this.scale)) / 2), taken = new Map(), chosen = [];
    const wanted = [...inside].sort((a, b) => this.rank(a) - this.rank(b) || a.order - b.order);
    for (const item of wanted) {
      const i = Math.floor(item.x / cell), j = Math.floor(item.y / cell);
      let free = true;
      for (let di = -1; di <= 1 && free; di++) for (let dj = -1; dj <= 1 && free; dj++) {
        for (const other of taken.get(`${i + di},${j + dj}`) ?? []) if (Math.hypot(other.px - item.px, other.py - item.py) < 0.78 * step) free = false;
      }
      if (!free && this.rank(item) > 1) continue;
      const key = `${i},${j}`;
      taken.set(key, [...(taken.get(key) ?? []), item]);
      chosen.push(item);
      if (chosen.length >= 260) break;
    }
    return { chosen: chosen.reverse(), size };
  }

  rank(item) { return item.name === this.selected ? 0 : this.pins.includes(item.name) ? 1 : item.dim ? 3 : 2; }

  drawMarks(g, inside, chosen) {
    const shown = new Set(chosen), groups = new Map();
    for (const item of inside) {
      if (shown.has(item) && this.handlers.thumbnail(item.name, item.color)) continue;
      const key = `${item.color} ${item.mark} ${item.dim}`;
      groups.set(key, [...(groups.get(key) ?? []), item]);
    }
    const size = Math.max(2.4, Math.min(4.5, 60 / Math.sqrt(inside.length + 1) + 1.5));
    for (const [key, items] of groups) {
      const [color, mark, dim] = key.split(" ");
      g.globalAlpha = dim === "true" ? 0.14 : 0.9;
      g.fillStyle = color; g.strokeStyle = this.theme.paper; g.lineWidth = 1;
      g.beginPath();
      for (const { px, py } of items) trace(g, mark, px, py, size);
      g.fill(); g.stroke();
    }
    g.globalAlpha = 1;
  }

  drawThumbnail(g, item, size) {
    const image = this.handlers.thumbnail(item.name, item.color);
    if (!image) return;
    g.globalAlpha = item.dim ? 0.12 : 1;
    g.drawImage(image, item.px - size / 2, item.py - size / 2, size, size);
    g.globalAlpha = 1;
  }

  drawRing(g, item, size, strong) {
    if (!item) return;
    g.strokeStyle = this.theme.accent; g.lineWidth = strong ? 2.5 : 1.5; g.globalAlpha = strong ? 1 : 0.7;
    g.beginPath(); g.arc(item.px, item.py, size * 0.56, 0, 7); g.stroke();
    g.globalAlpha = 1;
  }

  drawPin(g, item, i) {
    if (!item) return;
    const x = item.px, y = item.py - 20;
    g.fillStyle = this.theme.ink; g.beginPath(); g.arc(x, y, 10, 0, 7); g.fill();
    g.fillStyle = this.theme.paper; g.font = "600 11px system-ui, sans-serif"; g.textAlign = "center"; g.textBaseline = "middle";
    g.fillText("ABCD"[i], x, y + 0.5);
  }

  drawMix(g) {
    const pins = this.pins.map((name) => this.byName.get(name)).filter(Boolean);
    if (pins.length < 2) return;
    g.strokeStyle = this.theme.accent; g.lineWidth = 2; g.globalAlpha = 0.75; g.setLineDash([6, 5]);
    g.beginPath();
    const [x, y] = this.puckAt(pins);
    for (const pin of pins) { g.moveTo(pin.px, pin.py); g.lineTo(x, y); }
    g.stroke(); g.setLineDash([]); g.globalAlpha = 1;
    g.fillStyle = this.theme.accent; g.strokeStyle = this.theme.paper; g.lineWidth = 3;
    g.beginPath(); g.arc(x, y, 9, 0, 7); g.fill(); g.stroke();
  }

  puckAt(pins) {
    if (this.puck) return this.toScreen(...this.puck);
    const sum = [0, 0];
    pins.forEach((pin, i) => { sum[0] += (this.weights[i] ?? 0) * pin.px; sum[1] += (this.weights[i] ?? 0) * pin.py; });
    return sum;
  }

  drawLabel(g, item, size, w) {
    if (!item) return;
    g.font = "500 12.5px system-ui, sans-serif"; g.textAlign = "center"; g.textBaseline = "middle";
    const width = g.measureText(item.name).width + 16, x = Math.max(width / 2 + 4, Math.min(w - width / 2 - 4, item.px));
    const y = item.py + size * 0.56 + 15;
    g.fillStyle = this.theme.ink; g.beginPath(); g.roundRect(x - width / 2, y - 11, width, 22, 6); g.fill();
    g.fillStyle = this.theme.paper; g.fillText(item.name, x, y + 0.5);
  }

  at(px, py) {
    let best = null, least = 26;
    for (const item of this.items) {
      const distance = Math.hypot(item.px - px, item.py - py) + (item.dim ? 12 : 0);
      if (distance < least) { least = distance; best = item; }
    }
    return best?.name ?? null;
  }

  // The nearest shape in a direction from the selected one, within 45 degrees of it where there is one.
  towards(dx, dy) {
    const here = this.byName.get(this.selected);
    if (!here) return this.items[0]?.name;
    let best = null, least = Infinity;
    for (const item of this.items) {
      const along = (item.x - here.x) * dx + (item.y - here.y) * dy, across = Math.abs((item.x - here.x) * dy - (item.y - here.y) * dx);
      if (item === here || item.dim || along <= 1e-9) continue;
      const cost = along + 2.5 * across;
      if (cost < least) { least = cost; best = item; }
    }
    return best?.name ?? this.selected;
  }

  // Weights of the pins at a place of the plane: along the line of two, by inverse squared distance of more.
  weightsAt(px, py) {
    const pins = this.pins.map((name) => this.byName.get(name));
    if (pins.length === 2) {
      const [a, b] = pins, dx = b.px - a.px, dy = b.py - a.py;
      const t = Math.max(0, Math.min(1, ((px - a.px) * dx + (py - a.py) * dy) / Math.max(1e-9, dx * dx + dy * dy)));
      return [1 - t, t];
    }
    const inverse = pins.map((pin) => 1 / Math.max(1e-3, (pin.px - px) ** 2 + (pin.py - py) ** 2));
    const sum = inverse.reduce((a, b) => a + b, 0);
    return inverse.map((value) => value / sum);
  }
}

function trace(g, mark, x, y, r) {
  if (mark === "circle") { g.moveTo(x + r, y); g.arc(x, y, r, 0, 7); }
  else if (mark === "square") g.rect(x - 0.9 * r, y - 0.9 * r, 1.8 * r, 1.8 * r);
  else {
    const corners = mark === "diamond" ? [[0, -1.25], [1.25, 0], [0, 1.25], [-1.25, 0]] : [[0, -1.3], [1.2, 0.9], [-1.2, 0.9]];
    corners.forEach(([i, j], k) => (k ? g.lineTo(x + i * r, y + j * r) : g.moveTo(x + i * r, y + j * r)));
    g.closePath();
  }
}

export function markIcon(canvas, { color, mark }) {
  const g = canvas.getContext("2d");
  g.scale(2, 2); g.fillStyle = color; g.beginPath();
  trace(g, mark, 7, 7, 4.6);
  g.fill();
}

function hash(text) {
  let value = 2166136261;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 16777619);
  return value >>> 0;
}

function listen(map) {
  const { canvas } = map, pointers = new Map();
  let start = null, pinch = 0;
  const place = (event) => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
  const zoomAt = (px, py, factor) => {
    const [x, y] = map.toPlane(px, py), zoom = Math.max(0.6, Math.min(60, map.goal.zoom * factor));
    const share = 1 - map.goal.zoom / zoom;
    map.goal = { x: map.goal.x + (x - map.goal.x) * share, y: map.goal.y + (y - map.goal.y) * share, zoom };
    map.invalidate();
  };
  canvas.addEventListener("pointerdown", (event) => {
    const [px, py] = place(event);
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, event);
    const pins = map.pins.map((name) => map.byName.get(name)).filter(Boolean);
    const puck = pins.length >= 2 ? map.puckAt(pins) : null;
    start = { px, py, moved: false, puck: puck && Math.hypot(puck[0] - px, puck[1] - py) < 16 };
    pinch = 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    const [px, py] = place(event), before = pointers.get(event.pointerId);
    if (!before) {
      const found = map.at(px, py);
      if (found !== map.hovered) { map.hovered = found; canvas.style.cursor = found ? "pointer" : "grab"; map.invalidate(); }
      return;
    }
    const dx = event.clientX - before.clientX, dy = event.clientY - before.clientY;
    pointers.set(event.pointerId, event);
    if (Math.hypot(px - start.px, py - start.py) > 4) start.moved = true;
    if (pointers.size === 2) {
      const [p, q] = [...pointers.values()], distance = Math.hypot(p.clientX - q.clientX, p.clientY - q.clientY);
      if (pinch) zoomAt(px, py, distance / pinch);
      pinch = distance;
    } else if (start.puck) {
      const weights = map.weightsAt(px, py);
      map.puck = map.pins.length > 2 ? map.toPlane(px, py) : null;
      map.handlers.mix(weights, map.puck);
    } else if (start.moved) {
      map.panning = true;
      map.goal.x -= dx / map.scale; map.goal.y += dy / map.scale;
      map.invalidate();
    }
  });
  const end = (event) => {
    pointers.delete(event.pointerId);
    map.panning = false;
    if (start && !start.moved && !start.puck && event.type === "pointerup") {
      const name = map.at(...place(event));
      if (name) event.shiftKey ? map.handlers.pin(name) : map.handlers.select(name);
    }
    if (start?.puck) map.handlers.settle();
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  canvas.addEventListener("pointerleave", () => { map.hovered = null; map.invalidate(); });
  canvas.addEventListener("wheel", (event) => { event.preventDefault(); zoomAt(...place(event), Math.exp(-event.deltaY * 0.0015)); }, { passive: false });
  canvas.addEventListener("dblclick", (event) => zoomAt(...place(event), 1.8));
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const middle = [canvas.clientWidth / 2, canvas.clientHeight / 2];
    if (steps[event.key]) { const name = map.towards(...steps[event.key]); if (name) map.handlers.select(name); }
    else if (event.key === "+" || event.key === "=") zoomAt(...middle, 1.3);
    else if (event.key === "-") zoomAt(...middle, 1 / 1.3);
    else if (event.key === "0") map.fit();
    else if (event.key === "Enter" && map.selected) map.handlers.pin(map.selected);
    else return;
    event.preventDefault();
  });
}
