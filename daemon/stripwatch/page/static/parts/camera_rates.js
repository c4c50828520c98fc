/** Frames per second of each camera, from what its status counts from second to second. */

const BETWEEN_S_MIN = 0.5; // after a stall two statuses come at once: a burst is no rate
const SHARE = 0.4; // of a new value in the mean, so that a figure can be read

export class CameraRates {
  constructor() {
    this._last = null;
    this._rates = new Map();
  }

  /** @param {any} status */
  take(status) {
    const last = this._last;
    const seconds = last ? (status.t_ns - last.t_ns) / 1e9 : Infinity;
    if (seconds < BETWEEN_S_MIN) return;
    this._last = status;
    if (!last) return;
    for (const [name, camera] of Object.entries(status.cameras)) {
      const before = last.cameras[name];
      if (!before || before.session !== camera.session) continue;
      const rate = (camera.inspected - before.inspected) / seconds;
      const mean = this._rates.get(name);
      this._rates.set(name, mean === undefined ? rate : mean + SHARE * (rate - mean));
    }
  }

  of(name) {
    return this._rates.get(name) ?? null;
  }
}
