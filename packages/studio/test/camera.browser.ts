// The camera in a real browser; a canvas that is painted on stands in for it.
import { expect, test, vi } from 'vitest';
import { pixelsOf } from '../src/canvas.js';
import { startCamera } from '../src/media/camera.js';

/** A camera whose pictures are painted one by one: red on the left and blue on the right. */
async function painted() {
  const canvas = Object.assign(document.createElement('canvas'), { width: 64, height: 48 });
  const context = canvas.getContext('2d')!;
  const stream = canvas.captureStream(0);
  const paint = (): void => {
    context.fillStyle = '#ff0000';
    context.fillRect(0, 0, 32, 48);
    context.fillStyle = '#0000ff';
    context.fillRect(32, 0, 32, 48);
    (stream.getVideoTracks()[0] as CanvasCaptureMediaStreamTrack).requestFrame();
  };
  vi.spyOn(navigator.mediaDevices, 'getUserMedia').mockResolvedValue(stream);
  const painting = setInterval(paint, 50);
  const video = Object.assign(document.createElement('video'), { muted: true });
  document.body.append(video);
  const camera = await startCamera(video, null, new AbortController().signal);
  return { camera, stream, video, stopPainting: () => clearInterval(painting) };
}

const soon = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

test('a picture that comes while the one before is worked on is there at once; then the next one is waited for', async () => {
  const { camera, stopPainting, stream } = await painted();
  expect(await camera.next()).toBe(true);
  await soon(500); // the work
  stopPainting();
  await soon(500);
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
    return Array.from(pixelsOf(bitmap, { left: 8, top: 24, width: 1, height: 1 }).data);
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
  const { camera, stopPainting } = await painted();
  await camera.next();
  expect(performance.now() - camera.captured).toBeLessThan(2000);
  vi.spyOn(HTMLVideoElement.prototype, 'requestVideoFrameCallback').mockReturnValue(0);
  const hidden = vi.spyOn(document, 'hidden', 'get').mockReturnValue(true);
  document.dispatchEvent(new Event('visibilitychange'));
  for (let i = 0; i < 3; i++) expect(await camera.next()).toBe(true);
  const bitmap = await camera.picture(true);
  const [first] = pixelsOf(bitmap, { left: 8, top: 24, width: 1, height: 1 }).data;
  expect([bitmap.width, bitmap.height]).toEqual([64, 48]);
  expect(first, 'the mirror’s, too').toBeLessThan(50);
  hidden.mockReturnValue(false);
  camera.stop();
  expect(await camera.next()).toBe(false);
  stopPainting();
  vi.restoreAllMocks();
});
