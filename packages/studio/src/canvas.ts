// Our pictures on canvases.
import type { Picture } from 'dagan/media/portable';

/** Shows a picture on a canvas, which takes its size. */
export function show(canvas: HTMLCanvasElement, picture: Picture): void {
  const { width, height, data } = picture;
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  canvas.getContext('2d')!.putImageData(rgba(picture), 0, 0);

  function rgba({ width, height }: Picture): ImageData {
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
}
