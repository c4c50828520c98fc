/** A defect as a card of a gallery: picture, class, place, size. */

import { pictureUrl } from "../api.js";
import { h } from "../dom.js";
import { coil, millimetres, place } from "../format.js";
import { defectLink } from "../routes.js";
import { className } from "./sign.js";

const NEW_MS = 30_000;
const AGAIN_MS = 2000;

/** @param {import("../store.js").Store} store @param {any} item of the server's list */
export function defectCard(store, item) {
  const url = pictureUrl(item.picture_seq, "crop");
  const none = h("span", { class: "none" }, "no picture");
  const image = h("img", {
    src: url, loading: "lazy", alt: `${item.class_name} at ${place(item.downweb_m)}`,
    onload: () => none.replaceWith(image),
    onerror: () => {
      image.replaceWith(none);
      // Pictures are written beside the events, a little later.
      if (Date.now() - item.t_ns / 1e6 > NEW_MS) return;
      image.loading = "eager"; // it is not in the page meanwhile
      setTimeout(() => { image.src = url; }, AGAIN_MS);
    },
  });
  return h("li", {}, h("a", { href: defectLink(item.seq) }, image, h("div", {},
    className(store, item.class_name),
    h("p", { class: "muted small" },
      `${coil(item.strip) ?? "no strip"}, ${place(item.downweb_m)}, ${item.side}`),
    h("p", { class: "small" },
      `${millimetres(item.length_mm)} × ${millimetres(item.width_mm)}`))));
}
