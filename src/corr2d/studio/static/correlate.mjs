// The page's own correlation: corr2d's definition, in float64. The tests hold it to corr2d.

/**
 * @typedef {{height: number, width: number, data: Float64Array}} Plane  row after row
 * @typedef {{weights: number[][], anchor?: [number, number] | null, name?: string}} Kernel
 * @typedef {"constant" | "edge" | "reflect" | "symmetric" | "wrap"} Boundary
 * @typedef {object} Options
 * @property {"valid" | "same" | "full" | number} padding
 * @property {Boundary} boundary
 * @property {number} fill  the value of constant padding
 * @property {number} stride
 * @property {number} dilation
 * @property {boolean} convolve  turn the kernel by 180 degrees first
 */

/**
 * Which pixel of an axis of n stands at position i; -1 is the fill value.
 * Closed forms, so that a pad may be wider than the image.
 * @param {Boundary} boundary @param {number} i @param {number} n
 */
export function sourceIndex(boundary, i, n) {
  if (i >= 0 && i < n) return i;
  if (boundary === "constant") return -1;
  if (boundary === "edge") return i < 0 ? 0 : n - 1;
  if (boundary === "wrap") return modulo(i, n);
  if (boundary === "symmetric") {
    const m = modulo(i, 2 * n);
    return m < n ? m : 2 * n - 1 - m;
  }
  if (n === 1) return 0;
  const m = modulo(i, 2 * (n - 1));
  return m < n ? m : 2 * (n - 1) - m;
}

/** @param {number} i @param {number} n */
const modulo = (i, n) => ((i % n) + n) % n;

/** The kernel turned by 180 degrees, and its anchor with it. @param {Kernel} kernel @returns {Kernel} */
export function turned(kernel) {
  const [kh, kw] = shape(kernel);
  return {
    ...kernel,
    weights: kernel.weights.map((line) => [...line].reverse()).reverse(),
    anchor: kernel.anchor && [kh - 1 - kernel.anchor[0], kw - 1 - kernel.anchor[1]],
  };
}

/** @param {Kernel} kernel @returns {[number, number]} */
export const shape = (kernel) => [kernel.weights.length, kernel.weights[0].length];

/** The kernel as it meets the pixels. @param {Kernel} kernel @param {Options} options */
export const asApplied = (kernel, options) => (options.convolve ? turned(kernel) : kernel);

/**
 * One axis: how far it is padded, and how many outputs there are.
 * @param {number} n @param {number} k @param {number | undefined} anchor @param {Options} options
 */
function axis(n, k, anchor, { padding, stride, dilation, convolve }) {
  const reach = dilation * (k - 1);
  let before = 0;
  let after = 0;
  if (padding === "full") before = after = reach;
  else if (padding === "same") {
    // Without an anchor, PyTorch's: the smaller half first; turned with the kernel in a convolution.
    if (anchor !== undefined) before = dilation * anchor;
    else before = convolve ? reach - (reach >> 1) : reach >> 1;
    after = reach - before;
  } else if (padding !== "valid") before = after = padding;
  return { before, after, outputs: Math.floor((n + before + after - reach - 1) / stride) + 1 };
}

/**
 * Sizes and pads of a problem, for the kernel as applied.
 * @param {Plane} plane @param {Kernel} applied @param {Options} options
 */
export function geometry(plane, applied, options) {
  const [kh, kw] = shape(applied);
  const [ay, ax] = applied.anchor ?? [undefined, undefined];
  const y = axis(plane.height, kh, ay, options);
  const x = axis(plane.width, kw, ax, options);
  if (y.outputs < 1 || x.outputs < 1) {
    throw new RangeError(
      `The kernel covers ${options.dilation * (kh - 1) + 1} × ${options.dilation * (kw - 1) + 1} pixels, ` +
        `the picture has ${plane.height + y.before + y.after} × ${plane.width + x.before + x.after} with its padding.`,
    );
  }
  return { top: y.before, bottom: y.after, left: x.before, right: x.after, height: y.outputs, width: x.outputs };
}

