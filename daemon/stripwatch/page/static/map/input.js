/** Mouse and keys of the map. */

import { GUTTER_PX } from "./overlay.js";

const CLICK_PX_MAX = 4; // of movement: more is a drag
const ZOOM_STEP = 1.5;

/** @param {import("./strip_map.js").StripMap} map */
export function listenToPointer(map) {
  const { canvas } = map;
  let pressed = null;
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left - GUTTER_PX, y: event.clientY - box.top };
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    pressed = { ...place(event), startX: event.clientX, moved: 0 };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    const at = place(event);
    map.showPlace(at);
    if (!pressed) return;
    const byPx = pressed.x - at.x;
    pressed.moved = Math.max(pressed.moved, Math.abs(event.clientX - pressed.startX));
    if (pressed.moved > CLICK_PX_MAX && byPx) {
      map.panBy(byPx * map.mmPerPx);
      pressed.x = at.x;
    }
  });
  canvas.addEventListener("pointerup", (event) => {
    if (pressed && pressed.moved <= CLICK_PX_MAX) map.selectAt(place(event));
    pressed = null;
  });
  canvas.addEventListener("pointercancel", () => { pressed = null; });
  canvas.addEventListener("pointerleave", () => map.showPlace(null));
  canvas.addEventListener("dblclick", (event) => map.zoomBy(0.25, place(event).x));
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey) {
      map.panBy((event.deltaX || event.deltaY) * map.mmPerPx);
    } else {
      map.zoomBy(1.0015 ** event.deltaY, place(event).x);
    }
  }, { passive: false });
}

/** What the keys do; the same table is shown as help. */
export const KEYS = [
  [["ArrowLeft", "ArrowRight"], "← →", "move along the strip (with Shift: a whole window)"],
  [["+", "=", "-"], "+ −", "zoom in, zoom out"],
  [["0"], "0", "the whole strip"],
  [["Home"], "Home", "the start of the strip"],
  [["End", " "], "End", "follow the running strip"],
  [["ArrowUp", "ArrowDown"], "↑ ↓", "select the previous, the next defect"],
  [["Enter"], "Enter", "open the selected defect"],
  [["Escape"], "Esc", "select nothing"],
];

/** @param {import("./strip_map.js").StripMap} map */
export function listenToKeys(map) {
  const actions = {
    ArrowLeft: (shift) => map.panBy(-map.windowMm * (shift ? 0.9 : 0.1)),
    ArrowRight: (shift) => map.panBy(map.windowMm * (shift ? 0.9 : 0.1)),
    "+": () => map.zoomBy(1 / ZOOM_STEP),
    "=": () => map.zoomBy(1 / ZOOM_STEP),
    "-": () => map.zoomBy(ZOOM_STEP),
    0: () => map.showWhole(),
    Home: () => map.panBy(-Infinity),
    End: () => map.setFollowing(true),
    " ": () => map.setFollowing(!map.isFollowing),
    ArrowUp: () => map.selectStep(-1),
    ArrowDown: () => map.selectStep(1),
    Enter: () => map.open(),
    Escape: () => map.select(null),
  };
  map.canvas.addEventListener("keydown", (event) => {
    const action = actions[event.key];
    if (!action || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    action(event.shiftKey);
  });
}
