// Gradient descent to watch: a step a frame, the kernel as it moves, the loss as it falls.

import { lineChart } from "./chart.mjs";
import { Descent, largestRate, statistics } from "./descent.mjs";
import { field, h } from "./dom.mjs";
import { parseNumber, short } from "./kernel-text.mjs";
import { t } from "./text.mjs";

const PER_FRAME = [1, 1, 2, 5, 20, 100, 500]; // steps, for each tenfold of steps done

/** @param {{store: import("./store.mjs").Store, pair: import("./learn-panel.mjs").Pair}} given */
export function descentPanel({ store, pair }) {
  /** @type {Descent | null} */ let descent = null;
  let seed = 1;
  let frame = 0;
  let last = Infinity;
  /** @type {number[][] | null} the kernel of least squares */ let floor = null;
  const curve = h("div.curve");
  const weights = h("div.scroll");
  const said = h("p.hint", { testid: "descent-state", "aria-live": "off" });
  const rate = h("input", { size: "9", autocomplete: "off", testid: "descent-rate", oninput: () => {
    if (descent && parseNumber(rate.value) > 0) descent.rate = parseNumber(rate.value);
  } });

  function begin() {
    if (descent) return descent;
    if (!pair.before || !pair.after) throw new Error(t("Choose a picture before and one after, or use the two above."));
    if (pair.before.step > 1) throw new Error(t("Descent runs on pictures of up to 512 × 512; the other way takes any size."));
    const { size, bias } = panel.settings();
    const found = statistics(pair.before.plane, pair.after.plane, size[0], size[1], bias, pair.before.white);
    const most = largestRate(found);
    if (!(parseNumber(rate.value) > 0)) rate.value = String(Number((0.9 * most).toPrecision(2)));
    descent = new Descent(found, parseNumber(rate.value), seed);
    return descent;
  }

  const go = (/** @type {() => void} */ work) => () => {
    try {
      begin();
      work();
    } catch (error) {
      pause();
      said.textContent = error instanceof Error ? error.message : String(error);
    }
  };
  function pause() {
    cancelAnimationFrame(frame);
    frame = 0;
    play.textContent = t("Descend");
  }
  function turn() {
    const running = /** @type {Descent} */ (descent);
    const pace = PER_FRAME[Math.min(PER_FRAME.length - 1, Math.floor(Math.log10(running.step + 1)))];
    running.run(Math.min(pace, last - running.step));
    draw();
    if (running.step >= last || !Number.isFinite(running.loss) || running.step >= 1e6) return pause();
    frame = requestAnimationFrame(turn);
  }
  const play = h("button", { type: "button", testid: "descent-run", onclick: go(() => {
    if (frame) return pause();
    if (descent && descent.step >= last) last = Infinity;
    play.textContent = t("Pause");
    frame = requestAnimationFrame(turn);
  }) }, t("Descend"));
  const once = h("button", { type: "button", testid: "descent-step", onclick: go(() => {
    pause();
    descent?.run(1);
    draw();
  }) }, t("One step"));
  const again = h("button", { type: "button", onclick: () => {
    seed++;
    panel.reset();
  } }, t("Start again"));
  const take = h("button", { type: "button", onclick: () => {
    if (descent) store.set({ kernel: { weights: descent.kernel.map((line) => line.map((weight) => Number(weight.toPrecision(6)))), anchor: null, name: "" } });
  } }, t("Put it into the editor"));

  function draw() {
    const now = /** @type {Descent} */ (descent);
    const losses = [...now.losses, now.loss];
    const every = Math.ceil(losses.length / 400);
    const points = losses.map((loss, i) => /** @type {[number, number]} */ ([i, loss])).filter(([i]) => i % every === 0 || i === losses.length - 1);
    const visible = points.map(([i, loss]) => /** @type {[number, number]} */ ([i, Math.max(loss, 1e-16 * losses[0])]));
    curve.replaceChildren(lineChart({ lines: [{ name: t("loss"), points: visible }], x: [0, Math.max(1, losses.length - 1)], log: true, xName: t("steps"), label: `${t("loss")} ${short(now.loss, 8)}, ${t("step")} ${now.step}` }));
    weights.replaceChildren(h("table.weights", {}, h("tbody", {}, ...now.kernel.map((line) => h("tr", {}, ...line.map((weight) => h("td", {}, h("b", {}, short(Number(weight.toFixed(4)), 7)))))))));
    const diverged = !Number.isFinite(now.loss) || now.loss > 1e6 * (now.losses[0] + 1e-300);
    const far = floor && sameShape(floor, now.kernel) ? ` · ${t("distance to least squares")} ${short(Number(distance(now.kernel, floor).toPrecision(2)), 7)}` : "";
    said.textContent = `${t("step")} ${now.step} · ${t("loss")} ${short(Number(now.loss.toPrecision(4)), 9)}${far}${diverged ? ` · ${t("It diverges: take a smaller rate.")}` : ""}`;
  }

  const panel = {
    element: h(
      "div.descent",
      {},
      h("h3", {}, t("Gradient descent")),
      h("div.tools", {}, play, once, again),
      field(t("Learning rate"), rate),
      said,
      curve,
      weights,
      take,
    ),
    /** @type {() => {size: number[], bias: boolean}} */
    settings: () => ({ size: [3, 3], bias: true }),
    /** Other pictures or another size: forget what was learnt. */
    reset() {
      pause();
      descent = null;
      floor = null;
      last = Infinity;
      rate.value = "";
      said.textContent = "";
      curve.replaceChildren();
      weights.replaceChildren();
    },
    /** @param {number} given @param {number} steps */
    prepare(given, steps) {
      panel.reset();
      rate.value = String(given);
      last = steps;
    },
    /** @param {number[][]} kernel */
    closedForm(kernel) {
      floor = kernel;
      if (descent) draw();
    },
  };
  return panel;
}

/** @param {any} a @param {any} b */
const sameShape = (a, b) => a.length === b.length && a[0].length === b[0].length;

/** @param {number[][]} a @param {any} b */
const distance = (a, b) => Math.hypot(...a.flatMap((line, i) => line.map((weight, j) => weight - b[i][j])));
