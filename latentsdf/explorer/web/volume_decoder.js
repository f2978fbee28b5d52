// A volumes decoder in plain JavaScript (latentsdf/decoder/volumes.py): code -> volumes, displacements and shifts of a
// head; value = head([y, V_1(y), V_2(y), ...]), y = x + W(x). Points are evaluated in blocks, so that loops are long.

const BLOCK = 256;
const ACTIVATIONS = {
  silu: (h, n) => { for (let i = 0; i < n; i++) h[i] = h[i] / (1 + Math.exp(-h[i])); },
  softplus: (h, n) => { for (let i = 0; i < n; i++) { const x = 100 * h[i]; h[i] = x > 20 ? h[i] : Math.log1p(Math.exp(x)) / 100; } },
  sine: (h, n) => { for (let i = 0; i < n; i++) h[i] = Math.sin(30 * h[i]); },
  relu: (h, n) => { for (let i = 0; i < n; i++) h[i] = Math.max(0, h[i]); },
};

export class VolumeDecoder {
  constructor(packet) {
    this.config = packet.header;
    this.packet = packet;
    const { width, depth, resolutions, channels } = this.config;
    this.inputs = 3 + channels.reduce((a, b) => a + b, 0);
    this.layers = Array.from({ length: depth }, (_, i) => ({ weight: this.plain(`network.layers.${i}.weight`), bias: this.plain(`network.layers.${i}.bias`) }));
    this.out = { weight: this.plain("network.out.weight"), bias: this.plain("network.out.bias")[0] };
    this.means = resolutions.map((_, i) => this.plain(`mean.${i}`));
    this.hidden = [new Float32Array(Math.max(width, this.inputs) * BLOCK), new Float32Array(Math.max(width, this.inputs) * BLOCK)];
  }

  // A tensor whose rows are not numbers of a code, as floats.
  plain(name) {
    const found = this.packet[name];
    if (found instanceof Float32Array) return found;
    const step = this.packet[`${name}.step`];
    if (step) return Float32Array.from(found, (value) => value * step[0]);
    const rows = this.packet[`${name}.rows`], columns = this.packet[`${name}.columns`], K = rows.length, F = columns.length;
    const whole = wide(this.packet, name), out = new Float32Array(K * F);
    for (let k = 0; k < K; k++) for (let f = 0; f < F; f++) out[k * F + f] = whole[f * K + k] * rows[k] * columns[f];
    return out;
  }

  // Sum over k of code[k] weight[k, f], of a matrix that is stored transposed.
  product(name, code, start) {
    const { packet } = this, rows = packet[`${name}.rows`];
    if (!rows) {  // a small matrix, as it is: (K, F)
      const weight = packet[name], K = code.length, F = weight.length / K, out = start ? Float32Array.from(start) : new Float32Array(F);
      for (let k = 0; k < K; k++) for (let f = 0; f < F; f++) out[f] += code[k] * weight[k * F + f];
      return out;
    }
    const columns = packet[`${name}.columns`], whole = packet[name], K = rows.length, F = columns.length;
    const scaled = new Float64Array(K), out = new Float32Array(F);
    for (let k = 0; k < K; k++) scaled[k] = code[k] * rows[k];
    for (let f = 0, at = 0; f < F; f++) {
      let sum = 0;
      for (let k = 0; k < K; k++) sum += scaled[k] * whole[at++];
      out[f] = sum;
    }
    const places = packet[`${name}.places`], values = packet[`${name}.values`];
    for (let i = 0; places && i < places.length; i++) out[Math.floor(places[i] / K)] += scaled[places[i] % K] * (values[i] - whole[places[i]]);
    for (let f = 0; f < F; f++) out[f] = out[f] * columns[f] + (start ? start[f] : 0);
    return out;
  }

  // The field of a code.
  condition(code) {
    const { resolutions, warp, width, depth } = this.config;
    const volumes = resolutions.map((_, i) => this.product(`basis.${i}`, code, this.means[i]));
    const bend = warp ? this.product("warp", code) : null;
    const shift = this.plain("network.shift.weight"), shifts = new Float32Array(width * depth), D = code.length;
    for (let j = 0; j < shifts.length; j++) { let sum = 0; for (let k = 0; k < D; k++) sum += shift[j * D + k] * code[k]; shifts[j] = sum; }
    return { volumes, bend, shifts };
  }

