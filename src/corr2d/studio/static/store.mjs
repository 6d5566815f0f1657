// What the page shows, in one object; who is told when it changes; the way back.

/**
 * @typedef {object} State
 * @property {string} picture  a key of pictures.mjs
 * @property {import("./correlate.mjs").Kernel} kernel
 * @property {import("./correlate.mjs").Options} options
 * @property {[number, number] | null} pixel  the output that is explained
 * @property {"auto" | "signed" | "gray"} display
 * @property {string} target  of the export
 * @property {number | null} step  of the chapter
 * @property {"en" | "zh"} language
 */

const UNDOABLE = ["kernel", "options"];
const MOST_STEPS = 200;

/** @type {State} */
export const START = {
  picture: "0",
  kernel: { weights: [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], anchor: null, name: "sobel-x" },
  options: { padding: "same", boundary: "reflect", fill: 0, stride: 1, dilation: 1, convolve: false },
  pixel: null,
  display: "auto",
  target: "numpy",
  step: null,
  language: "en",
};

export class Store {
  /** @type {Set<(state: State, changed: Set<string>) => void>} */
  #listeners = new Set();
  /** @type {Partial<State>[]} */ #past = [];
  /** @type {Partial<State>[]} */ #future = [];
  #tag = "";

  /** @param {Partial<State>} state */
  constructor(state = {}) {
    /** @type {State} */
    this.state = { ...START, ...state };
  }

  /**
   * Change some of the state. Changes with the same tag, one after another, are undone together.
   * @param {Partial<State>} patch @param {string} [tag]
   */
  set(patch, tag = "") {
    const changed = Object.keys(patch).filter((key) => !same(/** @type {any} */ (this.state)[key], /** @type {any} */ (patch)[key]));
    if (!changed.length) return;
    if (changed.some((key) => UNDOABLE.includes(key))) {
      if (!tag || tag !== this.#tag) this.#past = [...this.#past.slice(1 - MOST_STEPS), this.#kept()];
      this.#future = [];
      this.#tag = tag;
    }
    this.state = { ...this.state, ...patch };
    this.#tell(changed);
  }

  /** @param {Partial<import("./correlate.mjs").Options>} patch @param {string} [tag] */
  setOptions(patch, tag) {
    this.set({ options: { ...this.state.options, ...patch } }, tag);
  }

  /** The next change begins a new entry of the history. */
  settle() {
    this.#tag = "";
  }

  undo() {
    this.#move(this.#past, this.#future);
  }

  redo() {
    this.#move(this.#future, this.#past);
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  get canRedo() {
    return this.#future.length > 0;
  }

  /** @param {(state: State, changed: Set<string>) => void} listener @returns {() => void} */
  listen(listener) {
    this.#listeners.add(listener);
    listener(this.state, new Set(Object.keys(this.state)));
    return () => this.#listeners.delete(listener);
  }

  /** @param {Partial<State>[]} from @param {Partial<State>[]} to */
  #move(from, to) {
    const kept = from.pop();
    if (!kept) return;
    to.push(this.#kept());
    this.#tag = "";
    this.state = { ...this.state, ...kept };
    this.#tell(UNDOABLE);
  }

  /** @returns {Partial<State>} */
  #kept() {
    return { kernel: this.state.kernel, options: this.state.options };
  }

  /** @param {string[]} changed */
  #tell(changed) {
    for (const listener of [...this.#listeners]) listener(this.state, new Set(changed));
  }
}

/** @param {any} a @param {any} b */
const same = (a, b) => a === b || JSON.stringify(a) === JSON.stringify(b);
