// Pinned shapes and their weights: a slider between two, a pad among three and four, and a puck on the map.

const $ = (id) => document.getElementById(id);
const CORNERS = { 3: [[0.5, 0.1], [0.08, 0.88], [0.92, 0.88]], 4: [[0.09, 0.12], [0.91, 0.12], [0.09, 0.88], [0.91, 0.88]] };

export class MorphPins {
  constructor(handlers) {
    this.handlers = handlers; // map, thumbnail, paint, onMix(subject), onSettle(subject), onSelect(name)
    this.names = []; this.weights = []; this.place = [0.5, 0.5]; this.active = false;
    $("morph-slider").addEventListener("input", () => { const t = Number($("morph-slider").value); this.setWeights([1 - t, t]); });
    $("morph-slider").addEventListener("change", () => this.settle());
    $("unpin").addEventListener("click", () => this.clear());
    this.listen($("morph-pad"));
    new ResizeObserver(() => this.drawPad()).observe($("morph-pad"));
  }

  get subject() { return { mix: [...this.names], weights: [...this.weights] }; }

  add(name) {
    if (this.names.includes(name)) this.names = this.names.filter((other) => other !== name);
    else this.names = [...this.names, name].slice(-4);
    this.place = [0.5, 0.5];
    this.changed();
    if (this.names.length >= 2) this.setWeights(this.names.map(() => 1 / this.names.length));
  }

  clear() { this.names = []; this.changed(); }

  release() { this.active = false; }

  changed() {
    const { map } = this.handlers, several = this.names.length;
    map.pins = this.names; map.puck = null;
    this.weights = this.names.map(() => 1 / several);
    map.weights = this.weights;
    map.invalidate();
    $("pins").replaceChildren(...this.names.map((name, i) => this.chip(name, i)));
    $("morph-slider").hidden = several !== 2;
    $("morph-pad").hidden = several < 3;
    $("unpin").hidden = !several;
    $("morph").classList.toggle("first", several >= 2);  // so that the slider stays where it is dragged
    $("morph-hint").hidden = several >= 2;
    if (several === 1) $("morph-hint").textContent = "Pin one to three more: Shift click on the map, or P.";
    this.drawPad();
  }

  chip(name, i) {
    const chip = document.createElement("button"), picture = document.createElement("canvas"), letter = document.createElement("b");
    picture.width = picture.height = 68;
    letter.textContent = "ABCD"[i];
    chip.append(picture, letter, shortName(name));
    chip.title = `${name}: click to show it`;
    chip.addEventListener("click", () => this.handlers.onSelect(name));
    this.handlers.paint(name, picture);
    return chip;
  }

  setWeights(weights, puck = null) {
    if (this.names.length < 2) return;
    this.weights = weights; this.active = true;
    const { map } = this.handlers;
    map.weights = weights; map.puck = puck;
    if (weights.length === 2) $("morph-slider").value = String(weights[1]);
    else if (puck) this.place = mean(CORNERS[weights.length], weights);
    map.invalidate();
    this.drawPad();
    this.handlers.onMix(this.subject);
  }

  settle() { if (this.active && this.names.length >= 2) this.handlers.onSettle(this.subject); }

  nudge(step) {
    if (this.names.length !== 2) return;
    const t = Math.max(0, Math.min(1, this.weights[1] + step));
    this.setWeights([1 - t, t]);
  }

  listen(pad) {
    const move = (event) => {
      const box = pad.getBoundingClientRect();
      this.moveTo((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
    };
    pad.addEventListener("pointerdown", (event) => { pad.setPointerCapture(event.pointerId); move(event); });
    pad.addEventListener("pointermove", (event) => { if (pad.hasPointerCapture(event.pointerId)) move(event); });
    pad.addEventListener("pointerup", () => this.settle());
    pad.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-0.05, 0], ArrowRight: [0.05, 0], ArrowUp: [0, -0.05], ArrowDown: [0, 0.05] }[event.key];
      if (step) { this.moveTo(this.place[0] + step[0], this.place[1] + step[1]); event.preventDefault(); }
    });
  }

  moveTo(x, y) {
    this.place = [Math.max(0.05, Math.min(0.95, x)), Math.max(0.05, Math.min(0.95, y))];
    const corners = CORNERS[this.names.length];
    this.setWeights(corners.length === 4 ? bilinear(this.place, corners) : barycentric(this.place, corners));
  }

  drawPad() {
    if (this.names.length < 3) return;
    const pad = $("morph-pad"), corners = CORNERS[this.names.length];
    if (!corners || !pad.clientWidth) return;
    const ratio = Math.min(2, devicePixelRatio || 1), w = pad.clientWidth, h = pad.clientHeight, g = pad.getContext("2d");
    pad.width = w * ratio; pad.height = h * ratio;
    g.scale(ratio, ratio);
    const { theme } = this.handlers.map, [x, y] = [this.place[0] * w, this.place[1] * h];
    corners.forEach(([cx, cy], i) => {
      g.strokeStyle = theme.accent; g.lineWidth = 0.5 + 5 * this.weights[i]; g.globalAlpha = 0.25 + 0.6 * this.weights[i];
      g.beginPath(); g.moveTo(cx * w, cy * h); g.lineTo(x, y); g.stroke();
      g.globalAlpha = 1;
      const image = this.handlers.thumbnail(this.names[i]);
      if (image) g.drawImage(image, cx * w - 24, cy * h - 24, 48, 48);
      g.fillStyle = theme.ink; g.font = "650 12px system-ui, sans-serif"; g.textAlign = "center";
      g.fillText("ABCD"[i], cx * w + (cx < 0.5 ? 28 : cx > 0.5 ? -28 : 28), cy * h + 4);
    });
    g.fillStyle = theme.accent; g.strokeStyle = theme.paper; g.lineWidth = 3;
    g.beginPath(); g.arc(x, y, 9, 0, 7); g.fill(); g.stroke();
  }
}

// The last part of a name, with its class where it is but a number.
export function shortName(name) {
  const last = name.split("/").pop();
  return last.length > 3 ? last : name.split("/").slice(-2).join(" ");
}

function mean(corners, weights) {
  return [0, 1].map((k) => corners.reduce((sum, corner, i) => sum + weights[i] * corner[k], 0));
}

function bilinear([x, y], [[left, top], , , [right, bottom]]) {
  const u = Math.max(0, Math.min(1, (x - left) / (right - left))), v = Math.max(0, Math.min(1, (y - top) / (bottom - top)));
  return [(1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v];
}

function barycentric([x, y], [[ax, ay], [bx, by], [cx, cy]]) {
  const d = (by - cy) * (ax - cx) + (cx - bx) * (ay - cy);
  const a = ((by - cy) * (x - cx) + (cx - bx) * (y - cy)) / d, b = ((cy - ay) * (x - cx) + (ax - cx) * (y - cy)) / d;
  const weights = [a, b, 1 - a - b].map((value) => Math.max(0, value)), sum = weights.reduce((p, q) => p + q, 0);
  return weights.map((value) => value / sum);
}