/** @typedef {ReturnType<typeof geometry>} Geometry */

/**
 * The picture with its padding written out.
 * @param {Plane} plane @param {{top: number, bottom: number, left: number, right: number}} pads @param {Options} options
 * @returns {Plane}
 */
export function padded(plane, { top, bottom, left, right }, { boundary, fill }) {
  if (!(top || bottom || left || right)) return plane;
  const height = plane.height + top + bottom;
  const width = plane.width + left + right;
  const columns = Int32Array.from({ length: width }, (_, x) => sourceIndex(boundary, x - left, plane.width));
  const data = new Float64Array(height * width);
  for (let y = 0; y < height; y++) {
    const row = sourceIndex(boundary, y - top, plane.height);
    const line = data.subarray(y * width, (y + 1) * width);
    if (row < 0) {
      line.fill(fill);
      continue;
    }
    const from = row * plane.width;
    line.set(plane.data.subarray(from, from + plane.width), left);
    for (let x = 0; x < left; x++) line[x] = columns[x] < 0 ? fill : plane.data[from + columns[x]];
    for (let x = left + plane.width; x < width; x++) line[x] = columns[x] < 0 ? fill : plane.data[from + columns[x]];
  }
  return { height, width, data };
}

/**
 * out[y, x] = sum over i, j of kernel[i, j] * image[y * stride - top + i * dilation, x * stride - left + j * dilation]
 * @param {Plane} plane @param {Kernel} kernel @param {Options} options
 * @returns {Plane & {geometry: Geometry}}
 */
export function correlate(plane, kernel, options) {
  const applied = asApplied(kernel, options);
  return filtered(prepared(plane, applied, options), applied.weights, options);
}

/**
 * What does not depend on the weights: sizes, the padded picture, and whether it is free of NaN and infinities.
 * @param {Plane} plane @param {Kernel} applied @param {Options} options
 */
export function prepared(plane, applied, options) {
  const sizes = geometry(plane, applied, options);
  const source = padded(plane, sizes, options);
  let zero = 0;
  for (let i = 0; i < source.data.length; i++) zero += 0 * source.data[i];
  return { sizes, source, finite: zero === 0 };
}

/** @typedef {ReturnType<typeof prepared>} Prepared */

/** @param {Prepared} given @param {number[][]} weights as applied @param {Options} options */
export function filtered(given, weights, options) {
  const { sizes } = given;
  const factors = options.stride === 1 && given.finite ? factorsOf(weights) : null;
  const data = factors ? passes(given, factors, options.dilation) : sums(given, weights, options);
  return { height: sizes.height, width: sizes.width, data, geometry: sizes };
}

/**
 * The sum as it stands, row by row; four taps at a time, so that each partial sum is read and written less often.
 * @param {Prepared} given @param {number[][]} weights @param {{stride: number, dilation: number}} options
 */
export function sums(given, weights, options) {
  const out = new Float64Array(given.sizes.height * given.sizes.width);
  accumulate(out, given, weights, options);
  return out;
}

/**
 * `sums`, on top of what is there.
 * @param {Float64Array} out @param {Prepared} given @param {number[][]} weights @param {{stride: number, dilation: number}} options
 */
export function accumulate(out, { source, finite, sizes: { height, width } }, weights, { stride, dilation }) {
  /** @type {number[]} */ const offsets = [];
  /** @type {number[]} */ const taps = [];
  weights.forEach((line, i) =>
    line.forEach((weight, j) => {
      if (weight === 0 && finite) return; // but 0 times an infinity is no zero
      taps.push(weight);
      offsets.push(dilation * (i * source.width + j));
    }),
  );
  if (taps.length === 1 && stride === 1) return addOne(out, width, source, taps[0], offsets[0]);
  while (taps.length % 4) {
    taps.push(0);
    offsets.push(offsets[0] ?? 0);
  }
  for (let y = 0; y < height; y++) {
    const line = out.subarray(y * width, (y + 1) * width);
    for (let t = 0; t < taps.length; t += 4) {
      addFour(line, source.data, y * stride * source.width, taps, offsets, t, stride);
    }
  }
}

