// The output for the state of now: one job in the worker, and only the newest one waiting.

import { Renderer } from "./render.mjs";

/**
 * @typedef {{rendered?: import("./render.mjs").Rendered, error?: string}} Result
 * @typedef {object} Job
 * @property {import("./render.mjs").Picture} picture
 * @property {import("./correlate.mjs").Kernel} kernel
 * @property {import("./correlate.mjs").Options} options
 * @property {import("./render.mjs").Look} look
 */

export class Computer {
  /** @type {Worker | null} */ #worker = null;
  /** @type {Renderer | null} */ #own = null;
  /** @type {Job | null} */ #waiting = null;
  /** @type {Job | null} */ #running = null;
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
        this.#waiting ??= this.#running;
        this.#running = null;
        this.#next();
      };
    } catch {
      this.#worker = null;
    }
  }

  /** @param {Job} job */
  run(job) {
    this.#waiting = job;
    if (!this.#running) this.#next();
  }

  /** Is the last result that came the one of now? */
  get idle() {
    return !this.#waiting && !this.#running;
  }

  close() {
    this.#worker?.terminate();
  }

  #next() {
    const job = this.#waiting;
    if (!job) return;
    this.#waiting = null;
    if (!this.#worker) {
      this.done(this.#here(job));
      return;
    }
    this.#running = job;
    // The picture goes over once, and not with every key.
    const { plane, channels } = job.picture;
    const picture = plane === this.#sent ? null : { plane, channels };
    this.#sent = plane;
    this.#worker.postMessage({ ...job, picture });
  }

  /** @param {Result} result */
  #finished(result) {
    this.#running = null;
    this.done(result);
    this.#next();
  }

  /** @param {Job} job @returns {Result} */
  #here({ picture, kernel, options, look }) {
    this.#own ??= new Renderer();
    try {
      return { rendered: this.#own.run(picture, kernel, options, look) };
    } catch (error) {
      return { error: error instanceof Error ? error.message : String(error) };
    }
  }
}
