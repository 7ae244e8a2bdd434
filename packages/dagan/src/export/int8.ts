// The step `generate` with convolutions of 8 bits, beside the same in float32: a second graph on the same weights.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  decodeOnnx,
  encodeOnnx,
  type OnnxModel,
  type OnnxRange,
  quantizeConvolutions,
  rangeOutputs,
  tensorsToObserve,
  withRanges,
} from '@dagan/libtorch/onnx';
import type { InferenceSession } from 'onnxruntime-node';
import { WholeFiles } from '../media/files.js';
import { checkExportedFile, ExportedModelError, exportedFiles, readManifest } from './exported-folder.js';
import { INT8_NAME, MANIFEST_NAME, type Manifest } from './manifest.js';

/** All convolutions of the step. Those of keypoints and depth are not in it: a face trembles if its keypoints do. */
const EVERY = (): boolean => true;

/** What makes sessions of a runtime. */
type Sessions = { create(graph: Uint8Array, options?: InferenceSession.SessionOptions): Promise<InferenceSession> };

/**
 * Watches the step `generate` of an exported model at work, how large the numbers become that go into convolutions and come
 * out of them, and then writes it in 8 bits. The engine to watch is `OnnxEngine.create` with `model`, on a runtime whose
 * sessions are `sessions(...)`.
 */
export class Int8Calibration {
  readonly #folder: string;
  readonly #manifest: Manifest;
  readonly #graph: OnnxModel;
  readonly #tensors: readonly string[];
  readonly #watched: Uint8Array;
  readonly #ranges = new Map<string, OnnxRange>();

  /** @throws ExportedModelError if the folder holds no exported model that computes in float32, or a damaged one */
  constructor(folder: string) {
    this.#folder = folder;
    this.#manifest = readManifest(folder);
    const { graphs, precision } = this.#manifest;
    if (precision !== 'float32') throw new ExportedModelError(`${folder} was exported in ${precision}, not float32`);
    for (const file of exportedFiles(this.#manifest)) checkExportedFile(folder, file);
    this.#graph = decodeOnnx(readFileSync(join(folder, graphs.generate.file)));
    this.#tensors = tensorsToObserve(this.#graph, EVERY);
    this.#watched = encodeOnnx(withRanges(this.#graph, this.#tensors));
  }

  /** The model, whose step `generate` also gives the ranges of its tensors. */
  get model(): { manifest: Manifest; read: (file: string) => Promise<Uint8Array> } {
    const manifest = this.#manifest;
    const read = async (file: string): Promise<Uint8Array> =>
      file === manifest.graphs.generate.file ? this.#watched : readFile(join(this.#folder, file));
    return { manifest, read };
  }

  /** A runtime's sessions, of which that of the step `generate` is watched. */
  sessions(runtime: Sessions): Sessions {
    return {
      create: async (graph, options) => {
        const session = await runtime.create(graph, options);
        if (graph !== this.#watched) return session;
        const run = session.run.bind(session);
        const watched = async (feeds: InferenceSession.FeedsType): Promise<InferenceSession.ReturnType> => {
          const results = await run(feeds);
          this.#see(results);
          return results;
        };
        return Object.assign(session, { run: watched as InferenceSession['run'] });
      },
    };
  }

  #see(results: InferenceSession.ReturnType): void {
    const numbers = (name: string): number[] => Array.from(results[name]!.data as Float32Array);
    for (const tensor of this.#tensors) {
      const outputs = rangeOutputs(tensor);
      const [least, greatest] = [numbers(outputs.least), numbers(outputs.greatest)];
      const known = this.#ranges.get(tensor) ?? { least, greatest };
      this.#ranges.set(tensor, {
        least: least.map((value, i) => Math.min(value, known.least[i]!)),
        greatest: greatest.map((value, i) => Math.max(value, known.greatest[i]!)),
      });
    }
  }

  /**
   * Writes the graph in 8 bits and the manifest that names it, both or neither.
   *
   * @throws RangeError if no frame was generated, or one with numbers that are not finite; MediaError if there is no room
   */
  async write(): Promise<Manifest> {
    const bytes = encodeOnnx(quantizeConvolutions(this.#graph, { ranges: this.#ranges, chosen: EVERY }));
    const { inputs, outputs } = this.#manifest.graphs.generate;
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const int8 = { file: INT8_NAME, bytes: bytes.length, sha256, inputs, outputs };
    const manifest: Manifest = { ...this.#manifest, int8 };
    await using files = new WholeFiles();
    await files.write(join(this.#folder, INT8_NAME), bytes);
    const text = `${JSON.stringify(manifest, null, 2)}\n`;
    await files.write(join(this.#folder, MANIFEST_NAME), new TextEncoder().encode(text));
    await files.commit();
    return manifest;
  }
}
