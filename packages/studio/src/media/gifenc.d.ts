// What is used of gifenc, which brings no types.
declare module 'gifenc' {
  type Palette = number[][];
  type Encoder = {
    writeFrame(
      indices: Uint8Array,
      width: number,
      height: number,
      options: {
        palette: Palette;
        /** Milliseconds. */
        delay: number;
      },
    ): void;
    finish(): void;
    bytesView(): Uint8Array<ArrayBuffer>;
    readonly stream: { writeBytesView(bytes: Uint8Array): void };
  };
  export function GIFEncoder(): Encoder;
  export function quantize(rgba: Uint8Array, colours: number): Palette;
  export function applyPalette(rgba: Uint8Array, palette: Palette): Uint8Array;
}
