/** Pixels written straight into memory: on a PC without a GPU far quicker than a canvas' shapes. */

/** A colour as it lies in memory: alpha, blue, green, red from the highest byte. */
export function packed([red, green, blue]) {
  return (0xff000000 | (blue << 16) | (green << 8) | red) >>> 0;
}

/** A colour over another, with a share from 0 to 1. */
export function mixed(over, under, share) {
  return over.map((value, i) => Math.round(value * share + under[i] * (1 - share)));
}

export class Raster {
  /**
   * @param {number} width px
   * @param {number} height px
   * @param {ArrayBufferLike} [buffer] of an ImageData of this size
   */
  constructor(width, height, buffer = new ArrayBuffer(4 * width * height)) {
    this.width = width;
    this.height = height;
    this.pixels = new Uint32Array(buffer);
  }

  fill(colour) {
    this.pixels.fill(colour);
  }

  /** A filled rectangle of whole pixels, clipped; the ends are outside of it. */
  rect(left, top, right, bottom, colour) {
    const { pixels, width } = this;
    const x0 = left < 0 ? 0 : left;
    const x1 = right > width ? width : right;
    const y1 = bottom > this.height ? this.height : bottom;
    if (x0 >= x1) return;
    for (let y = top < 0 ? 0 : top; y < y1; y += 1) {
      const row = y * width;
      // A loop: `fill` costs a call for each of the many rows of two pixels.
      for (let x = x0; x < x1; x += 1) pixels[row + x] = colour;
    }
  }

  /** Stripes at 45 degrees that lie still when the strip scrolls by `phase` pixels. */
  hatch(left, top, right, bottom, colour, under, phase) {
    const { pixels, width } = this;
    const x0 = Math.max(left, 0);
    const x1 = Math.min(right, width);
    for (let y = Math.max(top, 0); y < Math.min(bottom, this.height); y += 1) {
      for (let x = x0; x < x1; x += 1) {
        pixels[y * width + x] = ((x + y + phase) & 7) < 3 ? colour : under;
      }
    }
  }

  /** A sign around a point, clipped. @param {Int8Array} offsets x, y, x, y, ... */
  glyph(offsets, x, y, colour) {
    const { pixels, width, height } = this;
    for (let i = 0; i < offsets.length; i += 2) {
      const px = x + offsets[i];
      const py = y + offsets[i + 1];
      if (px >= 0 && px < width && py >= 0 && py < height) pixels[py * width + px] = colour;
    }
  }
}
