// Mesh of a field: sampled on a lattice, twice as coarse first and finer only near the surface, and joined by surface
// nets (Gibson 1998): a vertex in each cell that the surface crosses, at the mean of its crossings.

// Samples (cells + 1)^3 over [-1, 1]^3, first index along x; `field` maps points (3 N) to values (N).
export function sampleField(field, cells) {
  const half = cells / 2, coarse = sampleAll(field, half), C = half + 1, R = cells + 1;
  const values = new Float32Array(R ** 3), near = [], reach = 4.4 / half;
  for (let i = 0, at = 0; i < R; i++) for (let j = 0; j < R; j++) for (let k = 0; k < R; k++, at++) {
    const i0 = i >> 1, j0 = j >> 1, k0 = k >> 1, i1 = i0 + (i & 1), j1 = j0 + (j & 1), k1 = k0 + (k & 1);
    const v = (coarse[(i0 * C + j0) * C + k0] + coarse[(i1 * C + j0) * C + k0] + coarse[(i0 * C + j1) * C + k0] + coarse[(i1 * C + j1) * C + k0]
      + coarse[(i0 * C + j0) * C + k1] + coarse[(i1 * C + j0) * C + k1] + coarse[(i0 * C + j1) * C + k1] + coarse[(i1 * C + j1) * C + k1]) / 8;
    values[at] = v;
    if (Math.abs(v) < reach && !(i % 2 === 0 && j % 2 === 0 && k % 2 === 0)) near.push(at);
  }
  const points = new Float32Array(3 * near.length);
  near.forEach((at, n) => {
    points[3 * n] = 2 * Math.floor(at / (R * R)) / cells - 1;
    points[3 * n + 1] = 2 * (Math.floor(at / R) % R) / cells - 1;
    points[3 * n + 2] = 2 * (at % R) / cells - 1;
  });
  const found = field(points);
  near.forEach((at, n) => { values[at] = found[n]; });
  return values;
}

function sampleAll(field, cells) {
  const R = cells + 1, points = new Float32Array(3 * R ** 3);
  for (let i = 0, at = 0; i < R; i++) for (let j = 0; j < R; j++) for (let k = 0; k < R; k++) {
    points[at++] = 2 * i / cells - 1; points[at++] = 2 * j / cells - 1; points[at++] = 2 * k / cells - 1;
  }
  return field(points);
}

// Positions (3 V) and faces (3 F), outward; the border of the cube counts as outside.
export function surfaceNet(values, cells) {
  const R = cells + 1, rows = new Int32Array(cells ** 3).fill(-1), positions = [], faces = [], v = new Float32Array(8);
  const value = (i, j, k) => {
    const x = values[(i * R + j) * R + k];
    return i && j && k && i < cells && j < cells && k < cells ? x : Math.max(x, 1e-6);
  };
  for (let i = 0; i < cells; i++) for (let j = 0; j < cells; j++) for (let k = 0; k < cells; k++) {
    let mask = 0;
    for (let c = 0; c < 8; c++) { v[c] = value(i + (c >> 2), j + ((c >> 1) & 1), k + (c & 1)); if (v[c] < 0) mask |= 1 << c; }
    if (mask === 0 || mask === 255) continue;
    let x = 0, y = 0, z = 0, count = 0;
    for (const [a, b] of EDGES) {
      if ((v[a] < 0) === (v[b] < 0)) continue;
      const t = v[a] / (v[a] - v[b]);
      x += (a >> 2) + t * ((b >> 2) - (a >> 2)); y += ((a >> 1) & 1) + t * (((b >> 1) & 1) - ((a >> 1) & 1)); z += (a & 1) + t * ((b & 1) - (a & 1));
      count++;
    }
    rows[(i * cells + j) * cells + k] = positions.length / 3;
    positions.push(2 * (i + x / count) / cells - 1, 2 * (j + y / count) / cells - 1, 2 * (k + z / count) / cells - 1);
  }
  const cell = (i, j, k) => rows[(i * cells + j) * cells + k];
  const quad = (a, b, c, d, flip) => (flip ? faces.push(a, c, b, a, d, c) : faces.push(a, b, c, a, c, d));
  for (let i = 1; i < cells; i++) for (let j = 1; j < cells; j++) for (let k = 1; k < cells; k++) {
    const inside = value(i, j, k) < 0;
    if (inside !== value(i + 1, j, k) < 0) quad(cell(i, j - 1, k - 1), cell(i, j, k - 1), cell(i, j, k), cell(i, j - 1, k), !inside);
    if (inside !== value(i, j + 1, k) < 0) quad(cell(i - 1, j, k - 1), cell(i - 1, j, k), cell(i, j, k), cell(i, j, k - 1), !inside);
    if (inside !== value(i, j, k + 1) < 0) quad(cell(i - 1, j - 1, k), cell(i, j - 1, k), cell(i, j, k), cell(i - 1, j, k), !inside);
  }
  return { positions: new Float32Array(positions), faces: new Uint32Array(faces) };
}

const EDGES = [[0, 1], [2, 3], [4, 5], [6, 7], [0, 2], [1, 3], [4, 6], [5, 7], [0, 4], [1, 5], [2, 6], [3, 7]];

// Normals (3 V) of 8 bits: area-weighted means of those of the faces.
export function vertexNormals(positions, faces) {
  const sums = new Float32Array(positions.length), out = new Int8Array(positions.length);
  for (let f = 0; f < faces.length; f += 3) {
    const [a, b, c] = [3 * faces[f], 3 * faces[f + 1], 3 * faces[f + 2]];
    const ux = positions[b] - positions[a], uy = positions[b + 1] - positions[a + 1], uz = positions[b + 2] - positions[a + 2];
    const vx = positions[c] - positions[a], vy = positions[c + 1] - positions[a + 1], vz = positions[c + 2] - positions[a + 2];
    const n = [uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx];
    for (const at of [a, b, c]) for (let i = 0; i < 3; i++) sums[at + i] += n[i];
  }
  for (let i = 0; i < sums.length; i += 3) {
    const length = Math.hypot(sums[i], sums[i + 1], sums[i + 2]) || 1;
    for (let k = 0; k < 3; k++) out[i + k] = Math.round(127 * sums[i + k] / length);
  }
  return out;
}
