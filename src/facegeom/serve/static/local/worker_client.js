/** Requests to a web worker: each has a number, by which its answer finds back. */

import { EngineError } from "./errors.js";

/** Keeps one worker, which starts with the first request, and the requests that wait for it. */
export class WorkerClient {
  /**
   * @param {() => Worker} create starts the worker; the call holds the script's address, so that bundlers see it
   * @param {string} crashed what a crash of the worker is called in its error
   */
  constructor(create, crashed) {
    this.create = create;
    this.crashed = crashed;
    /** @type {Worker | null} */
    this.worker = null;
    /** @type {Map<number, any>} */
    this.waiting = new Map();
    this.last = 0;
  }

  /**
   * Send a request and return its answer.
   *
   * @param {object} message
   * @param {{ signal?: AbortSignal, onProgress?: (loaded: number, total: number) => void }} options
   * @param {Transferable[]} handedOver what the worker gets and this page loses
   * @returns {Promise<any>}
   */
  ask(message, { signal, onProgress = () => {} } = {}, handedOver = []) {
    this.worker ??= this.start();
    const { worker } = this;
    const id = ++this.last;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject, onProgress });
      signal?.addEventListener("abort", () => this.drop(id, signal.reason));
      worker.postMessage({ id, ...message }, handedOver);
    });
  }

  start() {
    const worker = this.create();
    worker.addEventListener("message", ({ data }) => this.receive(data));
    worker.addEventListener("error", ({ message }) => this.fail(message));
    return worker;
  }

  receive({ id, result, error, loaded, total }) {
    const asked = this.waiting.get(id);
    if (!asked) return; // aborted
    if (loaded !== undefined) return void asked.onProgress(loaded, total);
    this.waiting.delete(id);
    if (error) asked.reject(Object.assign(new Error(error.message), { name: error.name }));
    else asked.resolve(result);
  }

  /** Abort a request; the worker skips it if it has not begun. */
  drop(id, reason) {
    if (this.waiting.has(id)) this.worker?.postMessage({ id, drop: true });
    this.forget(id, reason);
  }

  forget(id, reason) {
    this.waiting.get(id)?.reject(reason);
    this.waiting.delete(id);
  }

  /** Handle a crash of the worker. */
  fail(message) {
    this.stop(message ?? "its script did not load");
  }

  /** End the worker: all that waits fails, the next request starts a new one. */
  stop(why = "it was ended") {
    for (const id of [...this.waiting.keys()]) this.forget(id, new EngineError(`${this.crashed} (${why})`));
    this.worker?.terminate();
    this.worker = null;
  }
}
