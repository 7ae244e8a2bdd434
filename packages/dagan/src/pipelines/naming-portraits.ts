// An engine gets pictures and knows no files.
import { DaganError } from '../errors.js';

/**
 * What comes of giving an engine its portraits. Where one shows no face and landmarks of a face move the model, the error names its
 * file.
 *
 * @param paths of the portraits, in the order in which the engine gets them
 * @throws DaganError
 */
export async function namingPortraits<T>(paths: readonly string[], given: Promise<T>): Promise<T> {
  try {
    return await given;
  } catch (error) {
    if (!(error instanceof DaganError) || error.code !== 'no-mesh') throw error;
    const { portrait } = error.values as { portrait?: number };
    const path = portrait === undefined ? undefined : paths[portrait];
    if (path === undefined) throw error;
    const message = `${path}: shows no face, and landmarks of a face move this model`;
    throw new DaganError('no-mesh', message, { portrait, path }, { cause: error });
  }
}
