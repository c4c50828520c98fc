/** One strip: map, defects, coverage, grade. */

import { reportUrl } from "../api.js";
import { fill, h } from "../dom.js";
import {
  dateTime, isUnnamed, metres, millimetres, number, stripTitle, words,
} from "../format.js";
import { StripBrowser } from "../parts/strip_browser.js";
import { verdictPanel } from "../parts/verdict.js";
import { missedMetres } from "./live.js";

export function open(store, { parameters: [strip] }) {
  const view = new StripView(store, strip);
  const close = () => view.browser.close();
  return { title: stripTitle(strip), element: view.element, close };
}

class StripView {
  constructor(store, strip) {
    this.strip = strip;
    this.store = store;
    this.about = h("span", { class: "muted" });
    this.details = h("div", { class: "columns even" });
    this.error = h("p", { class: "note bad", role: "alert" });
    this.browser = new StripBrowser(store, { title: "Strip", onChange: () => this._show() });
    this.browser.show(strip);
    const list = `#/defects?strip=${encodeURIComponent(strip)}`;
    const whatIf = `#/thresholds?strip=${encodeURIComponent(strip)}`;
    this.element = h("div", { class: "view" },
      h("header", {}, h("h1", {}, stripTitle(strip)), this.about,
        isUnnamed(strip) ? null
          : h("a", { class: "button", href: reportUrl(strip), target: "_blank" }, "Report"),
        h("a", { class: "button", href: list }, "List of defects"),
        h("a", { class: "button", href: whatIf }, "What if")),
      this.error, this.browser.elements, this.details);
  }

  _show() {
    const { detail, error } = this.browser.live;
    this.error.textContent = error ? error.message : "";
    if (!detail || detail === this.shown) return;
    this.shown = detail;
    this.about.textContent = [
      dateTime(detail.start_ns), metres(detail.length_m),
      detail.has_ended ? "ended" : "running", `${metres(missedMetres(detail))} not inspected`,
    ].join(" · ");
    fill(this.details, verdictPanel(detail.verdict), coveragePanel(detail), gapsPanel(detail),
      marksPanel(detail));
  }
}

function table(caption, heads, rows, empty) {
  if (!rows.length) return h("p", { class: "muted" }, empty);
  return h("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": caption },
    h("table", {}, h("caption", { class: "hidden-text" }, caption),
      h("thead", {}, h("tr", {}, heads.map(([name, look]) => (
        h("th", { scope: "col", class: look }, name))))),
      h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map((cell, i) => (
        h("td", { class: heads[i][1] }, cell))))))));
}

function panel(title, ...content) {
  return h("section", { class: "panel" }, h("header", {}, h("h2", {}, title)), content);
}

function causes(counts, show) {
  const known = Object.entries(counts).filter(([, value]) => value > 0);
  return known.map(([cause, value]) => `${words(cause)} ${show(value)}`).join(", ") || "–";
}

function coveragePanel(detail) {
  const heads = [["Camera", ""], ["Side", ""], ["Frames", "number"], ["Inspected", "number"],
    ["Not inspected", ""]];
  const rows = detail.coverage.map((one) => [one.camera, one.side,
    number(one.frames_inspected), metres(one.metres_inspected), causes(one.metres_missed, metres)]);
  return panel("Coverage", table("Coverage by camera", heads, rows, "No frame has come."));
}

function gapsPanel(detail) {
  const heads = [["From", "number"], ["To", "number"], ["Length", "number"], ["Side", ""],
    ["Camera", ""], ["Cause", ""]];
  const rows = detail.gaps.map((gap) => [metres(gap.from_m), metres(gap.to_m),
    metres(gap.length_m), gap.side, gap.camera, words(gap.cause)]);
  return panel("Gaps", table("Gaps", heads, rows, "All of the strip was inspected."));
}

function marksPanel(detail) {
  const heads = [["Period", "number"], ["Roll", ""], ["Side", ""], ["Across", "number"],
    ["From", "number"], ["To", "number"], ["Teeth", "number"]];
  const rows = detail.marks.map((mark) => [millimetres(mark.period_mm),
    mark.rolls.join(", ") || "none that is known", mark.side, millimetres(mark.lane_mm),
    metres(mark.first_m), metres(mark.last_m),
    `${mark.teeth} of ${mark.teeth + mark.missed_teeth}`]);
  const none = "No defects repeat at one distance.";
  return panel("Roll marks", table("Roll marks", heads, rows, none));
}
