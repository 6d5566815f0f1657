// Everything that changes the kernel: presets, the grid, whole-kernel tools, size, text, and the way back.

import { afterPause, field, h, put, select } from "./dom.mjs";
import { Grid } from "./grid.mjs";
import { shape } from "./correlate.mjs";
import * as edit from "./kernel-edit.mjs";
import { parseKernel, parseNumber, rowsText } from "./kernel-text.mjs";
import { t } from "./text.mjs";

/** @param {import("./store.mjs").Store} store @param {import("./correlate.mjs").Kernel[]} presets */
export function kernelPanel(store, presets) {
  const message = h("p.error", { role: "alert" });
  const complain = (/** @type {string} */ text) => (message.textContent = text);
  const change = (/** @type {(kernel: import("./correlate.mjs").Kernel) => import("./correlate.mjs").Kernel} */ work) => {
    complain("");
    store.set({ kernel: work(store.state.kernel) });
  };

  const preset = select([["", t("own weights")], ...presets.map(({ name }) => /** @type {[string, string]} */ ([name ?? "", name ?? ""]))], {
    testid: "preset",
    "aria-label": t("Preset"),
    onchange: () => {
      const chosen = presets.find(({ name }) => name === preset.value);
      if (chosen) change(() => ({ ...chosen, anchor: chosen.anchor ?? null }));
    },
  });

  const grid = new Grid(store, complain);
  const size = (/** @type {0 | 1} */ which, /** @type {string} */ word) => {
    const numbers = Array.from({ length: edit.MOST_TAPS }, (_, i) => /** @type {[string, string]} */ ([String(i + 1), String(i + 1)]));
    return select(numbers, {
      testid: which ? "kernel-columns" : "kernel-rows",
      "aria-label": word,
      onchange: (/** @type {any} */ event) => {
        const sizes = shape(store.state.kernel);
        sizes[which] = Number(event.target.value);
        change((kernel) => edit.resize(kernel, ...sizes));
      },
    });
  };
  const [rows, columns] = [size(0, t("Rows")), size(1, t("Columns"))];

  const tool = (/** @type {string} */ word, /** @type {string} */ help, /** @type {() => void} */ onclick) =>
    h("button", { type: "button", title: help, onclick }, word);
  const factor = h("input", { value: "2", size: "4", "aria-label": t("Factor"), autocomplete: "off" });
  const tools = h(
    "div.tools",
    { role: "toolbar", "aria-label": t("Whole kernel") },
    tool(t("Transpose"), t("Rows become columns"), () => change(edit.transpose)),
    tool(t("Rotate"), t("A quarter turn, anticlockwise"), () => change(edit.rotate)),
    tool(t("Flip ↔"), t("Left becomes right"), () => change(edit.flipAcross)),
    tool(t("Flip ↕"), t("Top becomes bottom"), () => change(edit.flipDown)),
    tool(t("Normalise"), t("Weights that sum to 1, or to magnitudes of 1 where they sum to 0"), () => change(edit.normalise)),
    tool(t("Clear"), t("All weights 0"), () => change((kernel) => edit.scale(kernel, 0))),
    h(
      "span.joined",
      {},
      tool("×", t("Multiply every weight with this number"), () => {
        const number = parseNumber(factor.value);
        if (Number.isNaN(number)) complain(`${t("Not a number:")} ${factor.value}`);
        else change((kernel) => edit.scale(kernel, number));
      }),
      factor,
    ),
  );

  const [undo, redo] = [
    h("button", { type: "button", title: "Ctrl+Z", onclick: () => store.undo() }, t("Undo")),
    h("button", { type: "button", title: "Ctrl+Shift+Z", onclick: () => store.redo() }, t("Redo")),
  ];

  const text = h("textarea", {
    rows: "3",
    spellcheck: "false",
    "aria-label": t("Kernel as text"),
    placeholder: "np.array([[1, 2], [3, 4]])\n[1 2; 3 4]\n1,2",
    oninput: afterPause(250, () => {
      if (!text.value.trim()) return complain("");
      try {
        const kernel = parseKernel(text.value);
        change(() => kernel);
      } catch (error) {
        complain(error instanceof Error ? error.message : String(error));
      }
    }),
  });
  const fromText = h(
    "details",
    {},
    h("summary", {}, t("Paste or copy as text")),
    text,
    h("p.hint", {}, t("NumPy, MATLAB, CSV, a table, a kernel file. Fractions such as 1/9 are numbers.")),
  );
  // The text is kept ready, as "toggle" comes late: what was pasted at once would be overwritten.
  fromText.addEventListener("toggle", () => {
    if (!fromText.open) text.value = rowsText(store.state.kernel.weights);
  });

  store.listen(({ kernel }, changed) => {
    if (!changed.has("kernel")) return;
    const [r, c] = shape(kernel);
    put(rows, String(r));
    put(columns, String(c));
    put(preset, presets.some(({ name }) => name === kernel.name) ? (kernel.name ?? "") : "");
    undo.disabled = !store.canUndo;
    redo.disabled = !store.canRedo;
    if (document.activeElement !== text) text.value = rowsText(kernel.weights);
  });

  return h(
    "section.kernel",
    { "aria-label": t("Kernel") },
    h("div.row.spread", {}, h("h2", {}, t("Kernel")), h("div.row", {}, undo, redo)),
    field(t("Preset"), preset),
    h("div.scroll", {}, grid.element),
    h("p.hint", {}, t("Type, turn the wheel, or drag up and down. ↑ ↓ step, Enter goes down, Ctrl and arrows move.")),
    h("div.row", {}, field(t("Rows"), rows), field(t("Columns"), columns)),
    tools,
    fromText,
    message,
  );
}
