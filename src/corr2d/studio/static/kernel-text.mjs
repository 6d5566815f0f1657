// Kernels as text: pasted from NumPy, MATLAB, a table or a file, and shown as short numbers.

import { MOST_TAPS } from "./kernel-edit.mjs";

const NUMBER = String.raw`[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?`;
const FRACTION = new RegExp(`^(${NUMBER})(?:/(${NUMBER}))?$`);

/** One weight: a decimal number or a fraction, such as 1/9; NaN where it is neither. @param {string} text */
export function parseNumber(text) {
  const match = FRACTION.exec(text.trim().replaceAll("\u2212", "-"));
  if (!match) return NaN;
  const value = Number(match[1]) / (match[2] === undefined ? 1 : Number(match[2]));
  return Number.isFinite(value) ? value : NaN;
}

/**
 * Rows of numbers from what people copy: np.array([[1, 2], [3, 4]]), [1 2; 3 4], lines of CSV or of a table, a
 * kernel's JSON file. Throws a message that says where it stops making sense.
 * @param {string} text
 * @returns {import("./correlate.mjs").Kernel}
 */
export function parseKernel(text) {
  const plain = text.trim();
  if (!plain) throw new SyntaxError("There is no text to read.");
  if (plain.startsWith("{")) return fromFile(plain);
  // array([...], dtype=float32), np.array(...), K = [...];
  let body = plain.replace(/^[A-Za-z_]\w*\s*=(?!=)\s*/, "").replace(/;\s*$/, "");
  body = body.replace(/^(?:[A-Za-z_]\w*\.)*(?:array|tensor|matrix|asarray)\s*\(/, "").replace(/,?\s*(?:dtype|device)\s*=[^)\]]*/g, "");
  body = body.replace(/\)\s*$/, "").trim();
  const nested = /\[\s*\[/.test(body);
  const lines = nested
    ? body.split(/\]\s*,?\s*\[/)
    : body.replaceAll(/[[\](){}]/g, " ").replaceAll(/\.\.\.\s*\n/g, " ").split(/;|\n/);
  const rows = lines
    .map((line) => line.replaceAll(/[[\](){}]/g, " ").replace(/#.*|%.*/, "").trim())
    .filter((line) => line !== "")
    .map((line) => line.replace(/[,\t]\s*$/, "").split(/\s*[,\t]\s*|\s+/));
  return checked(rows.map((row, i) => row.map((token, j) => {
    const value = parseNumber(token);
    if (Number.isNaN(value)) throw new SyntaxError(`Row ${i + 1}, number ${j + 1}: “${token.slice(0, 20)}” is not a number.`);
    return value;
  })));
}

/** What Kernel.save writes. @param {string} text */
function fromFile(text) {
  let record;
  try {
    record = JSON.parse(text);
  } catch {
    throw new SyntaxError("This begins like a kernel file, and is no JSON.");
  }
  if (record.format !== "corr2d-kernel" || !Array.isArray(record.weights)) {
    throw new SyntaxError("This JSON holds no corr2d kernel.");
  }
  return { ...checked(record.weights), anchor: record.anchor ?? null, name: String(record.name ?? "") };
}

/** @param {number[][]} weights @returns {import("./correlate.mjs").Kernel} */
export function checked(weights) {
  if (!Array.isArray(weights) || !weights.length || !Array.isArray(weights[0]) || !weights[0].length) {
    throw new SyntaxError("There are no numbers in it.");
  }
  const uneven = weights.findIndex((line) => line.length !== weights[0].length);
  if (uneven > 0) {
    throw new SyntaxError(`Row ${uneven + 1} has ${weights[uneven].length} numbers, and row 1 has ${weights[0].length}.`);
  }
  if (weights.length > MOST_TAPS || weights[0].length > MOST_TAPS) {
    throw new SyntaxError(`${weights.length} × ${weights[0].length} is too large: this page takes ${MOST_TAPS} × ${MOST_TAPS}, Python any size.`);
  }
  if (!weights.flat().every((weight) => typeof weight === "number" && Number.isFinite(weight))) {
    throw new SyntaxError("There is something other than finite numbers in it.");
  }
  return { weights, anchor: null, name: "" };
}

/** A number in at most so many characters, where that can be. @param {number} value @param {number} room */
export function short(value, room = 7) {
  if (!Number.isFinite(value)) return String(value).replace("Infinity", "∞");
  const exact = String(value);
  if (exact.length <= room) return exact.replace("-", "\u2212");
  for (let digits = room; digits > 0; digits--) {
    const text = String(Number(value.toPrecision(digits))).replace(/^(-?)0\./, room < 6 ? "$1." : "$10.");
    if (text.length <= room) return text.replace("-", "\u2212");
  }
  return value.toExponential(0).replace("e+", "e").replace("-", "\u2212");
}

/** Rows as text that every reader above understands. @param {number[][]} weights */
export const rowsText = (weights) => weights.map((line) => line.join(" ")).join("; ");
