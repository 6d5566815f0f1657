// A plane as the bytes of a NumPy file, so that what is made in the page can be sent like any picture.

/** @param {import("./correlate.mjs").Plane} plane @returns {Uint8Array} float64, little-endian */
export function toNpy({ height, width, data }) {
  const start = `{'descr': '<f8', 'fortran_order': False, 'shape': (${height}, ${width}), }`;
  const length = Math.ceil((10 + start.length + 1) / 64) * 64;
  const bytes = new Uint8Array(length + 8 * data.length);
  bytes.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0]);
  new DataView(bytes.buffer).setUint16(8, length - 10, true);
  bytes.set(new TextEncoder().encode(start.padEnd(length - 11) + "\n"), 10);
  const values = new DataView(bytes.buffer, length);
  data.forEach((value, i) => values.setFloat64(8 * i, value, true));
  return bytes;
}
