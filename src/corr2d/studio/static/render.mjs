// A state of the page to what is seen of it: the output's values, its scale, and its pixels.

import { paint, paintColours, scaleOf } from "./colour.mjs";
import { Edits } from "./edits.mjs";
import { isZeroGain } from "./kernel-edit.mjs";

/**
 * @typedef {import("./correlate.mjs").Plane} Plane
 * @typedef {{plane: Plane, channels: Plane[] | null}} Picture  gray, and red, green and blue where it has them
 * @typedef {{display: "auto" | "signed" | "gray", white: number, dark: boolean}} Look
 * @typedef {Plane & {geometry: import("./correlate.mjs").Geometry}} Output
 * @typedef {{output: Output, scale: import("./colour.mjs").Scale & {beyond: number}, image: ImageData}} Rendered
 */

export class Renderer {
  #gray = new Edits();
  #channels = [new Edits(), new Edits(), new Edits()];

  /**
   * @param {Picture} picture @param {import("./correlate.mjs").Kernel} kernel
   * @param {import("./correlate.mjs").Options} options @param {Look} look
   * @returns {Rendered}
   */
  run({ plane, channels }, kernel, options, { display, white, dark }) {
    const output = this.#gray.run(plane, kernel, options);
    const scale = scaleOf(output, display, white, isZeroGain(kernel), dark);
    const image =
      channels && display !== "gray" && !scale.signed
        ? paintColours(channels.map((channel, c) => this.#channels[c].run(channel, kernel, options)), scale)
        : paint(output, scale);
    // A copy: what is handed out may be given away for good.
    return { output: { ...output, data: output.data.slice() }, scale, image };
  }

  /** To be called while nobody waits. */
  refresh() {
    for (const edits of [this.#gray, ...this.#channels]) edits.refresh();
  }
}
