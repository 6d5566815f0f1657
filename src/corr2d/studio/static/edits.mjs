// Correlation while a kernel is edited: what one weight changed is added to what is there.

import { accumulate, asApplied, filtered, prepared, tapsOf } from "./correlate.mjs";

const MOST_IN_A_ROW = 8; // each adds a rounding; corr2d's bound allows 32 of them
const WORTH = 8; // times as many weights as were changed

/** @typedef {import("./render.mjs").Output} Output */

export class Edits {
  /** @type {any} */ #last = null;

  /**
   * How many taps `run` would add up.
   * @param {import("./correlate.mjs").Plane} plane @param {import("./correlate.mjs").Kernel} kernel
   * @param {import("./correlate.mjs").Options} options
   */
  taps(plane, kernel, options) {
    const { weights } = asApplied(kernel, options);
    return this.#changed(plane, kernel, options)?.count ?? tapsOf(weights);
  }

  /**
   * The same as `correlate`, up to a few roundings, and exact wherever numbers are whole.
   * The next call writes over what this one returns.
   * @param {import("./correlate.mjs").Plane} plane @param {import("./correlate.mjs").Kernel} kernel
   * @param {import("./correlate.mjs").Options} options
   * @returns {Output}
   */
  run(plane, kernel, options) {
    const applied = asApplied(kernel, options);
    const changed = this.#changed(plane, kernel, options);
    if (!changed) this.adopt(plane, kernel, options, null);
    const last = this.#last;
    last.given ??= prepared(plane, applied, options);
    if (changed && last.given.finite) {
      if (changed.count) {
        accumulate(last.output.data, last.given, changed.weights, options);
        last.times++;
      }
    } else {
      last.output = filtered(last.given, applied.weights, options);
      last.times = 0;
    }
    last.weights = applied.weights;
    return last.output;
  }

  /** Go on from an output that was computed elsewhere. @param {import("./correlate.mjs").Plane} plane @param {import("./correlate.mjs").Kernel} kernel @param {import("./correlate.mjs").Options} options @param {Output | null} output */
  adopt(plane, kernel, options, output) {
    const key = keyOf(kernel, options);
    const given = this.#isOf(plane, key) ? this.#last.given : null;
    this.#last = { plane, key, given, output, weights: asApplied(kernel, options).weights, times: 0 };
  }

  /** How many edits the output carries the roundings of. */
  get times() {
    return this.#last?.times ?? 0;
  }

  /** Which weights differ from those of the last output, if they are few enough to be added to it. */
  #changed(plane, kernel, options) {
    const last = this.#isOf(plane, keyOf(kernel, options)) ? this.#last : null;
    if (!last?.output || last.given?.finite === false) return null;
    const changed = differing(last.weights, asApplied(kernel, options).weights);
    return changed.count * WORTH <= changed.all && (!changed.count || last.times < MOST_IN_A_ROW) ? changed : null;
  }

  #isOf(plane, key) {
    return this.#last?.plane === plane && this.#last.key === key;
  }
}

/** What an output depends on beside the picture and the weights. @param {import("./correlate.mjs").Kernel} kernel @param {import("./correlate.mjs").Options} options */
const keyOf = (kernel, options) => JSON.stringify([options, kernel.anchor, kernel.weights.length, kernel.weights[0].length]);

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
