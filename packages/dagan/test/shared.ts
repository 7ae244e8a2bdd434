// Reference data that may lie beside a checkout of this repository.
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type DType, type Tensor, tensor } from '@dagan/libtorch';
import { openCheckpoint, toNumberArray } from '@dagan/libtorch/checkpoint';

/** `shared/` beside the repository, seen from the compiled file packages/dagan/dist/test/shared.js. */
const SHARED = fileURLToPath(new URL('../../../../../shared/', import.meta.url));

/** For the `skip` option of tests that need reference data: false where it is there, else the reason for not running. */
export const sharedMissing: string | false = fs.existsSync(SHARED)
  ? false
  : 'not run: the reference data (a folder "shared" beside the repository) is absent';

/** Path of a file of the reference data, as `fixtures/networks.safetensors`. */
export function sharedPath(name: string): string {
  return `${SHARED}${name}`;
}

/**
 * The tensors of a file in `shared/fixtures`, read as they are asked for. The numbers are float32's; in a wider type the
 * networks that are compared with them round less than the reference did, and the same on every processor.
 */
export function referenceTensors(name: string, dtype: DType = 'float32'): (tensorName: string) => Tensor {
  const path = sharedPath(`fixtures/${name}`);
  return (tensorName) => {
    using file = openCheckpoint(path);
    const record = file.tensors.get(tensorName);
    if (!record) throw new Error(`${path} has no tensor ${tensorName}`);
    return tensor(Float64Array.from(toNumberArray(record)), { shape: record.shape, dtype });
  };
}

/** Names and shapes of a network's tensors in published files, by a section of a list of `shared/fixtures`. */
export function publishedShapes(section: string, list = 'state-dict-shapes.json'): Record<string, number[]> {
  const sections: Record<string, Record<string, number[]>> = JSON.parse(
    fs.readFileSync(sharedPath(`fixtures/${list}`), 'utf8'),
  );
  const shapes = sections[section];
  if (!shapes) throw new Error(`${list} has no section ${section}`);
  return shapes;
}
