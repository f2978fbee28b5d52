// A worker that decodes: messages are { id, decoder } once, then { id, code, level, turn, cells } or { id, code, level, turn, section }.

import { readPacket } from "./packets.js";
import { sampleField, surfaceNet, vertexNormals } from "./surface_nets.js";
import { VolumeDecoder } from "./volume_decoder.js";

let decoder;

onmessage = ({ data }) => {
  try {
    if (data.decoder) { decoder = new VolumeDecoder(readPacket(data.decoder)); postMessage({ id: data.id }); return; }
    const state = decoder.condition(data.code), level = data.level ?? 0;
    const field = (points) => decoder.evaluate(state, points).map((value) => value - level);
    if (data.section) postMessage({ id: data.id, values: section(field, data.section, data.turn) });
    else postMessage({ id: data.id, ...mesh(field, data.cells, data.turn) });
  } catch (error) { postMessage({ id: data.id, error: error.message }); }
};

function mesh(field, cells, turn) {
  const { positions, faces } = surfaceNet(sampleField(field, cells), cells);
  if (!faces.length) throw new Error("no surface at this fineness");
  if (turn) rotate(positions, turn);
  return { positions, faces, normals: vertexNormals(positions, faces) };
}

// Values (n, n) on a plane across an axis of the view frame (latentsdf/explorer/field_sections.py).
function section(field, { axis, offset, side, cells }, turn) {
  const [a, b] = [0, 1, 2].filter((i) => i !== axis), points = new Float32Array(3 * cells * cells);
  for (let row = 0; row < cells; row++) for (let column = 0; column < cells; column++) {
    const at = 3 * (row * cells + column);
    points[at + axis] = offset;
    points[at + a] = side * (2 * column / (cells - 1) - 1);
    points[at + b] = side * (2 * row / (cells - 1) - 1);
  }
  if (turn) rotate(points, [-turn[0], -turn[1], -turn[2], turn[3]]);
  for (let i = 0; i < points.length; i++) points[i] = Math.max(-1, Math.min(1, points[i]));
  return field(points);
}

// Rotate points by the inverse of a quaternion (x, y, z, w), in place: from the unit frame to the axes of the source.
function rotate(points, [qx, qy, qz, qw]) {
  for (let i = 0; i < points.length; i += 3) {
    const [x, y, z] = [points[i], points[i + 1], points[i + 2]];
    const tx = 2 * (-qy * z + qz * y), ty = 2 * (-qz * x + qx * z), tz = 2 * (-qx * y + qy * x);
    points[i] = x + qw * tx + (-qy * tz + qz * ty);
    points[i + 1] = y + qw * ty + (-qz * tx + qx * tz);
    points[i + 2] = z + qw * tz + (-qx * ty + qy * tx);
  }
}