  // Values at points (3 N).
  evaluate(state, points) {
    const count = points.length / 3, out = new Float32Array(count);
    for (let start = 0; start < count; start += BLOCK) this.block(state, points, start, Math.min(BLOCK, count - start), out);
    return out;
  }

  block(state, points, start, n, out) {
    const { resolutions, channels, warp, width, activation } = this.config;
    let [a, b] = this.hidden;
    for (let p = 0; p < n; p++) {
      let x = points[3 * (start + p)], y = points[3 * (start + p) + 1], z = points[3 * (start + p) + 2];
      if (warp) { read(state.bend, warp, 3, x, y, z, scratch, 0, 1); x += scratch[0]; y += scratch[1]; z += scratch[2]; }
      a[p] = x; a[BLOCK + p] = y; a[2 * BLOCK + p] = z;
      let row = 3;
      for (let i = 0; i < resolutions.length; i++) { read(state.volumes[i], resolutions[i], channels[i], x, y, z, a, row * BLOCK + p, BLOCK); row += channels[i]; }
    }
    let inputs = this.inputs;
    for (let l = 0; l < this.layers.length; l++) {
      const { weight, bias } = this.layers[l];
      for (let i = 0; i < width; i++) {
        const at = i * BLOCK, first = bias[i] + state.shifts[l * width + i];
        for (let p = 0; p < n; p++) b[at + p] = first;
        let j = 0;
        for (; j + 3 < inputs; j += 4) {
          const w0 = weight[i * inputs + j], w1 = weight[i * inputs + j + 1], w2 = weight[i * inputs + j + 2], w3 = weight[i * inputs + j + 3];
          const r0 = j * BLOCK, r1 = r0 + BLOCK, r2 = r1 + BLOCK, r3 = r2 + BLOCK;
          for (let p = 0; p < n; p++) b[at + p] += w0 * a[r0 + p] + w1 * a[r1 + p] + w2 * a[r2 + p] + w3 * a[r3 + p];
        }
        for (; j < inputs; j++) { const w = weight[i * inputs + j], r = j * BLOCK; for (let p = 0; p < n; p++) b[at + p] += w * a[r + p]; }
      }
      ACTIVATIONS[activation](b, width * BLOCK);
      [a, b] = [b, a];
      inputs = width;
    }
    for (let p = 0; p < n; p++) {
      let sum = this.out.bias;
      for (let j = 0; j < width; j++) sum += this.out.weight[j] * a[j * BLOCK + p];
      out[start + p] = sum;
    }
  }
}

const scratch = new Float32Array(3);

// Trilinear features of a volume (R, R, R, C) over [-1, 1]^3, border values continued outside.
function read(volume, R, C, x, y, z, out, place, stride) {
  const top = R - 1, px = clamp((x + 1) * 0.5 * top, top), py = clamp((y + 1) * 0.5 * top, top), pz = clamp((z + 1) * 0.5 * top, top);
  const i = Math.min(px | 0, top - 1), j = Math.min(py | 0, top - 1), k = Math.min(pz | 0, top - 1), u = px - i, v = py - j, w = pz - k;
  const at = ((i * R + j) * R + k) * C, dj = R * C, di = R * dj;
  const w00 = (1 - u) * (1 - v), w01 = (1 - u) * v, w10 = u * (1 - v), w11 = u * v;
  for (let c = 0; c < C; c++) {
    const q = at + c;
    out[place + c * stride] = (1 - w) * (w00 * volume[q] + w01 * volume[q + dj] + w10 * volume[q + di] + w11 * volume[q + di + dj])
      + w * (w00 * volume[q + C] + w01 * volume[q + dj + C] + w10 * volume[q + di + C] + w11 * volume[q + di + dj + C]);
  }
}

const clamp = (value, top) => (value < 0 ? 0 : value > top ? top : value);

// Integers with those beyond one byte put in.
export function wide(packet, name) {
  const places = packet[`${name}.places`];
  if (!places) return packet[name];
  const out = Int16Array.from(packet[name]);
  places.forEach((place, i) => { out[place] = packet[`${name}.values`][i]; });
  return out;
}
