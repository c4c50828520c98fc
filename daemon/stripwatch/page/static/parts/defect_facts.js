/** All that is known of one defect. */

import { h } from "../dom.js";
import {
  area, camera, clock, coil, dateTime, millimetres, milliseconds, number, place, plural,
} from "../format.js";
import { defectLink, stripLink } from "../routes.js";
import { className } from "./sign.js";

const WHOLE = {
  defect: (event, wholeSeq) => {
    if (event.is_whole) return "whole, in one piece";
    return wholeSeq ? h("a", { href: defectLink(wholeSeq) }, `a piece of defect ${wholeSeq}`)
      : "a piece, not closed yet";
  },
  defect_closed: (event) => `whole, of ${plural(event.pieces, "piece")}`
    + (event.cut_by.length ? `; cut by ${event.cut_by.join(", ")}` : ""),
};

/** @param {import("../store.js").Store} store @param {any} detail of GET /api/defects/{seq} */
export function defectFacts(store, detail) {
  const { item, event } = detail;
  const facts = [
    ["Class", className(store, item.class_name)],
    ["Score", `${number(item.score, 2)}, peak ${number(item.peak, 2)}`],
    ["Size", `${millimetres(item.length_mm)} along × ${millimetres(item.width_mm)} across`],
    ["Area", area(item.area_mm2)],
    ["Place", `${place(item.downweb_m)} along, ${millimetres(item.crossweb_mm)} from the left`],
    ["To the edge", millimetres(item.edge_mm)],
    ["Camera", camera({ name: item.camera, side: item.side })],
    ["Strip", item.strip ? h("a", { href: stripLink(item.strip) }, coil(item.strip)) : "–"],
    ["Defect", WHOLE[item.type](event, detail.whole_seq)],
    ["Captured", dateTime(item.t_ns)],
    ["Latency", `${milliseconds(detail.latency_ms)} from capture to journal`],
    ["Model", event.model ?? store.state.status?.model ?? "–"],
    ["Event", `${item.seq}, journalled ${clock(detail.journalled_ns)}`],
  ];
  return h("dl", { class: "facts" }, facts.map(([name, value]) => (
    [h("dt", {}, name), h("dd", {}, value)])));
}

/** What people said of it, oldest first. */
export function reviewList(reviews) {
  if (!reviews.length) return h("p", { class: "muted" }, "Nobody has reviewed this defect.");
  return h("ul", {}, reviews.map((one) => h("li", {},
    `${one.who}, ${dateTime(one.t_ns)}: `,
    h("strong", {}, one.said ? `is ${one.said}` : one.verdict),
    one.box_px ? ", box corrected" : "", one.note ? `, “${one.note}”` : "")));
}
