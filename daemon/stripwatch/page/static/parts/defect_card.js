/** A defect as a card of a gallery: picture, class, place, size. */

import { pictureUrl } from "../api.js";
import { h } from "../dom.js";
import { millimetres, place } from "../format.js";
import { defectLink } from "../routes.js";
import { className } from "./sign.js";

/** @param {import("../store.js").Store} store @param {any} item of the server's list */
export function defectCard(store, item) {
  const image = h("img", {
    src: pictureUrl(item.picture_seq, "crop"), loading: "lazy",
    alt: `${item.class_name} at ${place(item.downweb_m)}`,
    onerror: () => image.replaceWith(h("span", { class: "none" }, "no picture")),
  });
  return h("li", {}, h("a", { href: defectLink(item.seq) }, image, h("div", {},
    className(store, item.class_name),
    h("p", { class: "muted small" },
      `${item.strip ?? "no strip"}, ${place(item.downweb_m)}, ${item.side}`),
    h("p", { class: "small" },
      `${millimetres(item.length_mm)} × ${millimetres(item.width_mm)}`))));
}