/** One tap, which is what a keystroke changes. @param {Float64Array} out @param {number} width @param {Plane} source @param {number} tap @param {number} offset */
function addOne(out, width, source, tap, offset) {
  const { data } = source;
  for (let at = 0, from = offset; at < out.length; at += width, from += source.width) {
    for (let x = 0; x < width; x++) out[at + x] += tap * data[from + x];
  }
}

/** @param {Float64Array} line @param {Float64Array} data @param {number} start @param {number[]} taps @param {number[]} offsets @param {number} t @param {number} stride */
function addFour(line, data, start, taps, offsets, t, stride) {
  const [a, b, c, d] = [taps[t], taps[t + 1], taps[t + 2], taps[t + 3]];
  const [p, q, r, s] = [start + offsets[t], start + offsets[t + 1], start + offsets[t + 2], start + offsets[t + 3]];
  const width = line.length;
  if (stride === 1) {
    for (let x = 0; x < width; x++) line[x] += a * data[p + x] + b * data[q + x] + c * data[r + x] + d * data[s + x];
  } else {
    for (let x = 0, at = 0; x < width; x++, at += stride) {
      line[x] += a * data[p + at] + b * data[q + at] + c * data[r + at] + d * data[s + at];
    }
  }
}

/**
 * A column and a row whose product is the kernel, where it has more than a few taps and there are such.
 * @param {number[][]} weights
 * @returns {{column: number[][], row: number[][]} | null}
 */
export function factorsOf(weights) {
  if (weights.length < 3 || weights[0].length < 3 || weights.length * weights[0].length < 16) return null;
  let [top, pi, pj] = [0, 0, 0];
  weights.forEach((line, i) =>
    line.forEach((weight, j) => {
      if (Math.abs(weight) > top) [top, pi, pj] = [Math.abs(weight), i, j];
    }),
  );
  if (!top) return null;
  const row = weights[pi];
  const column = weights.map((line) => line[pj] / row[pj]);
  const exact = weights.every((line, i) => line.every((weight, j) => Math.abs(weight - column[i] * row[j]) <= 4e-16 * top));
  return exact ? { column: column.map((weight) => [weight]), row: [row] } : null;
}

/** How many taps are added up for an output. @param {number[][]} weights */
export const tapsOf = (weights) => (factorsOf(weights) ? weights.length + weights[0].length : weights.flat().filter(Boolean).length);

/** Columns first, then rows. @param {Prepared} given @param {{column: number[][], row: number[][]}} factors @param {number} dilation */
function passes({ source, sizes }, { column, row }, dilation) {
  const step = { stride: 1, dilation };
  const { height, width } = sizes;
  const tall = { source, finite: true, sizes: { ...sizes, height, width: source.width } };
  const between = { height, width: source.width, data: sums(tall, column, step) };
  return sums({ source: between, finite: true, sizes: { ...sizes, height, width } }, row, step);
}

/**
 * The window of one output: where each of its pixels stands, what it holds, and the sum.
 * @param {Plane} plane @param {Kernel} kernel @param {Options} options @param {number} y @param {number} x
 */
export function windowAt(plane, kernel, options, y, x) {
  const applied = asApplied(kernel, options);
  const { top, left } = geometry(plane, applied, options);
  let sum = 0;
  const taps = applied.weights.map((line, i) =>
    line.map((weight, j) => {
      const row = y * options.stride - top + i * options.dilation;
      const column = x * options.stride - left + j * options.dilation;
      const from = [sourceIndex(options.boundary, row, plane.height), sourceIndex(options.boundary, column, plane.width)];
      const outside = row < 0 || row >= plane.height || column < 0 || column >= plane.width;
      const pixel = from[0] < 0 || from[1] < 0 ? options.fill : plane.data[from[0] * plane.width + from[1]];
      sum += weight * pixel;
      return { row, column, outside, pixel, weight, product: weight * pixel };
    }),
  );
  return { taps, sum };
}
