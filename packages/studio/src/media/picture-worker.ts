// The worker that decodes picture files: large ones take long, and much memory before they are made smaller.
import { checkReadableSize, type Picture } from 'dagan/media/portable';
import { pixelsOf } from '../canvas.js';
import { serve } from '../rpc.js';

/** Longer side of what is handed out, in pixels, at most. A face that is too small in it is too small in most pictures. */
const LONGEST_SIDE = 4096;

/** A picture, and the size that its file has. */
export type ReadPicture = { picture: Picture; original: { width: number; height: number } };

const handlers = {
  /** Reads a picture: turned upright as its file says, in sRGB, transparency on white, shrunk where it is very large. */
  read: async (file: File): Promise<ReadPicture> => {
    const bitmap = await decode(file);
    const { width, height } = bitmap;
    try {
      checkReadableSize(file.name, width, height);
      const scale = Math.min(1, LONGEST_SIDE / Math.max(width, height));
      const picture = scale < 1 ? await shrunk(bitmap, scale) : pixelsOf(bitmap);
      return { picture, original: { width, height } };
    } finally {
      bitmap.close();
    }
  },
};

export type PictureHandlers = typeof handlers;

async function decode(file: File): Promise<ImageBitmap> {
  try {
    return await createImageBitmap(file, { imageOrientation: 'from-image', premultiplyAlpha: 'none' });
  } catch {
    const what = file.type.startsWith('video/')
      ? 'is a clip, not a picture'
      : 'is no picture that this browser can read';
    throw new Error(`${file.name}: ${what}. Choose a JPEG, PNG or WebP.`);
  }
}

async function shrunk(bitmap: ImageBitmap, scale: number): Promise<Picture> {
  const [resizeWidth, resizeHeight] = [bitmap.width, bitmap.height].map((side) =>
    Math.max(1, Math.round(side * scale)),
  );
  const small = await createImageBitmap(bitmap, { resizeWidth, resizeHeight, resizeQuality: 'high' });
  try {
    return pixelsOf(small);
  } finally {
    small.close();
  }
}

serve(handlers);
