// Packets of the server: the length of a JSON text, the text, and arrays behind it (latentsdf/explorer/packets.py).

const TYPES = {
  float32: Float32Array, uint32: Uint32Array, uint16: Uint16Array, int16: Int16Array, uint8: Uint8Array, int8: Int8Array,
};

export function readPacket(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const arrays = {};
  for (const [name, place] of Object.entries(header.arrays)) {
    const count = place.shape.reduce((a, b) => a * b, 1);
    arrays[name] = new TYPES[place.dtype](buffer, 4 + length + place.offset, count);
  }
  delete header.arrays;
  return { header, ...arrays };
}
