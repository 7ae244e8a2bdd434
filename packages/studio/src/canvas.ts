// Our pictures on canvases, and the browser's as ours.
import { type Picture, type Rectangle, rgbaToPicture } from 'dagan/media/portable';

/** Shows a picture on a canvas, which takes its size. */
export function show(canvas: HTMLCanvasElement, picture: Picture): void {
  const { width, height } = picture;
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  canvas.getContext('2d')!.putImageData(rgbaOf(picture), 0, 0);
}

/** The pixels as canvases have them, opaque. */
export function rgbaOf({ width, height, data }: Picture): ImageData {
  const image = new ImageData(width, height);
  const pixels = image.data;
  for (let from = 0, to = 0; from < data.length; from += 3, to += 4) {
    pixels[to] = data[from]!;
    pixels[to + 1] = data[from + 1]!;
    pixels[to + 2] = data[from + 2]!;
    pixels[to + 3] = 255;
  }
  return image;
}

/** Calls once the next picture of a video is there. @param callback is told when that was, and when a camera took it, if known */
export function onNextPicture(video: HTMLVideoElement, callback: (now: number, captured?: number) => void): void {
  if (!('requestVideoFrameCallback' in video)) requestAnimationFrame((now) => callback(now));
  else video.requestVideoFrameCallback((now, { captureTime }) => callback(now, captureTime));
}

/** The pixels of a bitmap or frame, or of a part of it; transparency on white. */
export function pixelsOf(bitmap: ImageBitmap | VideoFrame, part?: Rectangle): Picture {
  const whole = 'displayWidth' in bitmap ? [bitmap.displayWidth, bitmap.displayHeight] : [bitmap.width, bitmap.height];
  const { left, top, width, height } = part ?? { left: 0, top: 0, width: whole[0]!, height: whole[1]! };
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  if (!context) throw new Error('the browser is out of memory: close other tabs, or choose a smaller picture');
  context.drawImage(bitmap, -left, -top);
  const { data } = context.getImageData(0, 0, width, height);
  return rgbaToPicture({ width, height, data: new Uint8Array(data.buffer), stride: 4 * width }, 'rgba', false);
}
