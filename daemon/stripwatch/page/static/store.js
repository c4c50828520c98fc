/** What the page knows about the line, and who wants to hear of changes. */

import { Stream } from "./stream.js";
import * as api from "./api.js";

const ROLES = ["look", "review", "change"];

export class Store {
  /** @param {any} me @param {any} state as the server gave them */
  constructor(me, state) {
    this.me = me;
    this.state = state;
    this.isConnected = true;
    this.lostSinceMs = 0;
    this._listeners = new Set();
    this.stream = new Stream(
      `${state.stream}:${state.last_seq}`,
      (name, data) => this._take(name, data),
      (isConnected) => this._connection(isConnected),
    );
  }

  /**
   * @param {(name: string, data: any) => void} listener of events, "connection" and "state"
   * @returns {() => void} ends it
   */
  listen(listener) {
    this._listeners.add(listener);
    return () => this._listeners.delete(listener);
  }

  get config() {
    return this.state.config;
  }

  get classes() {
    return this.state.config.classes;
  }

  /** The id of the class at a place in the configuration; 255 is one that the engine has not. */
  classId(index) {
    return this.classes[index]?.id ?? 8;
  }

  classNamed(name) {
    return this.classes.find((one) => one.name === name);
  }

  may(role) {
    return ROLES.indexOf(this.me.role) >= ROLES.indexOf(role);
  }

  /** Asks for everything that events do not tell: configuration, journal, readers, engine. */
  async refresh() {
    const { status, blind, speed_m_per_min: speed, strips } = this.state;
    const state = await api.state();
    // Events may be newer than an answer that was made before them.
    const isNewer = (status?.t_ns ?? 0) > (state.status?.t_ns ?? 0);
    this.state = isNewer ? { ...state, status, blind, speed_m_per_min: speed, strips } : state;
    this._tell("state", this.state);
  }

  _take(name, data) {
    if (name === "status") Object.assign(this.state, data);
    if (["reset", "daemon_start", "threshold"].includes(name)) this._refreshSoon();
    this._tell(name, data);
  }

  _refreshSoon() {
    clearTimeout(this._soon);
    this._soon = setTimeout(() => this.refresh().catch(() => this._refreshSoon()), 500);
  }

  _connection(isConnected) {
    this.isConnected = isConnected;
    if (!isConnected) this.lostSinceMs = Date.now();
    else this._refreshSoon();
    this._tell("connection", isConnected);
  }

  _tell(name, data) {
    for (const listener of [...this._listeners]) listener(name, data);
  }
}
