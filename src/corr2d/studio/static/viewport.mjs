// Which part of the picture is seen: one for both canvases, in the picture's own coordinates.

const MOST = 160; // CSS pixels for one of the picture's

/** @typedef {{top: number, left: number, bottom: number, right: number}} Box */

export class Viewport {
  scale = 1;
  y = 0;
  x = 0; // the point in the middle
  /** @type {Box} */ #box = { top: 0, left: 0, bottom: 1, right: 1 };
  #height = 1;
  #width = 1;
  #fitted = true;
  /** @type {Set<() => void>} */ #listeners = new Set();

  /** @param {() => void} listener */
  listen(listener) {
    this.#listeners.add(listener);
  }

  /** What there is to see. @param {Box} box */
  setBox(box) {
    if (JSON.stringify(box) === JSON.stringify(this.#box)) return;
    this.#box = box;
    if (this.#fitted) this.fit();
  }

  /** Of both canvases. @param {number} height @param {number} width CSS pixels */
  setSize(height, width) {
    [this.#height, this.#width] = [height, width];
    if (this.#fitted) this.fit();
    else this.#tell();
  }

  get isFitted() {
    return this.#fitted;
  }

  fit() {
    const { top, left, bottom, right } = this.#box;
    this.scale = this.#whole();
    this.y = (top + bottom) / 2;
    this.x = (left + right) / 2;
    this.#fitted = true;
    this.#tell();
  }

  /** @param {number} factor @param {number} [dy] @param {number} [dx] the point that stays, from the middle in CSS pixels */
  zoom(factor, dy = 0, dx = 0) {
    const scale = Math.min(Math.max(this.scale * factor, this.#whole()), Math.max(MOST, this.#whole()));
    if (scale <= this.#whole()) return this.fit();
    this.y += dy / this.scale - dy / scale;
    this.x += dx / this.scale - dx / scale;
    this.scale = scale;
    this.#fitted = false;
    this.#keepInside();
  }

  /** @param {number} dy @param {number} dx CSS pixels */
  pan(dy, dx) {
    if (this.#fitted) return;
    this.y -= dy / this.scale;
    this.x -= dx / this.scale;
    this.#keepInside();
  }

  /** Bring a point into sight, and close enough to read numbers if asked. @param {number} y @param {number} x @param {number} [scale] */
  show(y, x, scale) {
    if (scale !== undefined && scale > this.#whole()) {
      this.scale = scale;
      [this.y, this.x] = [y, x];
      this.#fitted = false;
      return this.#keepInside();
    }
    const [halfY, halfX] = [(0.5 * this.#height) / this.scale - 1, (0.5 * this.#width) / this.scale - 1];
    if (this.#fitted || (Math.abs(y - this.y) < halfY && Math.abs(x - this.x) < halfX)) return;
    this.y = Math.min(Math.max(this.y, y - halfY), y + halfY);
    this.x = Math.min(Math.max(this.x, x - halfX), x + halfX);
    this.#keepInside();
  }

  /** CSS pixels to the picture's coordinates. @param {number} top @param {number} left @returns {[number, number]} */
  at(top, left) {
    return [(top - this.#height / 2) / this.scale + this.y, (left - this.#width / 2) / this.scale + this.x];
  }

  /** Where a coordinate lies on the canvas. @param {number} y @param {number} x @returns {[number, number]} */
  place(y, x) {
    return [(y - this.y) * this.scale + this.#height / 2, (x - this.x) * this.scale + this.#width / 2];
  }

  #whole() {
    const { top, left, bottom, right } = this.#box;
    return Math.max(1e-3, Math.min((this.#height - 4) / (bottom - top), (this.#width - 4) / (right - left), 64));
  }

  #keepInside() {
    const { top, left, bottom, right } = this.#box;
    this.y = Math.min(Math.max(this.y, top), bottom);
    this.x = Math.min(Math.max(this.x, left), right);
    this.#tell();
  }

  #tell() {
    for (const listener of this.#listeners) listener();
  }
}
