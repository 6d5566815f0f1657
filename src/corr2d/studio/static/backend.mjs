// Questions to Python, over HTTP from a page and over a widget's messages from a notebook.

/**
 * @typedef {{record: any, data: ArrayBuffer}} Reply
 * @typedef {(question: string, record?: object, data?: Uint8Array | Blob) => Promise<Reply>} Ask
 */

/** @param {string} base @returns {Ask} */
export function overHttp(base = "api/") {
  return async (question, record = {}, data) => {
    const text = ascii(JSON.stringify(record));
    let response;
    try {
      response = await fetch(base + question, {
        method: "POST",
        headers: { "x-corr2d": data ? text : "{}", "content-type": data ? "application/octet-stream" : "application/json" },
        body: data ?? text,
      });
    } catch {
      throw new Error("corr2d does not answer. Is `corr2d studio` still running?");
    }
    const header = response.headers.get("x-corr2d");
    if (header) return { record: JSON.parse(header), data: await response.arrayBuffer() };
    const answer = await response.json().catch(() => ({ error: `HTTP status ${response.status}` }));
    if (!response.ok) throw new Error(answer.error ?? `HTTP status ${response.status}`);
    return { record: answer, data: new ArrayBuffer(0) };
  };
}

/** A header holds ASCII only; JSON can say everything in it. @param {string} text */
const ascii = (text) => text.replaceAll(/[^\x20-\x7e]/g, (unit) => "\\u" + unit.charCodeAt(0).toString(16).padStart(4, "0"));

/** @param {any} model anywidget's @returns {Ask} */
export function overWidget(model) {
  let last = 0;
  const waiting = new Map();
  model.on("msg:custom", (/** @type {any} */ message, /** @type {DataView[]} */ buffers) => {
    const pending = waiting.get(message.id);
    if (!pending) return;
    waiting.delete(message.id);
    if (message.error !== undefined) return pending.reject(new Error(message.error));
    const view = buffers?.[0];
    const bytes = view ? new Uint8Array(view.buffer ?? view, view.byteOffset ?? 0, view.byteLength) : new Uint8Array();
    pending.resolve({ record: message.record, data: bytes.slice().buffer });
  });
  return async (question, record = {}, data) => {
    const bytes = data instanceof Blob ? new Uint8Array(await data.arrayBuffer()) : data;
    return new Promise((resolve, reject) => {
      const id = ++last;
      waiting.set(id, { resolve, reject });
      model.send({ id, question, record }, undefined, bytes ? [bytes.buffer] : []);
    });
  };
}
