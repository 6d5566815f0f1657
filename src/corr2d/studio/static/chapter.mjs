// The guided tour: a text, and a state of the page that goes with it.

import { geometry, sourceIndex } from "./correlate.mjs";
import { h } from "./dom.mjs";
import { STEPS } from "./chapter-steps.mjs";
import { START } from "./store.mjs";
import { short } from "./kernel-text.mjs";
import { language, t } from "./text.mjs";

/** @param {{store: import("./store.mjs").Store, picture: () => import("./pictures.mjs").Picture | null, learn: (step: import("./chapter-steps.mjs").Step) => void}} bench */
export function chapterPanel({ store, picture, learn }) {
  const title = h("h2", { tabindex: "-1" });
  const text = h("div.text");
  const extra = h("div.scroll");
  const counter = h("span.hint");
  const go = (/** @type {number} */ to) => {
    apply(to);
    title.focus({ preventScroll: true });
  };
  const back = h("button", { type: "button", testid: "chapter-back", onclick: () => go(Number(store.state.step) - 1) }, t("Back"));
  const next = h("button.primary", { type: "button", testid: "chapter-next", onclick: () => go(Number(store.state.step) + 1) }, t("Next"));
  const element = h(
    "section.chapter",
    { "aria-label": t("Chapter"), testid: "chapter" },
    h("div.row.spread", {}, title, h("button", { type: "button", onclick: () => store.set({ step: null }) }, t("Close"))),
    text,
    extra,
    h("div.row.spread", {}, h("div.row", {}, back, next, h("button", { type: "button", onclick: () => go(Number(store.state.step)) }, t("Set up again"))), counter),
  );

  /** @param {number} index */
  function apply(index) {
    const step = STEPS[index];
    if (!step) return;
    store.set({
      step: index,
      picture: step.picture,
      kernel: { weights: step.kernel, anchor: null, name: step.name ?? "" },
      options: { ...START.options, padding: "valid", ...step.options },
      pixel: step.pixel,
      display: "auto",
    });
  }

  let shown = /** @type {number | null} */ (null);
  store.listen(({ step, kernel, options, pixel }, changed) => {
    element.hidden = step === null || !STEPS[step];
    if (element.hidden) {
      shown = null;
      return;
    }
    const now = STEPS[Number(step)];
    if (changed.has("step")) {
      title.textContent = now.title[language()];
      text.replaceChildren(...now.text[language()].map((paragraph) => h("p", {}, paragraph)));
      counter.textContent = `${Number(step) + 1} / ${STEPS.length}`;
      back.disabled = step === 0;
      next.disabled = step === STEPS.length - 1;
      if (now.extra !== "matrix") extra.replaceChildren();
    }
    if (now.extra === "learn" && shown !== step) queueMicrotask(() => learn(now));
    shown = step;
    if (now.extra === "matrix") queueMicrotask(() => {
      const current = picture();
      if (current && STEPS[Number(store.state.step)]?.extra === "matrix") extra.replaceChildren(matrixTable(current.plane, kernel, options, pixel));
    });
  });

  return { element, start: () => apply(0) };
}

/**
 * The matrix A with output = A · picture, written as a table, with the row of one output marked.
 * @param {import("./correlate.mjs").Plane} plane @param {import("./correlate.mjs").Kernel} kernel
 * @param {import("./correlate.mjs").Options} options @param {[number, number] | null} pixel
 */
function matrixTable(plane, kernel, options, pixel) {
  if (plane.data.length > 40) return h("p.hint", {}, t("The matrix is shown for small pictures only."));
  let sizes;
  try {
    sizes = geometry(plane, kernel, options);
  } catch {
    return h("p");
  }
  const rows = matrix(plane, kernel, options, sizes);
  const marked = pixel ? pixel[0] * sizes.width + pixel[1] : -1;
  return h(
    "table.matrix",
    { "aria-label": t("Matrix of the correlation, and the picture as a column") },
    h("tbody", {}, ...rows.map((line, r) => h(r === marked ? "tr.marked" : "tr", {}, ...line.map((weight) => h(weight ? "td" : "td.zero", {}, short(weight, 5)))))),
  );
}

/**
 * Row after row of A: each padded position falls on a pixel, or on the fill value, which no matrix holds.
 * @param {import("./correlate.mjs").Plane} plane @param {import("./correlate.mjs").Kernel} kernel
 * @param {import("./correlate.mjs").Options} options @param {import("./correlate.mjs").Geometry} sizes
 */
export function matrix(plane, kernel, { boundary, stride, dilation }, { top, left, height, width }) {
  return Array.from({ length: height * width }, (_, r) => {
    const line = new Array(plane.data.length).fill(0);
    const [y, x] = [Math.floor(r / width), r % width];
    kernel.weights.forEach((weights, i) =>
      weights.forEach((weight, j) => {
        const row = sourceIndex(boundary, y * stride - top + i * dilation, plane.height);
        const column = sourceIndex(boundary, x * stride - left + j * dilation, plane.width);
        if (row >= 0 && column >= 0) line[row * plane.width + column] += weight;
      }),
    );
    return line;
  });
}
