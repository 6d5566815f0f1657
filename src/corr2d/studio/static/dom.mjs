// Elements in one line, and the few icons there are.

/**
 * An element with properties, listeners (on…), attributes and children.
 * @param {string} tag "tag.class.class"
 * @param {Record<string, any>} [given]
 * @param {...(Node | string | null | undefined | false)} children
 * @returns {any}
 */
export function h(tag, given = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "value" || key === "checked" || key === "disabled" || key === "selected") element[key] = value;
    else element.setAttribute(key === "testid" ? "data-testid" : key, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A labelled control. @param {string} text @param {HTMLElement} control */
export const field = (text, control) => h("label.field", {}, h("span", {}, text), control);

/** A <select> of values and words. @param {[string, string][]} choices @param {Record<string, any>} given */
export const select = (choices, given = {}) =>
  h("select", given, ...choices.map(([value, word]) => h("option", { value }, word)));

/** Words into an element, and no work for the browser where they are there already. @param {HTMLElement} element @param {string} words */
export function say(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

/** A value into a control, likewise: to set a menu to what it shows lays the whole page out again. @param {any} control @param {string} value */
export function put(control, value) {
  if (control.value !== value) control.value = value;
}

/** Milliseconds after which what an edit changes elsewhere is drawn: its output is painted first. */
export const AFTER_OUTPUT = 40;

/**
 * Call when the schedule says so, once for all calls until then, with the last arguments.
 * @param {(go: () => void) => void} schedule @param {(...args: any[]) => void} work
 */
function together(schedule, work) {
  let waiting = false;
  /** @type {any[]} */ let last = [];
  return (/** @type {any[]} */ ...args) => {
    last = args;
    if (waiting) return;
    waiting = true;
    schedule(() => {
      waiting = false;
      work(...last);
    });
  };
}

/** Call soon, at most once in so many milliseconds, with the last arguments. @param {number} milliseconds @param {(...args: any[]) => void} work */
export const soon = (milliseconds, work) => together((go) => setTimeout(go, milliseconds), work);

/** Call at most once a frame, with the last arguments. @param {(...args: any[]) => void} work */
export const eachFrame = (work) => together((go) => requestAnimationFrame(go), work);

/** Call when nothing has happened for a while. @param {number} milliseconds @param {(...args: any[]) => void} work */
export function afterPause(milliseconds, work) {
  let timer = 0;
  return (/** @type {any[]} */ ...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...args), milliseconds);
  };
}

/** Hand a file to the browser's downloads. @param {string} name @param {Blob} blob */
export function save(name, blob) {
  const link = h("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
