// A collection exported by `latentsdf view --static`: codes are decoded here, by two workers.

import { readPacket } from "./packets.js";
import { vertexNormals } from "./surface_nets.js";
import { wide } from "./volume_decoder.js";
import { exportMesh } from "./mesh_files.js";

export const live = false;
export const formats = ["glb", "stl"];

async function load(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path} is not there (${response.status})`);
  const data = await response.arrayBuffer(), start = new Uint8Array(data, 0, 2);
  if (start[0] !== 0x1f || start[1] !== 0x8b) return data;  // the server has unpacked it
  return new Response(new Blob([data]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

const collection = load("collection.bin").then((data) => {
  const found = readPacket(data), { names, meshed } = found.header;
  return { ...found, codes: found.code && wide(found, "code"), rows: new Map(names.map((name, row) => [name, row])), meshed: new Set(meshed) };
});

// Two workers with the same decoder: one for what is looked at, one for thumbnails.
class Decoder {
  constructor() {
    this.worker = new Worker(new URL("./decoder_worker.js", import.meta.url), { type: "module" });
    this.open = new Map();
    this.count = 0;
    this.worker.onmessage = ({ data }) => {
      const { resolve, reject } = this.open.get(data.id);
      this.open.delete(data.id);
      if (data.error) reject(new Error(data.error)); else resolve(data);
    };
    this.ready = decoderData().then((data) => this.send({ decoder: data.slice(0) }));
  }

  send(message) {
    const id = ++this.count;
    return new Promise((resolve, reject) => { this.open.set(id, { resolve, reject }); this.worker.postMessage({ id, ...message }); });
  }

  async ask(message) { await this.ready; return this.send(message); }
}

let weights;
const decoderData = () => (weights ??= load("decoder.bin"));
const workers = {};
const worker = (kind) => (workers[kind] ??= new Decoder());
const meshes = new Map();

function checked(signal) { if (signal?.aborted) throw new DOMException("no longer wanted", "AbortError"); }

async function mixture(subject) {
  const all = await collection, { code_size: D = all["code.steps"]?.length } = all.header;
  const parts = subject.mix ? subject.mix.map((name, i) => [all.rows.get(name), subject.weights[i]]) : [[all.rows.get(subject.name), 1]];
  if (parts.some(([row]) => row === undefined)) throw new Error(`no shape named ${subject.name ?? subject.mix.join(", ")} here`);
  const code = new Float32Array(D ?? 0), center = [0, 0, 0];
  let logScale = 0, level = 0;
  for (const [row, weight] of parts) {
    for (let k = 0; k < code.length; k++) code[k] += weight * all.codes[row * D + k] * all["code.steps"][k];
    for (let k = 0; k < 3; k++) center[k] += weight * all.centers[3 * row + k];
    level += weight * (all.levels?.[row] ?? 0);
    logScale += weight * Math.log(all.scales[row]);
  }
  const turn = [...all.turns.subarray(4 * parts[0][0], 4 * parts[0][0] + 4)], plain = Math.abs(turn[3]) > 1 - 1e-7;
  return { all, row: subject.mix ? null : parts[0][0], code, level, center, scale: Math.exp(logScale), turn: plain ? null : turn };
}

async function storedMesh(row) {
  if (!meshes.has(row)) {
    meshes.set(row, load(`meshes/${row}.bin`).then((data) => {
      const packet = readPacket(data);
      if (!packet.faces) throw new Error("this shape has no surface");
      const positions = Float32Array.from(packet.steps, (value) => value * packet.header.step), faces = Uint32Array.from(packet.faces);
      return { positions, faces, normals: vertexNormals(positions, faces), cells: packet.header.cells, stored: true };
    }));
  }
  return meshes.get(row);
}

export async function mesh(subject, cells, signal) {
  const { all, row, code, level, center, scale, turn } = await mixture(subject), kind = cells < 40 ? "thumbnails" : "view";
  const stored = row !== null && all.meshed.has(row) && (row !== 0 || !all.header.decoder || cells <= 48 || all.header.modes[subject.name]);
  if (!stored && !all.header.decoder) throw new Error("this page holds meshes of single shapes alone, so they are not mixed");
  checked(signal);
  const made = stored ? { ...(await storedMesh(row)) } : await worker(kind).ask({ code, level, turn, cells });
  checked(signal);
  const header = { name: subject.name, cells: stored ? made.cells : cells, triangles: made.faces.length / 3, form: subject.mix ? "mixture" : "shape", center, scale, extents: extents(made.positions, scale) };
  return { ...made, header };
}

function extents(positions, scale) {
  const low = [9, 9, 9], high = [-9, -9, -9];
  for (let i = 0; i < positions.length; i++) { const k = i % 3; if (positions[i] < low[k]) low[k] = positions[i]; if (positions[i] > high[k]) high[k] = positions[i]; }
  return low.map((value, k) => (high[k] - value) * scale);
}

export async function summary() {
  const { header } = await collection;
  return { ...header, edit: false, file_bytes: null, opened: null };
}

export async function plane() {
  const { points } = await collection, places = [];
  for (let i = 0; i < points.length; i += 2) places.push([points[i], points[i + 1]]);
  return { points: places, method: "static", version: 1, by: "likeness", done: true, progress: 1 };
}

export async function facts(subject) {
  const { header, rows } = await collection;
  if (subject.mix) return { name: "", class: "", mode: "mixture", bytes: null, tags: [] };
  const row = rows.get(subject.name);
  return { name: subject.name, class: header.classes[row], mode: header.modes[subject.name] ?? "code", bytes: header.bytes[row], tags: header.tags[subject.name] ?? [] };
}

export async function neighbours(subject) {
  const { header, near, distances, rows } = await collection;
  const K = near.length / header.names.length, found = [];
  const row = rows.get(subject.mix ? subject.mix[subject.weights.indexOf(Math.max(...subject.weights))] : subject.name);
  for (let i = 0; i < K; i++) found.push({ name: header.names[near[row * K + i]], distance: distances[row * K + i] });
  return { matches: found };
}

export async function section(subject, axis, offset, cells) {
  const { all, code, level, turn, scale } = await mixture(subject), side = 1.05;
  if (!all.header.decoder) throw new Error("this page holds meshes alone, which have no field to slice");
  const { values } = await worker("view").ask({ code, level, turn, section: { axis, offset, side, cells } });
  return { header: { axis, offset, side, cells, scale }, values };
}

export async function download(subject, format, cells) {
  const made = await mesh(subject, Math.min(cells, 128));
  const name = (subject.name ?? "mixture").split("/").pop();
  return { name: `${name}.${format}`, blob: exportMesh(made, format) };
}
