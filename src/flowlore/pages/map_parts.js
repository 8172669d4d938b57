// What the map of flows is made of: words for numbers, columns from bytes, discs, and what lies inside a line.
"use strict";
function decoded(column) {
  const text = atob(column.data), bytes = new Uint8Array(text.length);
  for (let place = 0; place < text.length; place++) bytes[place] = text.charCodeAt(place);
  const kinds = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, f4: Float32Array, f8: Float64Array };
  return new kinds[column.kind](bytes.buffer);
}
const grouped = (value) => value.toLocaleString("en-US");
function scaled(value, units, step) {
  let place = 0;
  while (value >= step * 0.9995 && place < units.length - 1) { value /= step; place++; }
  return `${Number(value.toPrecision(3))} ${units[place]}`.trim();
}
const bytesWords = (value) => (Number.isNaN(value) ? "?" : scaled(value, ["B", "kB", "MB", "GB", "TB"], 1000));
const secondsWords = (value) => Number.isNaN(value) ? "?" : value === 0 ? "0 s" : value < 1e-3
  ? `${Number((value * 1e6).toPrecision(3))} µs` : value < 1 ? `${Number((value * 1e3).toPrecision(3))} ms`
  : value < 120 ? `${Number(value.toPrecision(3))} s` : `${Math.round(value / 60)} min`;
const timeWords = (ms) => Number.isNaN(ms) ? "" : new Date(ms).toISOString().replace("T", " ").replace("Z", "");
function disc(radius) {
  const offsets = [], reach = Math.ceil(radius);
  for (let down = -reach; down <= reach; down++) for (let across = -reach; across <= reach; across++) {
    const cover = Math.min(1, Math.max(0, radius + 0.5 - Math.hypot(across, down)));
    if (cover > 0.02) offsets.push([across, down, Math.round(256 * cover)]);
  }
  return offsets;
}
const parts = (colour) => [1, 3, 5].map((place) => parseInt(colour.slice(place, place + 2), 16));
function inside(atX, atY, corners) {
  let isIn = false;
  for (let one = 0, other = corners.length - 1; one < corners.length; other = one++) {
    const [oneX, oneY] = corners[one], [otherX, otherY] = corners[other];
    if (oneY > atY !== otherY > atY && atX < ((otherX - oneX) * (atY - oneY)) / (otherY - oneY) + oneX) isIn = !isIn;
  }
  return isIn;
}
// A cell of a CSV file; one that a spreadsheet would take for a formula is made text.
const quoted = (words) => `"${(/^[=+\-@\t\r]/.test(words) ? `'${words}` : words).replaceAll('"', '""')}"`;
