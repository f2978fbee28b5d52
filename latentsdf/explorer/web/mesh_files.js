// Meshes as files, in the units of their sources.

export function exportMesh({ positions, normals, faces, header }, format) {
  const source = Float32Array.from(positions, (value, i) => value * header.scale + header.center[i % 3]);
  return format === "stl" ? stl(source, faces) : glb(source, normals, faces);
}

function stl(positions, faces) {
  const view = new DataView(new ArrayBuffer(84 + 50 * (faces.length / 3)));
  view.setUint32(80, faces.length / 3, true);
  for (let f = 0, at = 84; f < faces.length; f += 3, at += 50) {
    const corners = [0, 1, 2].map((i) => positions.subarray(3 * faces[f + i], 3 * faces[f + i] + 3)), [a, b, c] = corners;
    const u = [0, 1, 2].map((i) => b[i] - a[i]), v = [0, 1, 2].map((i) => c[i] - a[i]);
    const n = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]], length = Math.hypot(...n) || 1;
    n.forEach((value, i) => view.setFloat32(at + 4 * i, value / length, true));
    corners.forEach((corner, k) => corner.forEach((value, i) => view.setFloat32(at + 12 + 12 * k + 4 * i, value, true)));
  }
  return new Blob([view.buffer], { type: "model/stl" });
}

function glb(positions, normals, faces) {
  const unit = Float32Array.from(normals, (value) => value / 127), low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity];
  for (let i = 0; i < unit.length; i += 3) {
    const length = Math.hypot(unit[i], unit[i + 1], unit[i + 2]) || 1;
    for (let k = 0; k < 3; k++) unit[i + k] /= length;
  }
  positions.forEach((value, i) => { low[i % 3] = Math.min(low[i % 3], value); high[i % 3] = Math.max(high[i % 3], value); });
  const parts = [faces, positions, unit], views = [];
  let length = 0;
  for (const part of parts) { views.push({ buffer: 0, byteOffset: length, byteLength: part.byteLength, target: part === faces ? 34963 : 34962 }); length += part.byteLength; }
  const count = positions.length / 3;
  const scene = {
    asset: { version: "2.0", generator: "latentsdf" }, scene: 0, scenes: [{ nodes: [0] }], nodes: [{ mesh: 0 }],
    meshes: [{ primitives: [{ attributes: { POSITION: 1, NORMAL: 2 }, indices: 0 }] }],
    accessors: [{ bufferView: 0, componentType: 5125, count: faces.length, type: "SCALAR" }, { bufferView: 1, componentType: 5126, count, type: "VEC3", min: low, max: high }, { bufferView: 2, componentType: 5126, count, type: "VEC3" }],
    bufferViews: views, buffers: [{ byteLength: length }],
  };
  let text = JSON.stringify(scene);
  while (text.length % 4) text += " ";
  const json = new TextEncoder().encode(text), head = (size, kind) => new Uint32Array([size, kind]);
  return new Blob([new Uint32Array([0x46546c67, 2, 28 + json.length + length]), head(json.length, 0x4e4f534a), json, head(length, 0x004e4942), ...parts], { type: "model/gltf-binary" });
}
