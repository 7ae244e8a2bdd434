// Weights that do not fit: errors that name the file, the tensor, and what the file has instead.
import { nn } from '@dagan/libtorch';
import { CheckpointError } from '@dagan/libtorch/checkpoint';
import { nameAlike, publishedName } from './names.js';

/** The tensors or the configuration in a file are not those of a model that this package can build. */
export class ArchitectureError extends Error {
  override readonly name = 'ArchitectureError';
}

type Unused = ReadonlyMap<string, { name: string }>;

/**
 * Runs `body`; if weights do not fit it is a CheckpointError that names the file.
 *
 * @param problem what a tensor that is missing, unexpected or of another shape means, as a sentence that follows the path
 * @param unused tensors in the file that belong to nothing, among which a missing one may be
 */
export function located<T>(path: string, problem: string, body: () => T, unused: Unused = new Map()): T {
  try {
    return body();
  } catch (error) {
    if (error instanceof ArchitectureError) throw new CheckpointError(path, error.message, { cause: error });
    if (!(error instanceof nn.StateDictError)) throw error;
    throw new CheckpointError(path, [`${problem}: ${error.message}`, ...hints(error, unused)].join('; '), {
      cause: error,
    });
  }
}

function hints({ missing }: nn.StateDictError, unused: Unused): string[] {
  const [first] = missing;
  if (first === undefined) return [];
  const published = publishedName(first);
  const alike = missing.map((name) => nameAlike(name, unused)).find((name) => name !== undefined);
  return [
    ...(published === first ? [] : [`in published files it is called ${published}`]),
    ...(alike === undefined ? [] : [`the file has ${alike}`]),
  ];
}
