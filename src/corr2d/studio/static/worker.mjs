// Correlation beside the page, so that typing never waits for it.

import { Edits } from "./edits.mjs";

/** @type {import("./correlate.mjs").Plane | null} */
let plane = null;
const edits = new Edits();

self.onmessage = ({ data: { job, picture, kernel, options } }) => {
  if (picture) plane = picture;
  if (!plane) return;
  try {
    const output = edits.run(plane, kernel, options);
    self.postMessage({ job, output }, { transfer: [output.data.buffer] });
  } catch (error) {
    self.postMessage({ job, error: error instanceof Error ? error.message : String(error) });
  }
};
