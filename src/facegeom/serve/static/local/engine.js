/** The only module that imports ONNX Runtime. Mirrors `facegeom.models.engine`. */

import * as ort from "../vendor/onnxruntime-web/ort.wasm.bundle.min.mjs";
import { EngineError } from "./errors.js";

/** URL of ONNX Runtime's WebAssembly. */
export const RUNTIME_URL = new URL("../vendor/onnxruntime-web/ort-wasm-simd-threaded.wasm", import.meta.url).href;

const MAX_THREADS = 4;

/**
 * Configure ONNX Runtime, once, before the first network is opened.
 *
 * @param {Uint8Array} binary the WebAssembly
 * @param {number} threads of one network call
 */
export function prepare(binary, threads = usualThreads()) {
  ort.env.logLevel = "error"; // it warns of unknown processors, which every one in a browser is
  ort.env.wasm.wasmBinary = binary;
  ort.env.wasm.numThreads = threads;
}

/** Return half of the cores; 1 where the page may not share memory between threads. */
export function usualThreads() {
  if (!globalThis.crossOriginIsolated) return 1;
  return Math.min(Math.max(Math.floor(navigator.hardwareConcurrency / 2), 1), MAX_THREADS);
}

/** A network that runs on this device's CPU. */
export class Engine {
  constructor(session) {
    this.session = session;
  }

  /**
   * @param {string} name of the network, for error messages
   * @param {Uint8Array} bytes of its ONNX file
   */
  static async open(name, bytes) {
    try {
      return new Engine(await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"], logSeverityLevel: 3 }));
    } catch (error) {
      throw new EngineError(
        `this browser cannot run the network ${name} (${error.message}); use a current browser, or let the service analyze`,
        { cause: error },
      );
    }
  }

  /**
   * Run a batch.
   *
   * @param {Uint8Array | Float32Array} data the first input, for most networks (N, H, W, 3) RGB
   * @param {number[]} dims N, H, W, 3
   * @param {Record<string, {dims: number[], data: Float32Array}>} others further inputs by name
   * @returns {Promise<Record<string, {dims: number[], data: Float32Array}>>} outputs by the manifest's names
   */
  run(data, dims, others = {}) {
    const inputs = Object.entries({ [this.session.inputNames[0]]: { data, dims }, ...others });
    const tensor = (input) => new ort.Tensor(input.data instanceof Uint8Array ? "uint8" : "float32", input.data, input.dims);
    return this.session.run(Object.fromEntries(inputs.map(([name, input]) => [name, tensor(input)])));
  }
}
