// One output explained: its window, what each pixel is multiplied with, and the sum.

import { windowAt } from "./correlate.mjs";
import { colourOf, palette } from "./colour.mjs";
import { h } from "./dom.mjs";
import { short } from "./kernel-text.mjs";
import { t } from "./text.mjs";

const WRITTEN = 12; // products in the sentence; the table holds them all

export class Arithmetic {
  #lead = h("p.lead", { "aria-live": "polite" });
  #table = h("table", { "aria-label": t("Pixel times weight, for each tap") });
  #sentence = h("p.sentence");
  #shape = "";
  /** @type {any[][]} */ #cells = [];

  constructor() {
    this.element = h(
      "section.arithmetic",
      { testid: "arithmetic", "aria-label": t("Arithmetic of one output") },
      h("div.words", {}, h("h2", {}, t("One output, explained")), this.#lead, this.#sentence),
      h("div.scroll", { tabindex: "0", role: "group", "aria-label": t("Window") }, this.#table),
    );
  }

  /**
   * @param {import("./correlate.mjs").Plane} plane @param {import("./correlate.mjs").Kernel} kernel
   * @param {import("./correlate.mjs").Options} options @param {[number, number]} pixel
   * @param {import("./colour.mjs").Scale} scale of the input
   * @returns {ReturnType<typeof windowAt>}
   */
  show(plane, kernel, options, [y, x], scale) {
    const window = windowAt(plane, kernel, options, y, x);
    const flat = window.taps.flat();
    this.#build(window.taps.length, window.taps[0].length);
    const colours = palette(scale);
    window.taps.forEach((line, i) =>
      line.forEach((tap, j) => {
        const { cell, pixel, weight, product } = this.#cells[i][j];
        const { background, ink } = colourOf(tap.pixel, scale, colours);
        cell.style.background = background;
        cell.style.color = ink;
        cell.className = tap.outside ? "outside" : "";
        cell.title = `${t("row")} ${tap.row}, ${t("column")} ${tap.column}${tap.outside ? `: ${t("padding")}` : ""}`;
        pixel.textContent = short(tap.pixel, 6);
        weight.textContent = `× ${short(tap.weight, 6)}`;
        product.textContent = short(tap.product, 7);
      }),
    );
    this.#lead.replaceChildren(`${t("output")}[${y}, ${x}] = `, h("strong", {}, short(window.sum, 12)));
    const products = flat.slice(0, WRITTEN).map((tap) => `${bracketed(tap.pixel)}·${bracketed(tap.weight)}`);
    const more = flat.length > WRITTEN ? ` + … (${flat.length - WRITTEN} ${t("more")})` : "";
    this.#sentence.textContent = `${products.join(" + ")}${more} = ${short(window.sum, 12)}`;
    return window;
  }

  /** @param {string} message */
  fail(message) {
    this.#lead.textContent = message;
    this.#sentence.textContent = "";
    this.#table.replaceChildren();
    this.#shape = "";
  }

  /** @param {number} rows @param {number} columns */
  #build(rows, columns) {
    if (this.#shape === `${rows}×${columns}`) return;
    this.#shape = `${rows}×${columns}`;
    this.#table.className = Math.max(rows, columns) > 7 ? "small" : "";
    this.#cells = Array.from({ length: rows }, () =>
      Array.from({ length: columns }, () => {
        const [pixel, weight, product] = [h("span.pixel"), h("span.weight"), h("span.product")];
        return { cell: h("td", {}, pixel, weight, product), pixel, weight, product };
      }),
    );
    this.#table.replaceChildren(h("tbody", {}, ...this.#cells.map((line) => h("tr", {}, ...line.map(({ cell }) => cell)))));
  }
}

/** @param {number} value */
const bracketed = (value) => (value < 0 ? `(${short(value, 6)})` : short(value, 6));
