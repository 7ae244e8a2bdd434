// The result alone, as large as its place allows, on a plain ground: for a window of its own, or the whole screen.

/** What the result is seen on: the canvas of its frames, or the player of a finished video. */
export type Shown = HTMLCanvasElement | HTMLVideoElement;

export class OutputView {
  /** Fills its window. Styled from here: windows of their own have no style sheet. */
  readonly element: HTMLElement;
  readonly canvas: HTMLCanvasElement;

  /** @param page the document that it is to be shown in @param name of its place, for screen readers */
  constructor(page: Document, name: string) {
    this.canvas = page.createElement('canvas');
    this.canvas.setAttribute('role', 'img');
    this.canvas.setAttribute('aria-label', name);
    Object.assign(this.canvas.style, { display: 'block', width: '100%', height: '100%', objectFit: 'contain' });
    this.element = page.createElement('div');
    this.element.append(this.canvas);
    Object.assign(this.element.style, { position: 'fixed', inset: '0' });
    this.draw(null);
  }

  set background(colour: string) {
    this.element.style.background = colour;
  }

  /** Draws what is to be seen at this moment; null for nothing. */
  draw(shown: Shown | null): void {
    const [width, height] = shown ? sizeOf(shown) : [1, 1];
    if (shown && (width === 0 || height === 0)) return; // the video has not begun
    const { canvas } = this;
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    const context = canvas.getContext('2d')!;
    if (shown) context.drawImage(shown, 0, 0);
    else context.clearRect(0, 0, width, height);
  }
}

function sizeOf(shown: Shown): [width: number, height: number] {
  return shown instanceof HTMLVideoElement ? [shown.videoWidth, shown.videoHeight] : [shown.width, shown.height];
}
