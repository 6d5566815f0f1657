// Gradient descent on the chapter's loss, the sum of (Ŷ - Y)², from statistics of the pictures: a step costs no pixel.

/** @typedef {import("./correlate.mjs").Plane} Plane */

const MOST_WINDOWS = 40_000;

/**
 * G = sum of w wᵀ, b = sum of y w and yy = sum of y² over windows w of the picture before, with y the pixel after.
 * @param {Plane} before @param {Plane} after as large as before, or as its valid outputs
 * @param {number} rows @param {number} columns of the kernel
 * @param {boolean} bias a last weight, which multiplies 1
 * @param {number} white values are divided by it first, so that learning rates mean the same for every picture
 */
export function statistics(before, after, rows, columns, bias, white) {
  const whole = after.height === before.height && after.width === before.width;
  const valid = after.height === before.height - rows + 1 && after.width === before.width - columns + 1;
  if (!whole && !valid) {
    throw new RangeError(
      `The pictures are ${before.height} × ${before.width} and ${after.height} × ${after.width}: ` +
        `a ${rows} × ${columns} kernel goes with equal sizes, or with ${before.height - rows + 1} × ${before.width - columns + 1} after.`,
    );
  }
  const [height, width] = [before.height - rows + 1, before.width - columns + 1];
  if (height < 1 || width < 1) throw new RangeError(`The pictures are smaller than the kernel, ${rows} × ${columns}.`);
  const shift = whole && !valid ? [(rows - 1) >> 1, (columns - 1) >> 1] : [0, 0];
  const n = rows * columns + Number(bias);
  const matrix = new Float64Array(n * n);
  const right = new Float64Array(n);
  const window = new Float64Array(n).fill(1);
  let squares = 0;
  let count = 0;
  // Every so many windows of a large picture, with a step that no row length divides evenly.
  let every = Math.max(1, Math.ceil((height * width) / MOST_WINDOWS));
  while (every > 1 && width % every === 0) every++;
  for (let at = 0; at < height * width; at += every) {
    const [y, x] = [Math.floor(at / width), at % width];
    for (let i = 0, k = 0; i < rows; i++) {
      const from = (y + i) * before.width + x;
      for (let j = 0; j < columns; j++) window[k++] = before.data[from + j] / white;
    }
    const value = after.data[(y + shift[0]) * after.width + x + shift[1]] / white;
    for (let k = 0; k < n; k++) {
      right[k] += value * window[k];
      const factor = window[k];
      for (let l = k; l < n; l++) matrix[k * n + l] += factor * window[l];
    }
    squares += value * value;
    count++;
  }
  for (let k = 0; k < n; k++) for (let l = 0; l < k; l++) matrix[k * n + l] = matrix[l * n + k];
  return { rows, columns, bias, n, matrix, right, squares, count };
}

/** @typedef {ReturnType<typeof statistics>} Statistics */

/** G k @param {Statistics} s @param {Float64Array} weights */
function times({ n, matrix }, weights) {
  const out = new Float64Array(n);
  for (let k = 0; k < n; k++) for (let l = 0; l < n; l++) out[k] += matrix[k * n + l] * weights[l];
  return out;
}

/** The largest rate at which descent does not diverge: 1 over the largest eigenvalue of G. @param {Statistics} s */
export function largestRate(s) {
  let vector = new Float64Array(s.n).map((_, i) => 1 + 0.1 * Math.sin(i));
  let eigenvalue = 0;
  for (let round = 0; round < 200; round++) {
    const next = times(s, vector);
    eigenvalue = Math.hypot(...next);
    if (!eigenvalue) return 1;
    vector = next.map((value) => value / eigenvalue);
  }
  return 1 / eigenvalue;
}

export class Descent {
  step = 0;
  /** @type {number[]} loss before each step, as the chapter prints it */
  losses = [];

  /** @param {Statistics} statistics @param {number} rate @param {number} seed */
  constructor(statistics, rate, seed = 1) {
    this.statistics = statistics;
    this.rate = rate;
    const random = generator(seed);
    const { n, rows, columns } = statistics;
    const bound = 1 / Math.sqrt(rows * columns); // as nn.Conv2d begins
    this.weights = new Float64Array(n).map((_, k) => (k < rows * columns ? (2 * random() - 1) * bound : 0));
  }

  get loss() {
    const { right, squares } = this.statistics;
    const g = times(this.statistics, this.weights);
    return Math.max(0, this.weights.reduce((total, weight, k) => total + weight * (g[k] - 2 * right[k]), squares));
  }

  /** @param {number} steps */
  run(steps) {
    const { right } = this.statistics;
    for (let s = 0; s < steps; s++) {
      this.losses.push(this.loss);
      const g = times(this.statistics, this.weights);
      this.weights = this.weights.map((weight, k) => weight - this.rate * 2 * (g[k] - right[k]));
      this.step++;
    }
  }

  /** @returns {number[][]} */
  get kernel() {
    const { rows, columns } = this.statistics;
    return Array.from({ length: rows }, (_, i) => [...this.weights.subarray(i * columns, (i + 1) * columns)]);
  }
}

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32, Tommy Ettinger). @param {number} seed */
export function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 15), z | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
  };
}
