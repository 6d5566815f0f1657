// The output for the state of now: here where it takes a moment, so that it is in the very next frame; else one job
// in the worker, and only the newest one waiting.

import { Renderer } from "./render.mjs";
import { shape } from "./correlate.mjs";

const AT_ONCE = 4e6; // multiplications, a few milliseconds: a weight changed, or a small kernel
const EDITS = 4; // in a row, after which whole sums are asked for, to go on from with fewer roundings
const PAUSE = 200; // milliseconds without an edit, after which they are asked for in any case

/**
 * @typedef {import("./render.mjs").Job} Job
 * @typedef {Job & {turn: number}} Turn  counted, so that one knows which is newer
 * @typedef {{rendered?: import("./render.mjs").Rendered, error?: string}} Result
 */

export class Computer {
  /** @type {Worker | null} */ #worker = null;
  #renderer = new Renderer();
  #turns = 0;
  /** @type {Turn | null} */ #shown = null;
  /** @type {Turn | null} */ #waiting = null;
  /** @type {Turn | null} */ #running = null;
  /** @type {import("./correlate.mjs").Plane | null} */ #sent = null;
  #pause = 0;

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
        const job = this.#waiting ?? (this.idle ? null : this.#running);
        this.#running = this.#waiting = null;
        if (job) this.run(job);
      };
    } catch {
      this.#worker = null;
    }
  }

  /** @param {Job} job */
  run(job) {
    clearTimeout(this.#pause);
    const turn = { ...job, turn: ++this.#turns };
    const result = this.#here(turn);
    if (!result) {
      this.#waiting = turn;
      if (!this.#running) this.#send();
      return;
    }
    this.#waiting = null;
    this.#shown = turn;
    if (this.#renderer.edits >= EDITS) this.#refresh();
    else this.#pause = setTimeout(() => this.#refresh(), PAUSE);
    this.done(result);
  }

  /** Is the last result that came the one of now? */
  get idle() {
    return !this.#waiting && !this.#isNewer(this.#running);
  }

  close() {
    clearTimeout(this.#pause);
    this.#worker?.terminate();
  }

  /** @param {Job} job @returns {Result | null}  nothing, where it would take long and there is a worker */
  #here(job) {
    try {
      const rendered = this.#renderer.run(job, this.#worker ? AT_ONCE : Infinity);
      return rendered && { rendered };
    } catch (error) {
      return { error: error instanceof Error ? error.message : String(error) };
    }
  }

  /** @param {Turn | null} job */
  #isNewer(job) {
    return (job?.turn ?? 0) > (this.#shown?.turn ?? 0);
  }

  #send() {
    const job = this.#waiting;
    if (!job) return;
    this.#waiting = null;
    this.#running = job;
    // The picture goes over once, and not with every job.
    const { plane, channels } = job.picture;
    const picture = plane === this.#sent ? null : { plane, channels };
    this.#sent = plane;
    /** @type {Worker} */ (this.#worker).postMessage({ ...job, picture });
  }

  /** @param {Result} result */
  #finished(result) {
    const job = /** @type {Turn} */ (this.#running);
    this.#running = null;
    const { rendered } = result;
    if (this.#isNewer(job)) {
      this.#shown = job;
      if (rendered) this.#renderer.adopt(job, rendered);
      this.done(result);
    } else if (rendered && isNear(job, /** @type {Turn} */ (this.#shown))) {
      this.#renderer.adopt(job, rendered);
    }
    // Perhaps it is now but an edit of what has come.
    if (this.#waiting) this.run(this.#waiting);
  }

  /** Whole sums for what is shown, and for the edits that follow. */
  #refresh() {
    if (!this.#worker || this.#running || !this.#renderer.edits) return;
    this.#waiting = this.#shown;
    this.#send();
  }
}

/** Could one be an edit of the other? @param {Job} a @param {Job} b */
function isNear(a, b) {
  return a.picture.plane === b.picture.plane && a.options === b.options && String(shape(a.kernel)) === String(shape(b.kernel));
}
