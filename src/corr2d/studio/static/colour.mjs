// Values to colours: gray between black and white, or blue and orange around zero, which colour-blind eyes tell apart.

/** @typedef {{signed: boolean, low: number, high: number, dark: boolean}} Scale */

const STOPS = {
  light: [[9, 54, 112], [77, 143, 201], [247, 246, 243], [226, 138, 60], [128, 52, 6]],
  dark: [[173, 214, 255], [52, 120, 184], [22, 24, 28], [196, 104, 30], [255, 208, 158]],
};
const UNDEFINED = [200, 0, 160];
const SHOWN = 0.995; // of the values of a signed picture, within its scale

/** 256 colours from low to high. @param {Scale} scale @returns {Uint8ClampedArray} RGB after RGB */
export function palette({ signed, dark }) {
  const colours = new Uint8ClampedArray(3 * 256);
  const stops = STOPS[dark ? "dark" : "light"];
  for (let i = 0; i < 256; i++) {
    if (!signed) {
      colours.fill(i, 3 * i, 3 * i + 3);
      continue;
    }
    const at = Math.min((4 * i) / 255, 3.999);
    const [a, b] = [stops[Math.floor(at)], stops[Math.floor(at) + 1]];
    for (let c = 0; c < 3; c++) colours[3 * i + c] = a[c] + (at % 1) * (b[c] - a[c]);
  }
  return colours;
}

/** @param {number} value @param {Scale} scale */
const index = (value, { low, high }) => Math.round(255 * Math.min(1, Math.max(0, (value - low) / (high - low || 1))));

/** @param {import("./correlate.mjs").Plane} plane @param {Scale} scale @returns {ImageData} */
export function paint({ height, width, data }, scale) {
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer); // RGBA in one store
  const colours = words(palette(scale));
  const undefinedColour = words(Uint8ClampedArray.from(UNDEFINED))[0];
  const { low } = scale;
  const factor = 255 / (scale.high - low || 1);
  for (let i = 0; i < data.length; i++) {
    const value = (data[i] - low) * factor;
    // Only what compares as a number is one.
    pixels[i] = value < 0 ? colours[0] : value > 255 ? colours[255] : value >= 0 ? colours[(value + 0.5) | 0] : undefinedColour;
  }
  return image;
}

/** Red, green and blue, each on the same scale. @param {import("./correlate.mjs").Plane[]} channels @param {Scale} scale @returns {ImageData} */
export function paintColours(channels, { low, high }) {
  const [{ height, width }] = channels;
  const [red, green, blue] = channels.map(({ data }) => data);
  const image = new ImageData(width, height);
  const pixels = image.data; // which rounds and saturates by itself
  const factor = 255 / (high - low || 1);
  for (let i = 0, p = 0; i < red.length; i++, p += 4) {
    pixels[p] = (red[i] - low) * factor;
    pixels[p + 1] = (green[i] - low) * factor;
    pixels[p + 2] = (blue[i] - low) * factor;
    pixels[p + 3] = 255;
    const sum = red[i] + green[i] + blue[i];
    if (sum !== sum) pixels.set(UNDEFINED, p);
  }
  return image;
}

/** Colours as the 32-bit words in which an ImageData holds them. @param {Uint8ClampedArray} colours RGB after RGB */
function words(colours) {
  const bytes = new Uint8ClampedArray((4 * colours.length) / 3).fill(255);
  for (let i = 0; 3 * i < colours.length; i++) bytes.set(colours.subarray(3 * i, 3 * i + 3), 4 * i);
  return new Uint32Array(bytes.buffer);
}

/** The colour of one value, and black or white, whichever is read better on it. @param {number} value @param {Scale} scale */
export function colourOf(value, scale, colours = palette(scale)) {
  const c = 3 * index(value, scale);
  const [r, g, b] = Number.isNaN(value) ? UNDEFINED : [colours[c], colours[c + 1], colours[c + 2]];
  const bright = 0.299 * r + 0.587 * g + 0.114 * b > 128;
  return { background: `rgb(${r},${g},${b})`, ink: bright ? "#111" : "#fff" };
}

/**
 * How an output is shown: gray like the picture, or signed where there are negative values to see.
 * @param {import("./correlate.mjs").Plane} output @param {"auto" | "signed" | "gray"} display
 * @param {number} white @param {boolean} zeroGain @param {boolean} dark
 * @returns {Scale & {beyond: number}} with the share of values that the scale cuts off
 */
export function scaleOf(output, display, white, zeroGain, dark) {
  const { data } = output;
  let low = Infinity;
  let high = -Infinity;
  for (let i = 0; i < data.length; i++) {
    const value = data[i];
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const most = Math.max(Math.abs(low), Math.abs(high));
  const negative = low < -0.02 * Math.max(white, most);
  if (display === "signed" || (display === "auto" && (zeroGain || (negative && high < white * 0.5)))) {
    const limit = Number.isFinite(most) && most > 0 ? edgeLimit(data, most) : 1;
    return { signed: true, low: -limit, high: limit, dark, beyond: limit < most ? 1 - SHOWN : 0 };
  }
  const beyond = shareBeyond(data, 0, white);
  // Where most would be cut off, as with sums that no one divided, the scale goes as far as the values.
  if (beyond > 0.5 && high > white) return { signed: false, low: Math.min(low, 0), high, dark, beyond: 0 };
  return { signed: false, low: 0, high: white, dark, beyond };
}

/**
 * The largest magnitude; of many values the 99.5th percentile, as a few edges would leave the rest pale.
 * @param {Float64Array} data @param {number} most
 */
function edgeLimit(data, most) {
  if (data.length < 4096) return most;
  const counts = new Uint32Array(1024);
  const factor = 1024 / most;
  for (let i = 0; i < data.length; i++) {
    const bin = (data[i] < 0 ? -data[i] : data[i]) * factor;
    counts[bin >= 1023 ? 1023 : bin | 0]++;
  }
  let left = (1 - SHOWN) * data.length;
  let bin = 1023;
  while (bin > 0 && (left -= counts[bin]) > 0) bin--;
  return ((bin + 1) / 1024) * most;
}

/** @param {Float64Array} data @param {number} low @param {number} high */
function shareBeyond(data, low, high) {
  const slack = 1e-9 * (high - low);
  const [least, most] = [low - slack, high + slack];
  let count = 0;
  for (let i = 0; i < data.length; i++) if (data[i] < least || data[i] > most) count++;
  return count / data.length;
}

/** The scale as a strip. @param {HTMLCanvasElement} canvas @param {Scale} scale */
export function drawLegend(canvas, scale) {
  const key = `${scale.signed} ${scale.dark}`;
  if (canvas.dataset.shows === key) return;
  canvas.dataset.shows = key;
  canvas.width = 256;
  canvas.height = 1;
  const colours = palette(scale);
  const image = new ImageData(256, 1);
  for (let i = 0; i < 256; i++) image.data.set([colours[3 * i], colours[3 * i + 1], colours[3 * i + 2], 255], 4 * i);
  /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")).putImageData(image, 0, 0);
}
