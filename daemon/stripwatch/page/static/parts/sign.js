/** A class's sign, name and grade chips. */

import { h, svg } from "../dom.js";
import { rankOf } from "../grades.js";
import { glyphPath } from "../map/glyphs.js";
import { classColour, css } from "../palette.js";

/** The sign of a class on a dark tile, as on the map. */
export function sign(classId) {
  const path = svg("path", { d: glyphPath(classId), fill: css(classColour(classId)) });
  return svg("svg", { viewBox: "0 0 13 13", class: "sign", "aria-hidden": "true",
    "shape-rendering": "crispEdges" }, path);
}

/** @param {import("../store.js").Store} store */
export function className(store, name) {
  const id = store.classNamed(name)?.id ?? 8;
  return h("span", { class: "class" }, sign(id), name);
}

export function gradeChip(grade, grades) {
  if (!grade) return h("span", { class: "muted" }, "–");
  const look = ["", "between", "worst"][rankOf(grade, grades)];
  return h("span", { class: `grade ${look}` }, grade);
}
