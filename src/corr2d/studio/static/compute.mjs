// The output for the state of now: one job in the worker, and only the newest one waiting.

import { correlate } from "./correlate.mjs";

/**
 * @typedef {import("./correlate.mjs").Plane & {geometry: import("./correlate.mjs").Geometry}} Output
 * @typedef {{output?: Output, error?: string, milliseconds?: number}} Result
 */

export class Computer {
  /** @type {Worker | null} */ #worker = null;
  /** @type {any} */ #waiting = null;
  /** @type {any} */ #running = null;
  #busy = false;
  #job = 0;
  /** @type {import("./correlate.mjs").Plane | null} */ #sent = null;

  /** @param {() => Worker} makeWorker @param {(result: Result) => void} done */
  constructor(makeWorker, done) {
    this.done = done;
    try {
      this.#worker = makeWorker();
      this.#worker.onmessage = ({ data }) => this.#finished(data);
      this.#worker.onerror = (event) => {
        // A notebook may forbid workers; then the page computes by itself.
        event.preventDefault();
        this.#worker = null;
        this.#busy = false;
        this.#waiting ??= this.#running;
        this.#next();
      };
    } catch {
      this.#worker = null;
    }
  }

  /** @param {import("./correlate.mjs").Plane} plane @param {import("./correlate.mjs").Kernel} kernel @param {import("./correlate.mjs").Options} options */
  run(plane, kernel, options) {
    this.#waiting = { plane, kernel, options };
    if (!this.#busy) this.#next();
  }

  /** Is nothing waiting behind the result that just came? */
  get idle() {
    return !this.#waiting;
  }

  close() {
    this.#worker?.terminate();
  }

  #next() {
    if (!this.#waiting) return;
    const { plane, kernel, options } = this.#waiting;
    if (!this.#worker) {
      this.#waiting = null;
      this.done(here(plane, kernel, options));
      return;
    }
    this.#busy = true;
    this.#running = this.#waiting;
    const picture = plane === this.#sent ? null : plane;
    this.#sent = plane;
    this.#waiting = null;
    this.#worker.postMessage({ job: ++this.#job, picture, kernel, options });
  }

  /** @param {Result & {job: number}} result */
  #finished(result) {
    this.#busy = false;
    this.done(result);
    this.#next();
  }
}

/** @param {import("./correlate.mjs").Plane} plane @param {import("./correlate.mjs").Kernel} kernel @param {import("./correlate.mjs").Options} options @returns {Result} */
function here(plane, kernel, options) {
  try {
    return { output: correlate(plane, kernel, options) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}
