// The page's state in its address, so that a link shows what one sees. Uploads stay at home.

import { checked, parseNumber } from "./kernel-text.mjs";
import { START } from "./store.mjs";
import { isShared } from "./pictures.mjs";

const BOUNDARIES = ["constant", "edge", "reflect", "symmetric", "wrap"];

/** @param {import("./store.mjs").State} state @returns {string} without the # */
export function toLink({ picture, kernel, options, pixel, display, target, step, language }) {
  const parts = new URLSearchParams();
  parts.set("k", kernel.weights.map((line) => line.join(",")).join(";"));
  if (kernel.name) parts.set("name", kernel.name);
  if (kernel.anchor) parts.set("anchor", kernel.anchor.join(","));
  if (isShared(picture)) parts.set("picture", picture);
  for (const key of /** @type {const} */ (["padding", "boundary", "fill", "stride", "dilation"])) {
    if (options[key] !== START.options[key]) parts.set(key, String(options[key]));
  }
  if (options.convolve) parts.set("convolve", "1");
  if (pixel) parts.set("pixel", pixel.join(","));
  if (display !== START.display) parts.set("display", display);
  if (target !== START.target) parts.set("target", target);
  if (step !== null) parts.set("step", String(step + 1));
  if (language !== START.language) parts.set("language", language);
  return parts.toString().replaceAll("%2C", ",").replaceAll("%3B", ";").replaceAll("%3A", ":");
}

/**
 * The state in an address; what makes no sense in it is left out, as an address may come from anywhere.
 * @param {string} hash @returns {Partial<import("./store.mjs").State>}
 */
export function fromLink(hash) {
  const parts = new URLSearchParams(hash.replace(/^#/, ""));
  /** @type {Partial<import("./store.mjs").State>} */
  const state = {};
  const options = { ...START.options };
  try {
    const rows = (parts.get("k") ?? "").split(";").map((line) => line.split(",").map(parseNumber));
    state.kernel = { ...checked(rows), name: (parts.get("name") ?? "").slice(0, 200) };
    const anchor = (parts.get("anchor") ?? "").split(",").map(Number);
    const inside = anchor.length === 2 && anchor.every((at, i) => Number.isInteger(at) && at >= 0 && at < (i ? rows[0].length : rows.length));
    if (parts.has("anchor") && inside) state.kernel.anchor = /** @type {[number, number]} */ (anchor);
  } catch {
    delete state.kernel;
  }
  const picture = parts.get("picture");
  if (picture && isShared(picture)) state.picture = picture;
  const padding = parts.get("padding") ?? "";
  if (["valid", "same", "full"].includes(padding)) options.padding = /** @type {any} */ (padding);
  else if (/^\d{1,2}$/.test(padding)) options.padding = Number(padding);
  const boundary = parts.get("boundary") ?? "";
  if (BOUNDARIES.includes(boundary)) options.boundary = /** @type {any} */ (boundary);
  const fill = parseNumber(parts.get("fill") ?? "");
  if (Number.isFinite(fill)) options.fill = fill;
  for (const key of /** @type {const} */ (["stride", "dilation"])) {
    const value = Number(parts.get(key));
    if (Number.isInteger(value) && value >= 1 && value <= 16) options[key] = value;
  }
  options.convolve = parts.get("convolve") === "1";
  state.options = options;
  const pixel = (parts.get("pixel") ?? "").split(",").map(Number);
  if (parts.has("pixel") && pixel.length === 2 && pixel.every((at) => Number.isInteger(at) && at >= 0)) {
    state.pixel = /** @type {[number, number]} */ (pixel);
  }
  const display = parts.get("display");
  if (display === "signed" || display === "gray") state.display = display;
  const target = parts.get("target");
  if (target && /^[a-z]{1,20}$/.test(target)) state.target = target;
  const step = Number(parts.get("step"));
  if (Number.isInteger(step) && step >= 1 && step <= 99) state.step = step - 1;
  if (parts.get("language") === "zh") state.language = "zh";
  return state;
}
