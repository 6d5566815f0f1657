// A state of the page to what is seen of it: the output's values, its scale, and its pixels.

import { paint, paintColours, scaleOf } from "./colour.mjs";
import { Edits } from "./edits.mjs";
import { isZeroGain } from "./kernel-edit.mjs";

/**
 * @typedef {import("./correlate.mjs").Plane} Plane
 * @typedef {{plane: Plane, channels: Plane[] | null}} Picture  gray, and red, green and blue where it has them
 * @typedef {{display: "auto" | "signed" | "gray", white: number, dark: boolean}} Look
 * @typedef {Plane & {geometry: import("./correlate.mjs").Geometry}} Output
 * @typedef {{output: Output, colours: Output[] | null, scale: import("./colour.mjs").Scale & {beyond: number}, image: ImageData}} Rendered
 *
 * @typedef {object} Job
 * @property {Picture} picture
 * @property {import("./correlate.mjs").Kernel} kernel
 * @property {import("./correlate.mjs").Options} options
 * @property {Look} look
 */

export class Renderer {
  #gray = new Edits();
  #channels = [new Edits(), new Edits(), new Edits()];

  /**
   * The next call writes over the outputs of this one.
   * @param {Job} job @param {number} [most]  multiplications; where more are needed nothing is returned
   * @returns {Rendered | null}
   */
  run({ picture: { plane, channels }, kernel, options, look: { display, white, dark } }, most = Infinity) {
    const area = (plane.height * plane.width) / options.stride ** 2;
    if (area * this.#gray.taps(plane, kernel, options) > most) return null;
    const output = this.#gray.run(plane, kernel, options);
    const scale = scaleOf(output, display, white, isZeroGain(kernel), dark);
    if (!channels || display === "gray" || scale.signed) return { output, colours: null, scale, image: paint(output, scale) };
    if (area * channels.reduce((sum, channel, c) => sum + this.#channels[c].taps(channel, kernel, options), 0) > most) return null;
    const colours = channels.map((channel, c) => this.#channels[c].run(channel, kernel, options));
    return { output, colours, scale, image: paintColours(colours, scale) };
  }

  /** Go on from what another renderer made. @param {Job} job @param {Rendered} rendered */
  adopt({ picture: { plane, channels }, kernel, options }, { output, colours }) {
    this.#gray.adopt(plane, kernel, options, output);
    colours?.forEach((colour, c) => this.#channels[c].adopt(/** @type {Plane[]} */ (channels)[c], kernel, options, colour));
  }

  /** How many edits have been added up since the last whole sums. */
  get edits() {
    return Math.max(...[this.#gray, ...this.#channels].map((edits) => edits.times));
  }
}
