// The page that `corr2d studio` serves.

import { addressOf } from "./take-panels.mjs";
import { afterPause } from "./dom.mjs";
import { fromLink, toLink } from "./link.mjs";
import { mount } from "./studio.mjs";
import { overHttp } from "./backend.mjs";
import { Store } from "./store.mjs";

const root = /** @type {HTMLElement} */ (document.getElementById("studio"));
const known = fromLink(location.hash);
const language = known.language ?? (navigator.language.startsWith("zh") ? "zh" : "en");
const store = new Store({ ...known, language });
const makeWorker = () => new Worker(new URL("worker.mjs", import.meta.url), { type: "module" });

mount(root, { store, ask: overHttp(), makeWorker, addressOf }).then(
  () => {
    let own = location.hash;
    const remember = afterPause(200, () => {
      own = `#${toLink(store.state)}`;
      history.replaceState(null, "", own);
    });
    store.listen(remember);
    addEventListener("hashchange", () => {
      if (location.hash !== own) store.set(fromLink(location.hash));
    });
  },
  (error) => {
    root.textContent = error.message;
  },
);
