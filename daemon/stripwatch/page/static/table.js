/** The server's table of a strip's defects: a head in JSON, then columns as they lie in memory. */

const TYPES = { f64: Float64Array, f32: Float32Array, u8: Uint8Array };

/** Bits of `flags`. */
export const WHOLE = 1;
export const CLOSED = 2;
export const SUPERSEDED = 4;
export const ROLL_MARK = 8;

export const REVIEWS = ["none", "right", "wrong", "other"];

/**
 * @param {ArrayBuffer} body
 * @returns {{head: any, columns: Record<string, any>}}
 */
export function readTable(body) {
  const headBytes = new DataView(body).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(body, 4, headBytes)));
  const columns = {};
  for (const { name, type, offset } of head.columns) {
    columns[name] = new TYPES[type](body, offset, head.count);
  }
  return { head, columns };
}

/**
 * Its rows that are to be drawn: not superseded, and with a place along the strip.
 * @param {(index: number) => number} classIdOf from the place of a class in the configuration
 * @returns {{side: number, defect: import("./map/defects.js").Defect}[]}
 */
export function rowsToDraw({ head, columns }, classIdOf) {
  const rows = [];
  for (let i = 0; i < head.count; i += 1) {
    if (columns.flags[i] & SUPERSEDED || Number.isNaN(columns.downweb_m[i])) continue;
    rows.push({
      side: columns.side[i],
      defect: {
        seq: columns.seq[i],
        alongMm: columns.downweb_m[i] * 1000,
        lengthMm: columns.length_mm[i],
        acrossMm: columns.crossweb_mm[i],
        widthMm: columns.width_mm[i],
        classId: classIdOf(columns.class_index[i]),
        score: columns.score[i],
        areaMm2: columns.area_mm2[i],
        edgeMm: columns.edge_mm[i],
        flags: columns.flags[i],
        review: columns.review[i],
      },
    });
  }
  return rows;
}
