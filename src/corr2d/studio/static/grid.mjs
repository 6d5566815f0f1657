// The kernel as a grid of numbers: typed, stepped with the wheel or the arrows, dragged, or pasted whole.

import { anchorOf } from "./anchor.mjs";
import { AFTER_OUTPUT, h, soon } from "./dom.mjs";
import { shape } from "./correlate.mjs";
import { stepOf, withTap } from "./kernel-edit.mjs";
import { parseKernel, parseNumber, short } from "./kernel-text.mjs";
import { t } from "./text.mjs";

const DRAG_FROM = 4; // CSS pixels; less is a click
const DRAG_STEP = 6; // CSS pixels for one step
const SCROLLING = 400; // milliseconds without a wheel after which a turn over a cell is meant for it

export class Grid {
  /** @type {HTMLInputElement[][]} */ #cells = [];
  #shape = "";
  #strongest = 1;
  /** @type {WeakMap<HTMLInputElement, string>} what a cell shows already */ #looks = new WeakMap();
  #lastWheel = { time: 0, cell: /** @type {EventTarget | null} */ (null) };

  /** @param {import("./store.mjs").Store} store @param {(message: string) => void} complain */
  constructor(store, complain) {
    this.store = store;
    this.complain = complain;
    this.element = h("div.grid", { role: "group", "aria-label": t("Kernel weights") });
    this.element.addEventListener("paste", (/** @type {ClipboardEvent} */ event) => this.#paste(event));
    store.listen(({ kernel, options }, changed) => {
      if (changed.has("kernel") || changed.has("options")) this.#show(kernel, options);
    });
  }

  /** @param {import("./correlate.mjs").Kernel} kernel @param {import("./correlate.mjs").Options} options */
  #show(kernel, options) {
    const [rows, columns] = shape(kernel);
    if (this.#shape !== `${rows}×${columns}`) this.#build(rows, columns);
    const strongest = Math.max(...kernel.weights.flat().map(Math.abs)) || 1;
    const [ay, ax] = anchorOf(kernel);
    kernel.weights.forEach((line, i) =>
      line.forEach((weight, j) => {
        const cell = this.#cells[i][j];
        // What is being typed is not rewritten under the writer's hands.
        if (cell !== document.activeElement || parseNumber(cell.value) !== weight) cell.value = this.#text(cell, weight, columns);
        cell.removeAttribute("aria-invalid");
        const isAnchor = options.padding === "same" && i === ay && j === ax;
        const looks = `${weight} ${isAnchor}`;
        if (this.#looks.get(cell) === looks) return; // a key changes one of up to 225
        this.#looks.set(cell, looks);
        const place = `${t("row")} ${i}, ${t("column")} ${j}`;
        cell.title = `${place}: ${weight}`;
        cell.setAttribute("aria-label", `${t("weight")} ${place}${isAnchor ? `, ${t("anchor")}` : ""}`);
        shade(cell, weight, strongest);
        cell.classList.toggle("negative", weight < 0);
        cell.classList.toggle("anchor", isAnchor);
      }),
    );
    if (strongest !== this.#strongest) this.#shadeAll();
    this.#strongest = strongest;
  }

  /** A new strongest weight is another shade for all, which is seen soon enough after the output. */
  #shadeAll = soon(AFTER_OUTPUT, () => {
    this.#cells.forEach((line, i) => line.forEach((cell, j) => shade(cell, this.#weight(i, j), this.#strongest)));
  });

  /** @param {HTMLInputElement} cell @param {number} weight @param {number} columns */
  #text(cell, weight, columns) {
    return cell === document.activeElement ? String(weight) : short(weight, columns > 11 ? 3 : columns > 9 ? 4 : columns > 5 ? 5 : 7);
  }

  /** @param {number} rows @param {number} columns */
  #build(rows, columns) {
    this.#shape = `${rows}×${columns}`;
    this.#cells = Array.from({ length: rows }, (_, i) => Array.from({ length: columns }, (_, j) => this.#cell(i, j)));
    this.element.style.setProperty("--columns", String(columns));
    this.element.classList.toggle("many", columns > 5);
    this.element.classList.toggle("crowded", columns > 9);
    this.element.replaceChildren(...this.#cells.flat());
  }

  /** @param {number} i @param {number} j @returns {HTMLInputElement} */
  #cell(i, j) {
    const cell = h("input", {
      testid: `kernel-cell-${i}-${j}`,
      inputmode: "text",
      autocomplete: "off",
      spellcheck: "false",
    });
    cell.addEventListener("input", () => this.#type(cell, i, j));
    cell.addEventListener("focus", () => {
      cell.value = String(this.#weight(i, j));
      cell.select();
    });
    cell.addEventListener("blur", () => {
      this.store.settle();
      this.#show(this.store.state.kernel, this.store.state.options);
    });
    cell.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#key(event, i, j));
    cell.addEventListener("wheel", (/** @type {WheelEvent} */ event) => this.#wheel(event, i, j), { passive: false });
    this.#drag(cell, i, j);
    return cell;
  }

  /** @param {number} i @param {number} j */
  #weight(i, j) {
    return this.store.state.kernel.weights[i][j];
  }

  /** @param {HTMLInputElement} cell @param {number} i @param {number} j */
  #type(cell, i, j) {
    const value = cell.value.trim() === "" ? 0 : parseNumber(cell.value);
    if (Number.isNaN(value)) {
      cell.setAttribute("aria-invalid", "true");
      return; // perhaps it becomes a number with the next key: "-", "1/"
    }
    cell.removeAttribute("aria-invalid");
    performance.mark("corr2d:key");
    this.store.set({ kernel: withTap(this.store.state.kernel, i, j, value) }, `cell ${i},${j}`);
  }

