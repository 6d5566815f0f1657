// What a kernel lets through: |H| at every frequency, and along both axes.

/**
 * H(v, u) = sum over i, j of k[i, j] exp(2 pi sqrt(-1) (v i + u j)): its magnitude for v and u from -1/2 to 1/2.
 * @param {number[][]} weights @param {number} [n] points a side, odd
 * @returns {import("./correlate.mjs").Plane}
 */
export function response(weights, n = 97) {
  const [kh, kw] = [weights.length, weights[0].length];
  const frequency = Array.from({ length: n }, (_, i) => i / (n - 1) - 0.5);
  const cos = frequency.map((f) => Array.from({ length: Math.max(kh, kw) }, (_, j) => Math.cos(2 * Math.PI * f * j)));
  const sin = frequency.map((f) => Array.from({ length: Math.max(kh, kw) }, (_, j) => Math.sin(2 * Math.PI * f * j)));
  const data = new Float64Array(n * n);
  for (let x = 0; x < n; x++) {
    // Along the rows first: the transform is separable whatever the kernel is.
    const real = weights.map((line) => line.reduce((total, weight, j) => total + weight * cos[x][j], 0));
    const imaginary = weights.map((line) => line.reduce((total, weight, j) => total + weight * sin[x][j], 0));
    for (let y = 0; y < n; y++) {
      let [re, im] = [0, 0];
      for (let i = 0; i < kh; i++) {
        re += real[i] * cos[y][i] - imaginary[i] * sin[y][i];
        im += real[i] * sin[y][i] + imaginary[i] * cos[y][i];
      }
      data[y * n + x] = Math.hypot(re, im);
    }
  }
  return { height: n, width: n, data };
}
