// One canvas: a plane in its colours, its numbers when near enough, what is outside the picture, and marks.

import { colourOf, palette } from "./colour.mjs";
import { short } from "./kernel-text.mjs";

const NUMBERS_FROM = 30; // CSS pixels a pixel needs to hold its number
const WEIGHTS_FROM = 46; // ... and its weight below

/**
 * @typedef {object} Scene
 * @property {import("./correlate.mjs").Plane} plane  the values that are written when near enough
 * @property {ImageData} image  the plane in its colours
 * @property {import("./colour.mjs").Scale} scale
 * @property {[number, number]} origin  where the plane's corner lies, in the picture's coordinates
 * @property {number} step  how much of the picture one of its pixels covers
 * @property {{height: number, width: number} | null} inside  the picture proper, where the plane has padding
 *
 * @typedef {{row: number, column: number, weight?: number}} Mark  a pixel of the scene, and what multiplies it
 */

export class View {
  /** @type {Scene | null} */ scene = null;
  /** @type {Mark[]} */ marks = [];
  /** @type {HTMLCanvasElement} */ #painted = document.createElement("canvas");
  #waiting = false;
  #pattern = /** @type {CanvasPattern | null} */ (null);
  /** @type {(() => void)[]} */ #afterPaint = [];

  /** @param {HTMLCanvasElement} canvas @param {import("./viewport.mjs").Viewport} viewport */
  constructor(canvas, viewport) {
    this.canvas = canvas;
    this.viewport = viewport;
    viewport.listen(() => this.draw());
  }

