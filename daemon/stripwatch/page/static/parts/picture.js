/** A defect's picture: what the camera saw, the mask in the class's colour, the box. */

import * as api from "../api.js";
import { fill, h } from "../dom.js";
import { classColour, css } from "../palette.js";

const MASK_SHARE = 0.45;
const AGAIN_MS = 1000;
const NOT_KEPT = "No picture of this defect has been kept.";

/** The height of a picture so that the form of a review fits into the window with it. */
export const besideAnswers = (most) => Math.min(most, Math.max(innerHeight - 420, 200));

/** The picture of an address; null where it is kept no more. */
async function load(url) {
  const response = await fetch(url);
  if (response.status === 404) return null;
  if (!response.ok) throw new Error(`the server answers ${response.status}`);
  return createImageBitmap(await response.blob());
}

export class Picture {
  /** @param {{heightMax?: number, mmPerPx?: [number, number]}} [options] mm of a line, a pixel */
  constructor({ heightMax = 420, mmPerPx } = {}) {
    this.heightMax = heightMax;
    this.mmPerPx = mmPerPx;
    this.isMaskShown = true;
    this.box = null; // [x, y, width, height] in the frame, as it is drawn now
    this.canvas = h("canvas", { role: "img" });
    this.element = h("figure", { class: "picture" });
  }

  /** @param {any} detail of GET /api/defects/{seq}, or null for none */
  async show(detail, classId) {
    clearTimeout(this._timer);
    this.detail = detail;
    this.box = detail?.box_px ?? null;
    if (!detail) return void this._say("Select a defect to see it.");
    const seq = detail.item.picture_seq;
    const colour = classColour(classId);
    this.origin = detail.pictures.find(({ kind }) => kind === "crop");
    if (!this.origin) return void this._lacking(detail, classId);
    const hasMask = detail.pictures.some(({ kind }) => kind === "mask");
    try {
      const [crop, mask] = await Promise.all([
        load(api.pictureUrl(seq, "crop")),
        hasMask ? load(api.pictureUrl(seq, "mask")).catch(() => null) : null]);
      if (this.detail !== detail) return;
      if (!crop) return void this._say(NOT_KEPT);
      this.layers = { crop, tint: mask && tinted(mask, colour) };
      this.colour = css(colour);
      this._place(crop);
    } catch {
      if (this.detail !== detail) return;
      this._say("The picture cannot be loaded. Trying again …");
      this._again(detail, classId);
    }
  }

  setMask(isShown) {
    this.isMaskShown = isShown;
    this.draw();
  }

  draw() {
    if (!this.layers) return;
    const { crop, tint } = this.layers;
    const context = this.canvas.getContext("2d");
    context.imageSmoothingEnabled = false;
    context.drawImage(crop, 0, 0, this.canvas.width, this.canvas.height);
    if (tint && this.isMaskShown) {
      context.drawImage(tint, 0, 0, this.canvas.width, this.canvas.height);
    }
    if (!this.box) return;
    const [x, y, width, height] = this.box.map((value) => value * this.scale);
    const [left, top] = [x - this.origin.x * this.scale, y - this.origin.y * this.scale];
    for (const [style, thick] of [["#000", 4], [this.colour, 2]]) {
      context.strokeStyle = style;
      context.lineWidth = thick;
      context.strokeRect(left - 1, top - 1, width + 2, height + 2);
    }
  }

  /** Pixels of the frame under a place of the canvas. */
  framePlace(event) {
    const box = this.canvas.getBoundingClientRect();
    const k = crop(this).width / box.width;
    return [this.origin.x + (event.clientX - box.left) * k,
      this.origin.y + (event.clientY - box.top) * k];
  }

  _place(image) {
    const room = Math.max(this.element.clientWidth, 200) - 16;
    const most = Math.min(room / image.width, this.heightMax / image.height);
    // Whole steps keep each pixel of the camera square and sharp.
    this.scale = most >= 1 ? Math.floor(most) : most;
    this.canvas.width = Math.round(image.width * this.scale);
    this.canvas.height = Math.round(image.height * this.scale);
    const { item } = this.detail;
    this.canvas.setAttribute("aria-label",
      `Picture of a defect of class ${item.class_name}, with its mask and box`);
    fill(this.element, this.canvas, this.mmPerPx && h("figcaption", {},
      `${(image.width * this.mmPerPx[1]).toFixed(0)} × `
      + `${(image.height * this.mmPerPx[0]).toFixed(0)} mm, strip runs downwards`));
    this.draw();
  }

  /** Pictures are written beside the events, a little later: the server knows which still come. */
  _lacking(detail, classId) {
    this._say(detail.picture_comes ? "The picture is being written …" : NOT_KEPT);
    if (detail.picture_comes) this._again(detail, classId);
  }

  _again(detail, classId) {
    this._timer = setTimeout(async () => {
      if (!this.element.isConnected) return; // another view is open
      const again = await api.defect(detail.item.seq).catch(() => null);
      if (this.detail !== detail) return;
      if (again) this.show(again, classId);
      else this._again(detail, classId);
    }, AGAIN_MS);
  }

  _say(text) {
    this.layers = null;
    fill(this.element, h("p", {}, text));
  }
}

const crop = (picture) => picture.layers.crop;

/** The mask as a layer of the class's colour. */
function tinted(mask, [red, green, blue]) {
  const layer = new OffscreenCanvas(mask.width, mask.height);
  const context = layer.getContext("2d");
  context.drawImage(mask, 0, 0);
  const image = context.getImageData(0, 0, mask.width, mask.height);
  for (let i = 0; i < image.data.length; i += 4) {
    const alpha = image.data[i] > 127 ? 255 * MASK_SHARE : 0;
    image.data.set([red, green, blue, alpha], i);
  }
  context.putImageData(image, 0, 0);
  return layer;
}
