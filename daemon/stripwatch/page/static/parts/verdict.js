/** A strip's verdict: its grade, and each rule with what was measured. */

import { h } from "../dom.js";
import { metres, number, unit, words } from "../format.js";
import { gradeChip } from "./sign.js";

export function verdictPanel(verdict) {
  if (!verdict) {
    return h("section", { class: "panel" }, h("h2", {}, "Grade"),
      h("p", { class: "muted" }, "The configuration has no rules for grades."));
  }
  return h("section", { class: "panel" },
    h("header", {}, h("h2", {}, "Grade"), gradeChip(verdict.grade, verdict.grades),
      h("span", { class: "muted" },
        `rules: ${verdict.rule_set}${verdict.is_final ? "" : ", so far"}`)),
    h("table", {}, h("thead", {}, h("tr", {}, ["Rule", "Measure"].map((name) => (
      h("th", { scope: "col" }, name))), ["Value", "Limit"].map((name) => (
      h("th", { scope: "col", class: "number" }, name))), h("th", { scope: "col" }, "Result"))),
    h("tbody", {}, verdict.rules.map((rule) => ruleRow(rule, verdict.grades)))),
    h("p", {}, `Usable: ${metres(verdict.usable_m)} of ${metres(verdict.length_m)}`
      + (verdict.cut_m.length ? `, after ${number(verdict.cut_m.length)} cuts` : "")),
    verdict.remarks.map((remark) => h("p", { class: "muted small" }, remark)));
}

function ruleRow(rule, grades) {
  const decimals = Number.isInteger(rule.value) ? 0 : 2;
  return h("tr", {},
    h("td", { class: "wrap" }, rule.rule), h("td", {}, words(rule.measure)),
    h("td", { class: "number" }, unit(rule.value, rule.unit, decimals)),
    h("td", { class: "number" }, unit(rule.limit, rule.unit)),
    h("td", {}, rule.exceeded ? gradeChip(rule.grade, grades) : "kept"));
}