  /** @param {Scene} scene */
  show(scene) {
    this.scene = scene;
    const { height, width } = scene.plane;
    if (this.#painted.width !== width) this.#painted.width = width;
    if (this.#painted.height !== height) this.#painted.height = height;
    /** @type {CanvasRenderingContext2D} */ (this.#painted.getContext("2d")).putImageData(scene.image, 0, 0);
    this.draw();
  }

  /** @param {Mark[]} marks */
  mark(marks) {
    if (JSON.stringify(marks) === JSON.stringify(this.marks)) return;
    this.marks = marks;
    this.draw();
  }

  /** Draw with the next frame; tell when it is done. @param {() => void} [then] */
  draw(then) {
    if (then) this.#afterPaint.push(then);
    if (this.#waiting) return;
    this.#waiting = true;
    requestAnimationFrame(() => {
      this.#waiting = false;
      this.#paint();
      this.#afterPaint.splice(0).forEach((done) => done());
    });
  }

  /** The plane's pixel at a place of the canvas, as fractions. @param {number} top @param {number} left @returns {[number, number]} */
  pixelAt(top, left) {
    const { origin, step } = /** @type {Scene} */ (this.scene);
    const [y, x] = this.viewport.at(top, left);
    return [(y - origin[0]) / step, (x - origin[1]) / step];
  }

  #paint() {
    const { canvas, scene } = this;
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = canvas;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    if (!scene) return;
    const size = this.viewport.scale * scene.step;
    const [top, left] = this.viewport.place(...scene.origin);
    context.imageSmoothingEnabled = size * ratio < 1;
    context.imageSmoothingQuality = "high";
    context.drawImage(this.#painted, left, top, scene.plane.width * size, scene.plane.height * size);
    if (scene.inside) this.#veil(context, scene, top, left, size);
    if (size >= NUMBERS_FROM) this.#numbers(context, scene, top, left, size, width, height);
    this.#outline(context, scene, size);
  }

  /** Padding is drawn, and drawn as something that is not in the picture. */
  #veil(context, scene, top, left, size) {
    const { inside, plane, origin } = scene;
    const [y, x] = this.viewport.place(0, 0);
    const [h, w] = [inside.height * size, inside.width * size];
    if (origin[0] || origin[1] || plane.height !== inside.height || plane.width !== inside.width) {
      context.save();
      context.beginPath();
      context.rect(left, top, plane.width * size, plane.height * size);
      context.rect(x, y, w, h);
      context.clip("evenodd");
      context.fillStyle = this.#hatching(context);
      context.fillRect(left, top, plane.width * size, plane.height * size);
      context.restore();
    }
    context.lineWidth = 1;
    context.strokeStyle = scene.scale.dark ? "rgba(255,255,255,.55)" : "rgba(0,0,0,.55)";
    context.strokeRect(x - 0.5, y - 0.5, w + 1, h + 1);
  }

  #hatching(context) {
    if (this.#pattern) return this.#pattern;
    const tile = document.createElement("canvas");
    tile.width = tile.height = 8;
    const pen = /** @type {CanvasRenderingContext2D} */ (tile.getContext("2d"));
    pen.fillStyle = "rgba(128,128,128,.25)";
    pen.fillRect(0, 0, 8, 8);
    pen.strokeStyle = "rgba(255,255,255,.5)";
    pen.lineWidth = 1.5;
    for (const shift of [-8, 0, 8]) {
      pen.beginPath();
      pen.moveTo(shift, 8);
      pen.lineTo(shift + 8, 0);
      pen.stroke();
    }
    this.#pattern = context.createPattern(tile, "repeat");
    return this.#pattern;
  }

  #numbers(context, scene, top, left, size, width, height) {
    const { plane, scale } = scene;
    const colours = palette(scale);
    const weights = new Map(this.marks.map(({ row, column, weight }) => [row * plane.width + column, weight]));
    const first = [Math.max(0, Math.floor(-top / size)), Math.max(0, Math.floor(-left / size))];
    const last = [Math.min(plane.height, Math.ceil((height - top) / size)), Math.min(plane.width, Math.ceil((width - left) / size))];
    const large = Math.min(18, Math.max(10, size / 3.4));
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineWidth = 1;
    for (let row = first[0]; row < last[0]; row++) {
      for (let column = first[1]; column < last[1]; column++) {
        const at = row * plane.width + column;
        const { ink } = colourOf(plane.data[at], scale, colours);
        const [y, x] = [top + (row + 0.5) * size, left + (column + 0.5) * size];
        const weight = size >= WEIGHTS_FROM ? weights.get(at) : undefined;
        context.strokeStyle = "rgba(128,128,128,.35)";
        context.strokeRect(x - size / 2, y - size / 2, size, size);
        context.fillStyle = ink;
        context.font = `${large}px system-ui, sans-serif`;
        context.fillText(short(plane.data[at], size < 40 ? 4 : 5), x, weight === undefined ? y : y - large * 0.45);
        if (weight !== undefined) {
          context.font = `600 ${Math.max(9, large * 0.72)}px system-ui, sans-serif`;
          context.fillText(`× ${short(weight, 5)}`, x, y + large * 0.65);
        }
      }
    }
  }

  /** White and black, which is seen on anything. */
  #outline(context, { origin, step }, size) {
    if (!this.marks.length) return;
    const { marks, viewport } = this;
    const rows = marks.map(({ row }) => row);
    const columns = marks.map(({ column }) => column);
    const box = [Math.min(...rows), Math.min(...columns), Math.max(...rows) + 1, Math.max(...columns) + 1];
    const [top, left] = viewport.place(origin[0] + box[0] * step, origin[1] + box[1] * step);
    const [bottom, right] = viewport.place(origin[0] + box[2] * step, origin[1] + box[3] * step);
    // At least a few screen pixels, or a single pixel of a photograph would not be seen.
    const grow = Math.max(0, (9 - Math.min(right - left, bottom - top)) / 2);
    for (const [width, colour] of /** @type {[number, string][]} */ ([[4, "#fff"], [2, "#111"]])) {
      context.lineWidth = width;
      context.strokeStyle = colour;
      context.strokeRect(left - grow, top - grow, right - left + 2 * grow, bottom - top + 2 * grow);
    }
    const holes = (box[2] - box[0]) * (box[3] - box[1]) > marks.length;
    if (holes && size >= 5) {
      // Dilation: which of the pixels in the box take part.
      for (const { row, column } of marks) {
        const [y, x] = viewport.place(origin[0] + row * step, origin[1] + column * step);
        context.lineWidth = 3;
        context.strokeStyle = "#fff";
        context.strokeRect(x + 1, y + 1, size - 2, size - 2);
        context.lineWidth = 1;
        context.strokeStyle = "#111";
        context.strokeRect(x + 1, y + 1, size - 2, size - 2);
      }
    }
  }
}
