/** A sign for each class, so that colour is not the only difference; told apart also in grey. */

/** Whether a place is inside of a sign; x and y from -1 to 1, y down. */
const SHAPES = [
  (x, y) => Math.max(Math.abs(x), Math.abs(y)) <= 0.8, // square
  (x, y) => Math.abs(x) + Math.abs(y) <= 1.05, // diamond
  (x, y) => Math.abs(x) <= (y + 1) * 0.5 && y <= 0.8, // triangle
  (x, y) => { // ring
    const r = Math.hypot(x, y);
    return r <= 1 && r >= 0.45;
  },
  (x, y) => { // cross
    const [across, down] = [Math.abs(x), Math.abs(y)];
    return Math.abs(across - down) <= 0.38 && across + down <= 1.75;
  },
  (x, y) => Math.min(Math.abs(x), Math.abs(y)) <= 0.34, // plus
  (x, y) => Math.abs(x) <= (1 - y) * 0.5 && y >= -0.8, // triangle on its tip
  (x, y) => Math.abs(x) <= 0.9 && Math.abs(Math.abs(y) - 0.6) <= 0.3, // bars
];

const made = new Map();

/**
 * The pixels of each class's sign as x, y, x, y, ... from its middle.
 * @param {number} size px, odd
 * @returns {Int8Array[]} by class id - 1, modulo its length
 */
export function glyphs(size) {
  if (!made.has(size)) made.set(size, SHAPES.map((isInside) => pixelsOf(isInside, size)));
  return made.get(size);
}

function pixelsOf(isInside, size) {
  const half = (size - 1) / 2;
  const offsets = [];
  for (let y = -half; y <= half; y += 1) {
    for (let x = -half; x <= half; x += 1) {
      if (isInside(x / half, y / half)) offsets.push(x, y);
    }
  }
  return Int8Array.from(offsets);
}

/** The sign of a class as the path of an SVG of 13 x 13, for legends and tables. */
export function glyphPath(classId) {
  const offsets = glyphs(13)[(classId - 1) % SHAPES.length];
  let path = "";
  for (let i = 0; i < offsets.length; i += 2) {
    path += `M${offsets[i] + 6} ${offsets[i + 1] + 6}h1v1h-1z`;
  }
  return path;
}
