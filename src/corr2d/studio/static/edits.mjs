// Correlation while a kernel is edited: what one weight changed is added to what is there.

import { accumulate, asApplied, filtered, prepared } from "./correlate.mjs";

const MOST_IN_A_ROW = 8; // each adds a rounding; corr2d's bound allows 32 of them
const WORTH = 8; // times as many weights as were changed

export class Edits {
  /** @type {any} */ #last = null;

  /**
   * The same as `correlate`, up to a few roundings, and exact wherever numbers are whole.
   * The next call writes over what this one returns.
   * @param {import("./correlate.mjs").Plane} plane @param {import("./correlate.mjs").Kernel} kernel
   * @param {import("./correlate.mjs").Options} options
   * @returns {ReturnType<typeof filtered>}
   */
  run(plane, kernel, options) {
    const applied = asApplied(kernel, options);
    const { weights } = applied;
    const key = JSON.stringify([options, applied.anchor, weights.length, weights[0].length]);
    if (this.#last?.plane !== plane || this.#last.key !== key) {
      this.#last = { plane, key, given: prepared(plane, applied, options), options, output: null, weights, times: 0 };
    }
    const last = this.#last;
    const changed = last.output && differing(last.weights, weights);
    const few = changed && changed.count * WORTH <= changed.all && last.given.finite;
    if (few && (!changed.count || last.times < MOST_IN_A_ROW)) {
      if (changed.count) {
        accumulate(last.output.data, last.given, changed.weights, options);
        last.times++;
      }
    } else {
      last.output = filtered(last.given, weights, options);
      last.times = 0;
    }
    last.weights = weights;
    return last.output;
  }

  /** The whole sum anew, when there is time for it: the roundings of edits are gone, and edits can go on. */
  refresh() {
    const last = this.#last;
    if (!last?.times) return;
    last.output = filtered(last.given, last.weights, last.options);
    last.times = 0;
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