  /** @param {number} i @param {number} j @param {number} steps @param {string} tag @param {number} [from] */
  #step(i, j, steps, tag, from = this.#weight(i, j)) {
    const step = stepOf(this.store.state.kernel);
    // Rounded to the step's decimals, so that ten times 0.1 is 1.
    const value = Number((from + steps * step).toPrecision(12));
    this.store.set({ kernel: withTap(this.store.state.kernel, i, j, value) }, tag);
    const cell = this.#cells[i][j];
    if (cell === document.activeElement) {
      cell.value = String(value);
      cell.select();
    }
  }

  /** @param {KeyboardEvent} event @param {number} i @param {number} j */
  #key(event, i, j) {
    const moves = /** @type {Record<string, [number, number]>} */ ({
      ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1],
    });
    const move = moves[event.key];
    if (event.key === "Enter") {
      event.preventDefault();
      this.#focus(i + (event.shiftKey ? -1 : 1), j);
    } else if (move && (event.ctrlKey || event.altKey)) {
      event.preventDefault();
      this.#focus(i + move[0], j + move[1]);
    } else if (move && move[0]) {
      event.preventDefault();
      this.#step(i, j, -move[0] * (event.shiftKey ? 10 : 1), `cell ${i},${j}`);
    }
  }

  /** @param {number} i @param {number} j */
  #focus(i, j) {
    this.#cells[i]?.[j]?.focus();
  }

  /** @param {WheelEvent} event @param {number} i @param {number} j */
  #wheel(event, i, j) {
    const now = performance.now();
    const cell = event.currentTarget;
    const scrolling = now - this.#lastWheel.time < SCROLLING && this.#lastWheel.cell !== cell;
    const started = now - pageWheel.time < SCROLLING && pageWheel.target !== cell;
    if (scrolling || (started && cell !== document.activeElement)) return;
    event.preventDefault();
    this.#lastWheel = { time: now, cell };
    if (event.deltaY) this.#step(i, j, event.deltaY < 0 ? 1 : -1, `wheel ${i},${j}`);
  }

  /** @param {HTMLInputElement} cell @param {number} i @param {number} j */
  #drag(cell, i, j) {
    let start = /** @type {{y: number, weight: number, moved: boolean} | null} */ (null);
    cell.addEventListener("pointerdown", (event) => {
      if (event.button || event.pointerType === "touch") return; // a finger scrolls
      start = { y: event.clientY, weight: this.#weight(i, j), moved: false };
      cell.setPointerCapture(event.pointerId);
    });
    cell.addEventListener("pointermove", (event) => {
      if (!start) return;
      const distance = start.y - event.clientY;
      if (!start.moved && Math.abs(distance) < DRAG_FROM) return;
      start.moved = true;
      event.preventDefault();
      this.#step(i, j, Math.round(distance / DRAG_STEP), `drag ${i},${j}`, start.weight);
    });
    const end = () => {
      if (start?.moved) this.store.settle();
      start = null;
    };
    // A selected text that is dragged would begin a drag of its own, and end this one.
    cell.addEventListener("dragstart", (event) => event.preventDefault());
    cell.addEventListener("pointerup", end);
    cell.addEventListener("pointercancel", end);
  }

  /** @param {ClipboardEvent} event */
  #paste(event) {
    const text = event.clipboardData?.getData("text") ?? "";
    if (!Number.isNaN(parseNumber(text)) || !/\d/.test(text)) return; // one number goes into its cell
    event.preventDefault();
    try {
      this.store.set({ kernel: parseKernel(text) });
      this.complain("");
    } catch (error) {
      this.complain(error instanceof Error ? error.message : String(error));
    }
  }
}

/** @param {HTMLInputElement} cell @param {number} weight @param {number} strongest */
function shade(cell, weight, strongest) {
  cell.style.setProperty("--strength", String((0.75 * Math.abs(weight)) / strongest));
}

// Where the wheel was last turned: a page that is being scrolled does not edit the cells that pass below the pointer.
const pageWheel = { time: 0, target: /** @type {EventTarget | null} */ (null) };
addEventListener(
  "wheel",
  (event) => {
    const target = event.composedPath()[0];
    queueMicrotask(() => Object.assign(pageWheel, { time: performance.now(), target }));
  },
  { passive: true, capture: true },
);
