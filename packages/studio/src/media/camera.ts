// A camera: asked for, shown in a video element, and its newest picture at any time.
import { onNextPicture } from '../canvas.js';
import { isStopped } from '../problems.js';

/** A camera by name. */
export type CameraName = { id: string; label: string };

/**
 * Asks for a camera and shows its picture.
 *
 * @param id which one; null is the one that the browser takes, on phones the one towards the user
 * @param signal ends it before it has begun: browsers may take long to ask the user
 * @throws DOMException as `getUserMedia` does; Error where browsers give no camera to pages of this kind; the signal's
 *   reason
 */
export async function startCamera(video: HTMLVideoElement, id: string | null, signal: AbortSignal): Promise<Camera> {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Error('browsers give the camera only to pages on https or on this machine: open the studio there');
  }
  const stream = await askForCamera(id);
  const camera = new Camera(video, stream);
  try {
    signal.throwIfAborted();
    video.srcObject = stream;
    await video.play();
    signal.throwIfAborted();
  } catch (error) {
    camera.stop();
    throw signal.aborted ? signal.reason : error;
  }
  return camera;
}

/** The cameras that can be chosen. Browsers tell their names once one was allowed. */
export async function cameras(): Promise<CameraName[]> {
  const devices = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
  return devices
    .filter(({ kind, deviceId }) => kind === 'videoinput' && deviceId !== '')
    .map(({ deviceId: id, label }, i) => ({ id, label: label || `Camera ${i + 1}` }));
}

/** Frames of a track as they come, of the browsers that give them to pages. */
type TrackFrames = new (options: { track: MediaStreamTrack }) => { readable: ReadableStream<VideoFrame> };

export class Camera {
  #stopped = false;
  /** A picture has come since the last one was taken. */
  #fresh = false;
  #wake: (() => void) | undefined;
  #captured = 0;
  /** The newest picture of those that come while the page is hidden; otherwise the video has it. */
  #unseen: VideoFrame | null = null;
  #readsUnseen = false;
  readonly #watchPage = (): void => void this.#readUnseen();

  readonly #video: HTMLVideoElement;
  readonly #stream: MediaStream;

  constructor(video: HTMLVideoElement, stream: MediaStream) {
    this.#video = video;
    this.#stream = stream;
    this.#listen();
    document.addEventListener('visibilitychange', this.#watchPage);
    this.#watchPage();
  }

  /** Has it told that the camera was unplugged or taken by another program. */
  onLost(tell: () => void): void {
    const [track] = this.#stream.getVideoTracks();
    track?.addEventListener('ended', () => {
      if (!this.#stopped) tell();
    });
  }

  /**
   * Waits for a picture that has not been seen; one that came while the last one was worked on is there at once.
   *
   * @returns whether there is one: false after the end
   */
  async next(): Promise<boolean> {
    if (!this.#fresh && !this.#stopped) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#fresh = false;
    return !this.#stopped;
  }

  /** When the newest picture was taken, by `performance.now()`; where browsers do not say, when it came. */
  get captured(): number {
    return this.#captured;
  }

  /** The newest picture, with left and right exchanged if it is to be that of a mirror. */
  async picture(mirrored: boolean): Promise<ImageBitmap> {
    const source = this.#unseen ?? this.#video;
    if (!mirrored) return createImageBitmap(source);
    const [width, height] = this.#unseen
      ? [this.#unseen.displayWidth, this.#unseen.displayHeight]
      : [this.#video.videoWidth, this.#video.videoHeight];
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext('2d')!;
    context.setTransform(-1, 0, 0, 1, width, 0);
    context.drawImage(source, 0, 0);
    return canvas.transferToImageBitmap();
  }

  stop(): void {
    this.#stopped = true;
    document.removeEventListener('visibilitychange', this.#watchPage);
    for (const track of this.#stream.getTracks()) track.stop();
    if (this.#video.srcObject === this.#stream) this.#video.srcObject = null;
    this.#wake?.();
  }

  #listen(): void {
    onNextPicture(this.#video, (now, captured = now) => {
      if (this.#stopped) return;
      if (!this.#unseen) this.#came(captured);
      this.#listen();
    });
  }

  #came(captured: number): void {
    this.#fresh = true;
    this.#captured = captured;
    this.#wake?.();
  }

  /**
   * Takes pictures past the video while the page is hidden, as it is behind the window of another program: browsers draw no
   * videos then, and what the camera drives may be seen elsewhere. Where they give no pictures either it waits for the page.
   */
  async #readUnseen(): Promise<void> {
    const { MediaStreamTrackProcessor: Frames } = globalThis as { MediaStreamTrackProcessor?: TrackFrames };
    const [track] = this.#stream.getVideoTracks();
    if (!Frames || !track || !this.#isUnseen || this.#readsUnseen) return;
    this.#readsUnseen = true;
    const reader = new Frames({ track }).readable.getReader();
    while (this.#isUnseen) {
      const { value } = await reader.read();
      if (!value) break; // the track has ended
      this.#unseen?.close();
      this.#unseen = value;
      this.#came(performance.now());
    }
    this.#unseen?.close();
    this.#unseen = null;
    this.#readsUnseen = false;
    await reader.cancel();
  }

  get #isUnseen(): boolean {
    return document.hidden && !this.#stopped;
  }
}

async function askForCamera(id: string | null): Promise<MediaStream> {
  const which = id === null ? { facingMode: 'user' } : { deviceId: { exact: id } };
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: false,
      video: { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 }, ...which },
    });
  } catch (error) {
    // So Firefox says that a camera does not start; nobody has stopped anything.
    if (!isStopped(error)) throw error;
    throw new DOMException((error as DOMException).message, 'NotReadableError');
  }
}
