/** The keys, in a dialog that `?` opens. */

import { h } from "../dom.js";
import { KEYS as MAP_KEYS } from "../map/input.js";
import { NAVIGATION } from "../routes.js";

const REVIEW_KEYS = [
  [[], "R", "right"],
  [[], "W", "wrong: not a defect"],
  [[], "1 … 9", "another class"],
  [[], "B", "correct the box; arrows move it, with Shift they size it"],
  [[], "N", "write a note"],
  [[], "← →", "the defect before, the next one"],
];

let dialog = null;

export function showHelp() {
  if (!dialog) {
    dialog = h("dialog", { "aria-label": "Keys" },
      section("Views", NAVIGATION.map(([, name], i) => [[], `Alt ${i + 1}`, name])),
      section("Strip map", MAP_KEYS),
      section("Review", REVIEW_KEYS),
      h("form", { method: "dialog" }, h("button", { class: "primary" }, "Close")));
    document.body.append(dialog);
  }
  dialog.showModal();
}

function section(name, keys) {
  return [h("h2", {}, name), h("dl", { class: "facts" }, keys.map(([, key, what]) => (
    [h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)])))];
}

export function isTyping(event) {
  return event.target.closest?.("input, select, textarea, dialog") !== null;
}

/** `?` for the keys, Alt and a digit for a view. */
export function listenForHelp() {
  addEventListener("keydown", (event) => {
    if (event.altKey && !event.ctrlKey && NAVIGATION[Number(event.code.slice(-1)) - 1]
      && event.code.startsWith("Digit")) {
      event.preventDefault();
      location.hash = `#/${NAVIGATION[Number(event.code.slice(-1)) - 1][0]}`;
    } else if (event.key === "?" && !isTyping(event)) showHelp();
  });
}
