// Thumbnails: drawn once each from a coarse mesh by a small scene, when they are first wanted, a few at a time.

import { Scene } from "./scene.js";

const SIZE = 144, CELLS = 32, TOGETHER = 2;

export class Thumbnails {
  constructor(load, onReady) {
    this.load = load; // name, cells -> promise of a mesh
    this.onReady = onReady;
    this.waiting = new Map(); // canvases to paint by name
    this.kept = new Map(); this.wanted = new Map(); this.running = 0; this.paused = false;
    this.canvas = document.createElement("canvas");
    this.canvas.width = this.canvas.height = SIZE;
    this.scene = new Scene(this.canvas, { thumbnails: true });
    this.scene.camera.distance = this.scene.goal.distance = 4.6;
  }

  // The picture of a shape; null until it is drawn, which this asks for.
  get(name, color) {
    const found = this.kept.get(name);
    if (found !== undefined) return found;
    if (this.wanted.size > 400) this.wanted.delete(this.wanted.keys().next().value);
    this.wanted.delete(name);
    this.wanted.set(name, color);
    this.next();
    return null;
  }

  // Paint a canvas with the picture of a shape as soon as there is one; these come before those of the map.
  paint(name, color, canvas) {
    const image = this.get(name, color);
    if (image) { canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height); return; }
    if (!this.waiting.has(name)) this.waiting.set(name, new Set());
    this.waiting.get(name).add(canvas);
  }

  setUpright(axis) { this.scene.upright = axis; this.clear(); }

  clear() { this.kept.clear(); this.wanted.clear(); this.onReady(); }

  forget(name) { this.kept.delete(name); }

  pause(paused) { this.paused = paused; if (!paused) this.next(); }

  next() {
    while (!this.paused && this.running < TOGETHER && this.wanted.size) {
      const all = [...this.wanted], [name, color] = all.find(([key]) => this.waiting.has(key)) ?? all.pop();
      this.wanted.delete(name);
      this.running++;
      this.kept.set(name, null);
      this.load(name, CELLS)
        .then((mesh) => {
          this.kept.set(name, this.picture(mesh, color));
          const canvases = this.waiting.get(name) ?? [];
          this.waiting.delete(name);
          for (const canvas of canvases) this.paint(name, color, canvas);
        })
        .catch(() => {})
        .finally(() => { this.running--; this.onReady(); this.next(); });
    }
  }

  picture(mesh, color) {
    const drawn = document.createElement("canvas");
    drawn.width = drawn.height = SIZE;
    this.scene.colors.base = mixed(color);
    this.scene.setMesh("main", mesh);
    this.scene.draw();
    drawn.getContext("2d").drawImage(this.canvas, 0, 0);
    return drawn;
  }
}

function mixed(color) {
  const rgb = [1, 3, 5].map((i) => parseInt(color.slice(i, i + 2), 16) / 255);
  return rgb.map((value, i) => 0.62 * value + 0.38 * [0.86, 0.86, 0.88][i]);
}
