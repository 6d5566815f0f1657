// Correlation while a kernel is edited: what one weight changed is added to what is there.

import { asApplied, filtered, prepared, sums } from "./correlate.mjs";

const MOST_IN_A_ROW = 8; // each adds a rounding; corr2d's bound allows 32 of them
const WORTH = 8; // times as many weights as were changed

export class Edits {
  /** @type {any} */ #last = null;

  /**
   * The same as `correlate`, up to a few roundings, and exact wherever numbers are whole.
   * @param {import("./correlate.mjs").Plane} plane @param {import("./correlate.mjs").Kernel} kernel
   * @param {import("./correlate.mjs").Options} options
   * @returns {ReturnType<typeof filtered>}
   */
  run(plane, kernel, options) {
    const applied = asApplied(kernel, options);
    const { weights } = applied;
    const key = JSON.stringify([options, applied.anchor, weights.length, weights[0].length]);
    if (this.#last?.plane !== plane || this.#last.key !== key) {
      this.#last = { plane, key, given: prepared(plane, applied, options), output: null, weights, times: 0 };
    }
    const last = this.#last;
    const changed = last.output && differing(last.weights, weights);
    if (changed && changed.count * WORTH <= changed.all && last.times < MOST_IN_A_ROW && last.given.finite) {
      const difference = sums(last.given, changed.weights, options);
      const { data } = last.output;
      for (let i = 0; i < data.length; i++) data[i] += difference[i];
      last.times++;
    } else {
      last.output = filtered(last.given, weights, options);
      last.times = 0;
    }
    last.weights = weights;
    // A copy: what is handed out may be given away for good.
    return { ...last.output, data: last.output.data.slice() };
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
  return { count, all: after.length * after[0].length, weights };
}
