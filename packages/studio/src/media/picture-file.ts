// Picture files of any kind that the browser can read, as pixels.
import { checkReadableSize, type Picture } from 'dagan/media/portable';
import { pixelsOf } from '../canvas.js';

/**
 * Reads a picture: turned upright as its file says, in sRGB, transparency on white.
 *
 * @throws Error that names the file and says what to do
 */
export async function readPictureFile(file: File): Promise<Picture> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: 'from-image', premultiplyAlpha: 'none' });
  } catch {
    const what = file.type.startsWith('video/')
      ? 'is a clip, not a picture'
      : 'is no picture that this browser can read';
    throw new Error(`${file.name}: ${what}. Choose a JPEG, PNG or WebP.`);
  }
  try {
    checkReadableSize(file.name, bitmap.width, bitmap.height);
    return pixelsOf(bitmap);
  } finally {
    bitmap.close();
  }
}
