// What can be done to a kernel as a whole. Kernels are never changed, only replaced.

/** @typedef {import("./correlate.mjs").Kernel} Kernel */

export const MOST_TAPS = 15;

/**
 * @param {Kernel} kernel @param {number[][]} weights
 * @param {(at: [number, number]) => [number, number] | null} [moved] where a chosen anchor comes to lie
 * @returns {Kernel} a nameless one
 */
const replaced = (kernel, weights, moved = (at) => at) => ({
  weights: weights.map((line) => line.map((weight) => weight + 0)),
  anchor: kernel.anchor ? moved(kernel.anchor) : null,
  name: "",
});

/** @param {Kernel} kernel */
export const sum = (kernel) => kernel.weights.flat().reduce((total, weight) => total + weight, 0);

/** @param {Kernel} kernel */
export const sumOfMagnitudes = (kernel) => kernel.weights.flat().reduce((total, weight) => total + Math.abs(weight), 0);

/** Does a flat picture become zero? @param {Kernel} kernel */
export const isZeroGain = (kernel) => Math.abs(sum(kernel)) <= 1e-9 * sumOfMagnitudes(kernel) && sumOfMagnitudes(kernel) > 0;

/** @param {Kernel} kernel @param {number} i @param {number} j @param {number} value @returns {Kernel} */
export function withTap(kernel, i, j, value) {
  const weights = kernel.weights.map((line) => [...line]);
  weights[i][j] = value;
  return { ...kernel, weights, name: "" };
}

/** @param {Kernel} kernel */
export const transpose = (kernel) => replaced(kernel, kernel.weights[0].map((_, j) => kernel.weights.map((line) => line[j])), ([y, x]) => [x, y]);

/** Left becomes right. @param {Kernel} kernel */
export const flipAcross = (kernel) => replaced(kernel, kernel.weights.map((line) => [...line].reverse()), ([y, x]) => [y, kernel.weights[0].length - 1 - x]);

/** Top becomes bottom. @param {Kernel} kernel */
export const flipDown = (kernel) => replaced(kernel, [...kernel.weights].reverse(), ([y, x]) => [kernel.weights.length - 1 - y, x]);

/** A quarter turn, anticlockwise. @param {Kernel} kernel */
export const rotate = (kernel) => flipDown(transpose(kernel));

/** @param {Kernel} kernel @param {number} factor */
export const scale = (kernel, factor) => replaced(kernel, kernel.weights.map((line) => line.map((weight) => weight * factor)));

/** Weights that sum to 1; where they sum to 0, weights whose magnitudes sum to 1. @param {Kernel} kernel */
export function normalise(kernel) {
  const total = isZeroGain(kernel) ? sumOfMagnitudes(kernel) : sum(kernel);
  if (!total) return kernel;
  return replaced(kernel, kernel.weights.map((line) => line.map((weight) => weight / total)));
}

/**
 * More or fewer rows and columns, added and taken away evenly around the middle.
 * @param {Kernel} kernel @param {number} rows @param {number} columns
 */
export function resize(kernel, rows, columns) {
  const down = Math.floor((rows - 1) / 2) - Math.floor((kernel.weights.length - 1) / 2);
  const across = Math.floor((columns - 1) / 2) - Math.floor((kernel.weights[0].length - 1) / 2);
  return replaced(
    kernel,
    Array.from({ length: rows }, (_, i) => Array.from({ length: columns }, (_, j) => kernel.weights[i - down]?.[j - across] ?? 0)),
    ([y, x]) => {
      const [row, column] = [y + down, x + across];
      return row >= 0 && row < rows && column >= 0 && column < columns ? [row, column] : null;
    },
  );
}

/** The step of one wheel click: 1 between whole weights, a hundredth of the largest magnitude's decade between others. @param {Kernel} kernel */
export function stepOf(kernel) {
  const weights = kernel.weights.flat();
  if (weights.every(Number.isInteger)) return 1;
  const most = Math.max(...weights.map(Math.abs));
  return 10 ** (Math.floor(Math.log10(most)) - 1);
}
