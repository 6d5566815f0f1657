// How the kernel meets the picture: which way round, what lies outside, how far apart.

import { turned } from "./correlate.mjs";
import { anchorField } from "./anchor.mjs";
import { AFTER_OUTPUT, field, h, select, soon } from "./dom.mjs";
import { parseNumber } from "./kernel-text.mjs";
import { t } from "./text.mjs";

/** @param {import("./store.mjs").Store} store */
export function optionsPanel(store) {
  const boundary = select(
    [
      ["constant", t("constant · one value")],
      ["edge", t("edge · last pixel repeated")],
      ["reflect", t("reflect · mirror on the pixel")],
      ["symmetric", t("symmetric · mirror behind it")],
      ["wrap", t("wrap · the other side")],
    ],
    { testid: "boundary", onchange: () => store.setOptions({ boundary: boundary.value }) },
  );
  const fill = h("input", {
    size: "6",
    autocomplete: "off",
    oninput: () => {
      const value = parseNumber(fill.value);
      if (!Number.isNaN(value)) store.setOptions({ fill: value }, "fill");
    },
  });
  const padding = select(
    [["same", t("same · size of the picture")], ["valid", t("valid · none")], ["full", t("full · wherever they touch")],
      ...[1, 2, 3, 4, 8, 16].map((n) => /** @type {[string, string]} */ ([String(n), `${n}`]))],
    { testid: "padding", onchange: () => store.setOptions({ padding: Number(padding.value) || padding.value }) },
  );
  const step = (/** @type {"stride" | "dilation"} */ name) =>
    select([1, 2, 3, 4, 5, 6, 7, 8].map((n) => /** @type {[string, string]} */ ([String(n), String(n)])), {
      testid: name,
      onchange: (/** @type {any} */ event) => store.setOptions({ [name]: Number(event.target.value) }),
    });
  const [stride, dilation] = [step("stride"), step("dilation")];

  const choice = (/** @type {boolean} */ convolve, /** @type {string} */ word) =>
    h("label", {}, h("input", { type: "radio", name: "direction", value: String(convolve), onchange: () => store.setOptions({ convolve }) }), h("span", {}, word));
  const [correlation, convolution] = [choice(false, t("Correlation")), choice(true, t("Convolution"))];
  const applied = h("div.applied", { role: "img" });
  const turn = h("p.hint");
  const draw = soon(AFTER_OUTPUT, () => drawApplied(applied, store.state));

  store.listen(({ options }, changed) => {
    if (changed.has("kernel")) draw();
    if (!changed.has("options")) return;
    boundary.value = options.boundary;
    if (parseNumber(fill.value) !== options.fill) fill.value = String(options.fill);
    fill.parentElement?.classList.toggle("off", options.boundary !== "constant");
    padding.value = String(options.padding);
    boundary.disabled = options.padding === "valid";
    stride.value = String(options.stride);
    dilation.value = String(options.dilation);
    (options.convolve ? convolution : correlation).querySelector("input").checked = true;
    draw();
    applied.classList.toggle("turned", options.convolve);
    turn.textContent = options.convolve
      ? t("Convolution turns the kernel by 180° before it multiplies.")
      : t("Correlation multiplies the kernel as it is written.");
  });

  return h(
    "section.options",
    { "aria-label": t("How it is applied") },
    h("h2", {}, t("How it is applied")),
    h("div.row.turning", {}, h("div", {}, h("div.switch", { role: "radiogroup", "aria-label": t("Correlation or convolution") }, correlation, convolution), turn), applied),
    field(t("Boundary"), boundary),
    field(t("Value outside"), fill),
    field(t("Padding"), padding),
    anchorField(store),
    h("div.row", {}, field(t("Stride"), stride), field(t("Dilation"), dilation)),
  );
}

/** The kernel as a small picture that can be seen to turn. @param {HTMLElement} element @param {import("./store.mjs").State} state */
function drawApplied(element, { kernel, options }) {
  const weights = kernel.weights.flat();
  const strongest = Math.max(...weights.map(Math.abs)) || 1;
  element.style.setProperty("--columns", String(kernel.weights[0].length));
  element.style.setProperty("--rows", String(kernel.weights.length));
  if (element.childElementCount !== weights.length) element.replaceChildren(...weights.map(() => h("i")));
  weights.forEach((weight, n) => {
    const cell = /** @type {HTMLElement} */ (element.children[n]);
    cell.className = weight < 0 ? "negative" : "";
    cell.style.setProperty("--strength", String((0.9 * Math.abs(weight)) / strongest));
  });
  const rows = (options.convolve ? turned(kernel) : kernel).weights;
  element.setAttribute("aria-label", `${t("The kernel as it meets the pixels")}: ${rows.map((line) => line.join(" ")).join("; ")}`);
}
