// Correlation beside the page, so that typing never waits for it.

import { Renderer } from "./render.mjs";

const PAUSE = 200; // milliseconds without an edit

/** @type {import("./render.mjs").Picture | null} */
let shown = null;
const renderer = new Renderer();
let timer = 0;

self.onmessage = ({ data: { picture, kernel, options, look } }) => {
  clearTimeout(timer);
  if (picture) shown = picture;
  if (!shown) return;
  try {
    const rendered = renderer.run(shown, kernel, options, look);
    self.postMessage({ rendered }, { transfer: [rendered.output.data.buffer, rendered.image.data.buffer] });
    timer = setTimeout(() => renderer.refresh(), PAUSE);
  } catch (error) {
    self.postMessage({ error: error instanceof Error ? error.message : String(error) });
  }
};
