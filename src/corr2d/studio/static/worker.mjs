// Whole sums beside the page, so that typing never waits for them.

import { Renderer } from "./render.mjs";

/** @type {import("./render.mjs").Picture | null} */
let shown = null;

self.onmessage = ({ data: { picture, kernel, options, look } }) => {
  if (picture) shown = picture;
  if (!shown) return;
  try {
    const rendered = new Renderer().run({ picture: shown, kernel, options, look });
    const { output, colours, image } = /** @type {import("./render.mjs").Rendered} */ (rendered);
    self.postMessage({ rendered }, { transfer: [output, ...(colours ?? []), image].map(({ data }) => data.buffer) });
  } catch (error) {
    self.postMessage({ error: error instanceof Error ? error.message : String(error) });
  }
};
