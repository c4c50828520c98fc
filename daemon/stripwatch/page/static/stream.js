/** Live updates. Survives the network's and the server's absence, and loses nothing. */

const NAMES = ["defects", "gap", "periodic", "strip_start", "strip_end", "daemon_start",
  "daemon_stop", "review", "threshold", "status", "lost", "reset"];
/** A status comes once a second, so this much silence is an absence. */
const SILENT_MS_MAX = 4000;
const RETRY_MS = 1500;

export class Stream {
  /**
   * @param {string} place after which events are wanted, STREAM:SEQ
   * @param {(name: string, data: any) => void} onEvent
   * @param {(isConnected: boolean) => void} onConnection
   */
  constructor(place, onEvent, onConnection) {
    this.place = place;
    this.isConnected = null;
    this._onEvent = onEvent;
    this._onConnection = onConnection;
    this._heardMs = performance.now();
    this._open();
    this._watch = setInterval(() => this._tick(), 500);
  }

  close() {
    clearInterval(this._watch);
    this._source.close();
  }

  _open() {
    this._source = new EventSource(`/api/events?after=${encodeURIComponent(this.place)}`);
    this._openedMs = performance.now();
    for (const name of NAMES) {
      this._source.addEventListener(name, (event) => this._take(name, event));
    }
  }

  _take(name, event) {
    this._heardMs = performance.now();
    if (event.lastEventId) this.place = event.lastEventId;
    const data = JSON.parse(event.data);
    if (name === "reset") this.place = `${data.stream}:${data.last_seq}`;
    this._setConnected(true);
    this._onEvent(name, data);
  }

  /** The browser reconnects by itself only after some errors, and never to a silent server. */
  _tick() {
    const now = performance.now();
    if (now - this._heardMs > SILENT_MS_MAX) this._setConnected(false);
    const isLost = this._source.readyState === EventSource.CLOSED;
    const isSilent = now - Math.max(this._heardMs, this._openedMs) > 2 * SILENT_MS_MAX;
    if ((isLost && now - this._openedMs > RETRY_MS) || isSilent) {
      this._source.close();
      this._open();
    }
  }

  _setConnected(isConnected) {
    if (this.isConnected === isConnected) return;
    this.isConnected = isConnected;
    this._onConnection(isConnected);
  }
}
