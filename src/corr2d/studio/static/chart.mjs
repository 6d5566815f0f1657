// Small line charts as SVG: axes, a few ticks, lines.

import { short } from "./kernel-text.mjs";

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [320, 170];
const [TOP, RIGHT, BOTTOM, LEFT] = [10, 12, 30, 46];

/** @param {string} tag @param {Record<string, any>} given @param {...(Node | string)} children */
function svg(tag, given, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(given)) element.setAttribute(key, String(value));
  element.append(...children);
  return element;
}

/**
 * @param {object} chart
 * @param {{name: string, points: [number, number][], dashed?: boolean}[]} chart.lines
 * @param {[number, number]} chart.x  from, to
 * @param {boolean} [chart.log]  of y
 * @param {string} chart.xName
 * @param {string} chart.label  for those who do not see it
 */
export function lineChart({ lines, x: [x0, x1], log = false, xName, label }) {
  const value = (/** @type {number} */ y) => (log ? Math.log10(Math.max(y, 1e-30)) : y);
  const all = lines.flatMap(({ points }) => points.map(([, y]) => value(y))).filter(Number.isFinite);
  let low = log ? Math.min(...all) : Math.min(0, ...all);
  let high = Math.max(...all);
  if (!all.length || high - low < 1e-12) [low, high] = [low - 0.5 || -0.5, (all.length ? high : 0) + 0.5];
  const px = (/** @type {number} */ x) => LEFT + ((x - x0) / (x1 - x0 || 1)) * (WIDTH - LEFT - RIGHT);
  const py = (/** @type {number} */ y) => TOP + ((high - value(y)) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  const parts = [];
  for (const at of [0, 0.5, 1]) {
    const level = low + at * (high - low);
    const shown = log ? 10 ** level : level;
    parts.push(svg("line", { class: "rule", x1: LEFT, x2: WIDTH - RIGHT, y1: py(shown), y2: py(shown) }));
    parts.push(svg("text", { x: LEFT - 6, y: py(shown) + 4, "text-anchor": "end" }, short(Number(shown.toPrecision(2)), 6)));
    const xs = x0 + at * (x1 - x0);
    parts.push(svg("text", { x: px(xs), y: HEIGHT - BOTTOM + 15, "text-anchor": ["start", "middle", "end"][2 * at] }, short(Number(xs.toPrecision(3)), 6)));
  }
  parts.push(svg("text", { class: "name", x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 2, "text-anchor": "middle" }, xName));
  lines.forEach(({ points, dashed }, i) => {
    const path = points.map(([x, y]) => `${px(x).toFixed(1)},${py(y).toFixed(1)}`).join(" ");
    parts.push(svg("polyline", { class: `line line-${i}${dashed ? " dashed" : ""}`, points: path }));
  });
  return svg("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label }, ...parts);
}
