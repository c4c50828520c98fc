/** What each camera sees: its latest frame with defects, with masks, a few a second. */

import * as api from "../api.js";
import { h, setText } from "../dom.js";
import { camera as cameraName, clock, metres } from "../format.js";

const RETRY_MS = 2000;

export function open(store) {
  const views = store.config.cameras.map((camera) => new CameraView(camera));
  const element = h("div", { class: "view" }, h("header", {}, h("h1", {}, "Cameras"),
    h("span", { class: "muted" }, "frames with defects, as they come")),
  h("div", { class: "cameras" }, views.map((view) => view.element)));
  return { title: "Cameras", element, close: () => views.forEach((view) => view.close()) };
}

class CameraView {
  constructor(camera) {
    const { name } = camera;
    this.name = name;
    this.caption = h("span", { class: "muted" }, "waiting for a frame with defects …");
    this.image = h("img", { alt: `Latest frame with defects of camera ${name}`, hidden: true });
    this.element = h("section", { class: "panel" },
      h("header", {}, h("h2", {}, cameraName(camera)), this.caption), this.image);
    this._ended = new AbortController();
    this._run();
  }

  close() {
    this._ended.abort();
    URL.revokeObjectURL(this.image.src);
  }

  async _run() {
    let after = 0;
    while (!this._ended.signal.aborted) {
      try {
        const picture = await api.livePicture(this.name, after, this._ended.signal);
        if (picture) {
          after = picture.number;
          this._show(picture);
        }
      } catch (error) {
        if (error.name === "AbortError") return;
        setText(this.caption, error.message);
        await new Promise((resolve) => { setTimeout(resolve, RETRY_MS); });
      }
    }
  }

  _show({ blob, strip, capturedNs, downwebM }) {
    const last = this.image.src;
    this.image.src = URL.createObjectURL(blob);
    this.image.hidden = false;
    if (last) URL.revokeObjectURL(last);
    setText(this.caption, [strip, downwebM === null ? null : metres(downwebM), clock(capturedNs)]
      .filter(Boolean).join(" · "));
  }
}
