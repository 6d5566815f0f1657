// Correlation while a kernel is edited: what one weight changed is added to what is there.

import { asApplied, correlate, isFinite, padded, sums } from "./correlate.mjs";

const MOST_IN_A_ROW = 8; // each adds a rounding; corr2d's bound allows 32 of them
const WORTH = 8; // times as many weights as were changed

export class Edits {
  /** @type {any} */ #last = null;

  /**
   * The same as `correlate`, up to a few roundings, and exact wherever numbers are whole.
   * @param {import("./correlate.mjs").Plane} plane @param {import("./correlate.mjs").Kernel} kernel
   * @param {import("./correlate.mjs").Options} options
   * @returns {ReturnType<typeof correlate>}
   */
  run(plane, kernel, options) {
    const { weights, anchor } = asApplied(kernel, options);
    const key = JSON.stringify([options, anchor, weights.length, weights[0].length]);
    const last = this.#last?.plane === plane && this.#last.key === key ? this.#last : null;
    const changed = last && differing(last.weights, weights);
    if (changed && changed.count * WORTH <= weights.flat().length && last.times < MOST_IN_A_ROW && last.finite) {
      const { height, width } = last.output;
      const difference = sums(last.source, changed.weights, options, height, width);
      const data = last.output.data.map((/** @type {number} */ value, /** @type {number} */ i) => value + difference[i]);
      this.#last = { ...last, weights, output: { ...last.output, data }, times: last.times + 1 };
    } else {
      const output = correlate(plane, kernel, options);
      const source = padded(plane, output.geometry, options);
      this.#last = { plane, key, weights, output, source, finite: isFinite(source), times: 0 };
    }
    // A copy: what is handed out may be given away for good.
    return { ...this.#last.output, data: this.#last.output.data.slice() };
  }
}

/** @param {number[][]} before @param {number[][]} after */
function differing(before, after) {
  let count = 0;
  const weights = after.map((line, i) =>
    line.map((weight, j) => {
      const difference = weight - before[i][j];
      if (difference) count++;
      return difference;
    }),
  );
  return { count, weights };
}
