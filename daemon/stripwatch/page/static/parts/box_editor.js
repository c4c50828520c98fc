/** Correcting a defect's box on its picture: by mouse, or by the arrow keys. */

const LEAST_PX = 2;

export class BoxEditor {
  /** @param {import("./picture.js").Picture} picture @param {() => void} onChange */
  constructor(picture, onChange) {
    this.picture = picture;
    this.onChange = onChange;
    this.isActive = false;
    picture.element.addEventListener("pointerdown", (event) => this._press(event));
    picture.element.addEventListener("pointermove", (event) => this._drag(event));
    picture.element.addEventListener("pointerup", () => { this._corner = null; });
  }

  /** @param {boolean} isActive */
  setActive(isActive) {
    this.isActive = isActive && Boolean(this.picture.box && this.picture.layers);
    this.picture.element.classList.toggle("editing", this.isActive);
  }

  /** Arrows move the box, with Shift its lower right corner. @returns {boolean} it was used */
  key(event) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const by = step[event.key];
    if (!this.isActive || !by) return false;
    const [x, y, width, height] = this.picture.box;
    this._set(event.shiftKey ? [x, y, width + by[0], height + by[1]]
      : [x + by[0], y + by[1], width, height]);
    return true;
  }

  _press(event) {
    if (!this.isActive || event.target !== this.picture.canvas) return;
    this.picture.canvas.setPointerCapture(event.pointerId);
    this._corner = this.picture.framePlace(event);
    event.preventDefault();
  }

  _drag(event) {
    if (!this._corner) return;
    const place = this.picture.framePlace(event);
    const [left, right] = [this._corner[0], place[0]].sort((a, b) => a - b);
    const [top, bottom] = [this._corner[1], place[1]].sort((a, b) => a - b);
    this._set([left, top, right - left, bottom - top]);
  }

  /** Whole pixels inside of the frame. */
  _set([x, y, width, height]) {
    const [lines, pixels] = this.picture.detail.frame_px;
    const left = Math.min(Math.max(Math.round(x), 0), pixels - LEAST_PX);
    const top = Math.min(Math.max(Math.round(y), 0), lines - LEAST_PX);
    this.picture.box = [left, top,
      Math.min(Math.max(Math.round(width), LEAST_PX), pixels - left),
      Math.min(Math.max(Math.round(height), LEAST_PX), lines - top)];
    this.picture.draw();
    this.onChange();
  }
}
