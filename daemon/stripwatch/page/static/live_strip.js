/** A strip of the journal as the map shows it, kept up to date by events. */

import * as api from "./api.js";
import { isUnnamed } from "./format.js";
import { rankOf } from "./grades.js";
import { Side, StripModel } from "./map/model.js";
import { CLOSED, REVIEWS, rowsToDraw, WHOLE } from "./table.js";

const RELOAD_MS = 1500; // after events that change what only the server can work out

export class LiveStrip {
  /**
   * @param {import("./store.js").Store} store
   * @param {string} strip
   * @param {() => void} onChange
   */
  constructor(store, strip, onChange) {
    this.store = store;
    this.onChange = onChange;
    this.detail = null;
    this.error = null;
    this.model = new StripModel(strip, store.config.sides.map((side) => (
      new Side(side, fieldOf(store.config, side)))));
    this._lastSeq = 0; // of what is in the model
    this._tableSeq = 0; // of the latest table, without what events brought since
    this._waiting = []; // events that come while the table is on its way
    this._isLoaded = false;
    this._timers = new Map();
    /** Numbers of the pieces of a defect that is not closed, by its name. */
    this._pieces = new Map();
    /** Those of pieces that came with the table, which does not name their defects. */
    this._unnamed = new Set();
    this._stop = store.listen((name, data) => this._take(name, data));
    this.ready = this._load();
  }

  close() {
    this._stop();
    for (const timer of this._timers.values()) clearTimeout(timer);
    this.isClosed = true;
  }

  async _load() {
    this._isLoaded = false;
    try {
      const [table, detail] = await Promise.all([
        api.stripTable(this.model.strip),
        api.strip(this.model.strip),
      ]);
      if (this.isClosed) return;
      for (const side of this.model.sides) side.defects.size = 0;
      this._unnamed.clear();
      this._takeTable(table);
      this._lastSeq = table.head.last_seq;
      this._takeDetail(detail);
      this.error = null;
      this._isLoaded = true;
      for (const [name, data] of this._waiting.splice(0)) this._take(name, data);
    } catch (error) {
      this.error = error;
      this._later("load", () => this._load());
    }
    this.onChange();
  }

  _takeTable(table) {
    const rows = rowsToDraw(table, (index) => this.store.classId(index));
    for (const { side, defect } of rows) this.model.sides[sideAt(this.model, side)]?.defects
      .add(defect);
    for (const { defect } of rows) {
      this.model.reach(defect.alongMm + defect.lengthMm);
      if (!(defect.flags & (WHOLE | CLOSED))) this._unnamed.add(defect.seq);
    }
    this._tableSeq = table.head.last_seq;
  }

  /** The rows since the latest table, and which pieces are whole defects now. */
  async _catchUp() {
    const table = await api.stripTable(this.model.strip, this._tableSeq).catch(() => null);
    if (this.isClosed) return;
    if (!table) return void this._later("table", () => this._catchUp());
    for (const seq of table.head.superseded ?? []) this._remove(seq);
    this._tableSeq = table.head.last_seq;
    this.onChange();
  }

  _takeDetail(detail) {
    this.detail = detail;
    const { model } = this;
    model.isRunning = !detail.has_ended;
    model.reach((detail.length_m ?? 0) * 1000);
    model.grades = detail.verdict?.grades ?? [];
    for (const side of model.sides) {
      const edges = detail.edges_mm?.[side.name];
      if (edges) side.fieldMm = [Math.min(edges[0], side.fieldMm[0]),
        Math.max(edges[1], side.fieldMm[1])];
      side.gaps = detail.gaps.filter((gap) => gap.side === side.name && gap.from_m !== null)
        .map((gap) => ({ fromMm: gap.from_m * 1000, toMm: gap.to_m * 1000, cause: gap.cause,
          acrossMm: gap.across_mm ?? side.fieldMm }));
      side.zones = zonesOf(detail, side.name, model.grades);
      side.marks = detail.marks.filter((mark) => mark.side === side.name).map(markOf);
    }
  }

  _take(name, data) {
    if (name === "lost" || name === "reset") return void this._load();
    if (name === "status") return this._takePosition(data);
    if (!this._isLoaded) return void this._waiting.push([name, data]);
    if (name === "defects") this._takeRows(data.rows);
    else if (name === "review") this._takeReview(data);
    else if (data?.strip === this.model.strip) this._takeOther(name, data);
    // The daemon's events of frames without a coil id name no strip.
    else if (name === "gap" && data.strip === null && isUnnamed(this.model.strip)) {
      this._takeOther(name, data);
    }
  }

