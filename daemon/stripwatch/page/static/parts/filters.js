/** The filters of the list of defects; they are kept in the address, so that it can be sent. */

import { h } from "../dom.js";

const NUMBERS = [["score_min", "Score from", "0 to 1", 0.05],
  ["length_mm_min", "Length from", "mm", 1], ["width_mm_min", "Width from", "mm", 1],
  ["area_mm2_min", "Area from", "mm²", 1],
  ["edge_mm_max", "To edge at most", "mm", 1]];
const TIMES = [["from", "From"], ["to", "To"]];

export class Filters {
  /**
   * @param {import("../store.js").Store} store
   * @param {URLSearchParams} query
   * @param {() => void} onChange
   */
  constructor(store, query, onChange) {
    const chosen = query.getAll("class");
    const field = (label, input) => h("label", {}, label, input);
    const choice = (name, options) => h("select", { name }, options.map(([value, text]) => (
      h("option", { value, selected: query.get(name) === value }, text))));
    this.element = h("form", { class: "form", role: "search", "aria-label": "Filters",
      onsubmit: (event) => event.preventDefault(), oninput: () => this._soon(onChange) },
    h("fieldset", {}, h("legend", {}, "Class"), store.classes.map(({ name }) => (
      h("label", { class: "row" }, h("input", { type: "checkbox", name: "class", value: name,
        checked: chosen.includes(name) }), name)))),
    field("Side", choice("side", [["", "both"], ["top", "top"], ["bottom", "bottom"]])),
    field("Strip", h("input", { name: "strip", value: query.get("strip") ?? "", size: 14 })),
    NUMBERS.map(([name, label, unit, step]) => field(`${label}, ${unit}`, h("input", {
      type: "number", name, min: 0, step, value: query.get(name) ?? "", size: 6 }))),
    TIMES.map(([name, label]) => field(label, h("input", { type: "datetime-local", name,
      value: query.get(name) ?? "" }))),
    field("Review", choice("review", [["", "all"], ["none", "not reviewed"], ["right", "right"],
      ["wrong", "wrong"], ["other", "other class"]])),
    h("button", { type: "button", onclick: () => this._clear(onChange) }, "Clear"));
  }

  /** As the address has them: names, and values that are not empty. */
  query() {
    const query = new URLSearchParams();
    for (const [name, value] of new FormData(this.element)) {
      if (value !== "") query.append(name, String(value));
    }
    return query;
  }

  /** As the server wants them. */
  parameters() {
    const parameters = {};
    for (const [name, value] of this.query()) {
      if (name === "class") parameters.class = [...(parameters.class ?? []), value];
      else if (name === "from" || name === "to") {
        // Nanoseconds exceed what a number holds exactly: six zeros follow the milliseconds.
        parameters[`${name}_ns`] = `${new Date(value).getTime()}000000`;
      } else parameters[name] = value;
    }
    return parameters;
  }

  _soon(onChange) {
    clearTimeout(this._timer);
    this._timer = setTimeout(onChange, 250);
  }

  _clear(onChange) {
    for (const field of this.element.elements) {
      if (field.type === "checkbox") field.checked = false;
      else if (field.name) field.value = "";
    }
    onChange();
  }
}
