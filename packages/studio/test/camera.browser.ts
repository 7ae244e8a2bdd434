// The camera in a real browser; a canvas that is painted on stands in for it.
import { expect, test, vi } from 'vitest';
import { pixelsOf } from '../src/canvas.js';
import { startCamera } from '../src/media/camera.js';

/** A camera whose pictures are painted one by one: red on the left and blue on the right, the last one green. */
async function painted() {
  const canvas = Object.assign(document.createElement('canvas'), { width: 64, height: 48 });
  const context = canvas.getContext('2d')!;
  const stream = canvas.captureStream(0);
  const paint = (left: string, right: string): void => {
    context.fillStyle = left;
    context.fillRect(0, 0, 32, 48);
    context.fillStyle = right;
    context.fillRect(32, 0, 32, 48);
    (stream.getVideoTracks()[0] as CanvasCaptureMediaStreamTrack).requestFrame();
  };
  vi.spyOn(navigator.mediaDevices, 'getUserMedia').mockResolvedValue(stream);
  const painting = setInterval(() => paint('#ff0000', '#0000ff'), 50);
  const video = Object.assign(document.createElement('video'), { muted: true });
  document.body.append(video);
  const camera = await startCamera(video, null, new AbortController().signal);
  const stopPainting = (): void => clearInterval(painting);
  /** Paints the last one, and waits until the camera has had it: nothing comes after it. */
  const paintLast = async (): Promise<void> => {
    stopPainting();
    paint('#00ff00', '#00ff00');
    await vi.waitUntil(async () => colourOf(await camera.picture(false))[1]! > 200, { timeout: 60_000 });
    for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame); // whoever waits for the video's picture is told
  };
  return { camera, stream, stopPainting, paintLast };
}

/** The red, green and blue of a picture on its left. */
const colourOf = (bitmap: ImageBitmap): Uint8Array => pixelsOf(bitmap, { left: 8, top: 24, width: 1, height: 1 }).data;

const soon = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

test('a picture that comes while the one before is worked on is there at once; then the next one is waited for', async () => {
  const { camera, paintLast, stream } = await painted();
  expect(await camera.next()).toBe(true);
  await paintLast(); // during the work
  expect(await camera.next(), 'the newest of those that came meanwhile').toBe(true);
  const waiting = camera.next();
  expect(await Promise.race([waiting, soon(300).then(() => 'none')])).toBe('none');
  camera.stop();
  expect(await waiting, 'a camera that was stopped lets nobody wait').toBe(false);
  expect(stream.getTracks().every(({ readyState }) => readyState === 'ended')).toBe(true);
});

test('in a mirror left and right are exchanged', async () => {
  const { camera, stopPainting } = await painted();
  await camera.next();
  const leftOf = async (mirrored: boolean): Promise<number[]> => {
    const bitmap = await camera.picture(mirrored);
    expect([bitmap.width, bitmap.height]).toEqual([64, 48]);
    return Array.from(colourOf(bitmap));
  };
  const [plain, mirrored] = [await leftOf(false), await leftOf(true)];
  expect(plain[0]).toBeGreaterThan(200);
  expect(plain[2]).toBeLessThan(50);
  expect(mirrored[0]).toBeLessThan(50);
  expect(mirrored[2]).toBeGreaterThan(200);
  stopPainting();
  camera.stop();
});

test('pictures come although the page is hidden, when browsers draw no videos', async () => {
  const before = performance.now();
  const { camera, stopPainting } = await painted();
  await camera.next();
  expect(camera.captured, 'it is known when a picture was taken').toBeGreaterThan(before);
  expect(camera.captured).toBeLessThan(performance.now());
  vi.spyOn(HTMLVideoElement.prototype, 'requestVideoFrameCallback').mockReturnValue(0);
  const hidden = vi.spyOn(document, 'hidden', 'get').mockReturnValue(true);
  document.dispatchEvent(new Event('visibilitychange'));
  for (let i = 0; i < 3; i++) expect(await camera.next()).toBe(true);
  const bitmap = await camera.picture(true);
  const [first] = colourOf(bitmap);
  expect([bitmap.width, bitmap.height]).toEqual([64, 48]);
  expect(first, 'the mirror’s, too').toBeLessThan(50);
  hidden.mockReturnValue(false);
  camera.stop();
  expect(await camera.next()).toBe(false);
  stopPainting();
  vi.restoreAllMocks();
});