  _takePosition({ strips }) {
    for (const place of strips ?? []) {
      if (place.strip === this.model.strip) this.model.reach((place.length_m ?? 0) * 1000);
    }
  }

  _takeRows(rows) {
    let isAskedAgain = false;
    for (const row of rows) {
      const [seq, , strip, , side, classIndex, downwebM, crosswebMm, lengthMm, widthMm, areaMm2,
        score, , edgeMm, flags, partOf, joined] = row;
      if (strip !== this.model.strip || seq <= this._lastSeq) continue;
      this._lastSeq = seq;
      if (flags & CLOSED) {
        for (const name of [partOf, ...(joined ?? [])]) this._removePieces(name);
        isAskedAgain = this._unnamed.size > 0;
      } else if (!flags) this._pieces.set(partOf, [...(this._pieces.get(partOf) ?? []), seq]);
      if (downwebM === null) continue;
      this.model.reach(downwebM * 1000 + lengthMm);
      this.model.side(side)?.defects.add({
        seq, alongMm: downwebM * 1000, lengthMm, acrossMm: crosswebMm, widthMm, areaMm2, score,
        edgeMm: edgeMm ?? NaN, flags, review: 0, classId: this.store.classId(classIndex),
      });
    }
    if (isAskedAgain) this._later("table", () => this._catchUp());
    this.onChange();
  }

  /** A whole defect takes the place of its pieces. */
  _removePieces(name) {
    for (const seq of this._pieces.get(name) ?? []) this._remove(seq);
    this._pieces.delete(name);
  }

  _remove(seq) {
    this._unnamed.delete(seq);
    this.model.sides.some((side) => side.defects.remove(seq));
  }

  _takeReview(data) {
    const found = this.model.find(data.defect_seq);
    if (!found) return;
    found.side.defects.review[found.index] = Math.max(0, REVIEWS.indexOf(data.verdict));
    this.onChange();
  }

  _takeOther(name, data) {
    if (name === "periodic") this.model.side(data.side)?.setMark(markOf({
      ...data, first_m: data.first_mm / 1000, last_m: data.last_mm / 1000 }));
    if (["gap", "periodic", "strip_end"].includes(name)) {
      this._later("detail", () => this._loadDetail());
    }
    this.onChange();
  }

  async _loadDetail() {
    try {
      this._takeDetail(await api.strip(this.model.strip));
    } catch (error) {
      this.error = error;
    }
    this.onChange();
  }

  /** Once for all events of its kind within some time; without an end of them, too. */
  _later(kind, action) {
    if (this._timers.has(kind) || this.isClosed) return;
    this._timers.set(kind, setTimeout(() => {
      this._timers.delete(kind);
      action();
    }, RELOAD_MS));
  }
}

const sideAt = (model, number) => model.sides.findIndex((side) => (
  side.name === (number === 0 ? "top" : "bottom")));

/** What the cameras of a side see of the strip's width. */
export function fieldOf(config, side) {
  const fields = config.cameras.filter((camera) => camera.side === side)
    .map((camera) => camera.field_mm);
  if (!fields.length) return [0, config.width_mm];
  return [Math.min(...fields.map(([left]) => left)), Math.max(...fields.map(([, right]) => right))];
}

function markOf(mark) {
  return {
    mark: mark.mark, laneMm: mark.lane_mm, periodMm: mark.period_mm, rolls: mark.rolls,
    firstMm: mark.first_m * 1000, lastMm: mark.last_m * 1000,
    isOpen: mark.is_open ?? mark.state !== "closed",
  };
}

/** The best grade everywhere, and what the rules say over it; the worst covers the others. */
function zonesOf(detail, side, grades) {
  if (!detail.verdict) return [];
  const lengthMm = (detail.length_m ?? 0) * 1000;
  const zones = [{ fromMm: 0, toMm: lengthMm, rank: 0, grade: grades[0] }];
  const rules = detail.zones.filter((zone) => zone.side === side).map((zone) => ({
    fromMm: zone.from_m * 1000,
    toMm: zone.to_m * 1000,
    rank: rankOf(zone.grade, grades),
    grade: zone.grade,
  }));
  return [...zones, ...rules.sort((a, b) => a.rank - b.rank)];
}
