// Picture files of any kind that the browser can read, as pixels; read in a worker of their own.
import { RemoteWorker } from '../rpc.js';
import type { PictureHandlers, ReadPicture } from './picture-worker.js';

/**
 * Reads a picture: turned upright as its file says, in sRGB, transparency on white, shrunk where it is very large.
 *
 * @throws Error that names the file and says what to do
 */
export async function readPictureFile(file: File): Promise<ReadPicture> {
  const worker = new RemoteWorker<PictureHandlers>(
    new Worker(new URL('./picture-worker.ts', import.meta.url), { type: 'module', name: 'picture' }),
  );
  try {
    return await worker.remote.read(file);
  } finally {
    worker.terminate();
  }
}
