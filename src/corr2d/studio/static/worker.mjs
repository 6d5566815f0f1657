// Correlation beside the page, so that typing never waits for it.

import { correlate } from "./correlate.mjs";

/** @type {import("./correlate.mjs").Plane | null} */
let plane = null;

self.onmessage = ({ data: { job, picture, kernel, options } }) => {
  if (picture) plane = picture;
  if (!plane) return;
  try {
    const start = performance.now();
    const output = correlate(plane, kernel, options);
    const result = { job, output, milliseconds: performance.now() - start };
    self.postMessage(result, { transfer: output.data === plane.data ? [] : [output.data.buffer] });
  } catch (error) {
    self.postMessage({ job, error: error instanceof Error ? error.message : String(error) });
  }
};
