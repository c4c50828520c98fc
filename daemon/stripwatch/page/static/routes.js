/** Which view an address after the `#` names. Each view is loaded when it is first looked at. */

const VIEWS = [
  [/^$/, () => import("./views/live.js")],
  [/^line$/, () => import("./views/line.js")],
  [/^defects$/, () => import("./views/defects.js")],
  [/^defects\/(\d+)$/, () => import("./views/defect.js")],
  [/^strips$/, () => import("./views/strips.js")],
  [/^strips\/([^/]+)$/, () => import("./views/strip.js")],
  [/^compare\/([^/]+)\/([^/]+)$/, () => import("./views/compare.js")],
  [/^review$/, () => import("./views/review.js")],
  [/^thresholds$/, () => import("./views/thresholds.js")],
  [/^cameras$/, () => import("./views/cameras.js")],
];

/** What the header offers: address, name. */
export const NAVIGATION = [
  ["", "Live"],
  ["line", "Line"],
  ["defects", "Defects"],
  ["strips", "Strips"],
  ["review", "Review"],
  ["thresholds", "Thresholds"],
  ["cameras", "Cameras"],
];

/**
 * The parts of an address: `#/defects?class=pits` -> path "defects", query class=pits.
 * @param {string} hash
 */
export function parse(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  return { path, query: new URLSearchParams(query) };
}

/**
 * The view of an address.
 * @returns {{load: () => Promise<any>, parameters: string[]} | null}
 */
export function find(path) {
  for (const [pattern, load] of VIEWS) {
    const match = pattern.exec(path);
    if (match) return { load, parameters: match.slice(1).map(decodeURIComponent) };
  }
  return null;
}

export const defectLink = (seq) => `#/defects/${seq}`;
export const stripLink = (strip) => `#/strips/${encodeURIComponent(strip)}`;
export const compareLink = (one, other) => (
  `#/compare/${encodeURIComponent(one)}/${encodeURIComponent(other)}`);
