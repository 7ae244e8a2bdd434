// A decoded video sample of mediabunny to our picture. Runs in Node and in the browser.
import type { VideoSample } from 'mediabunny';
import { blendOverWhite, rgbaToPicture, type YuvColor, type YuvMatrix, type YuvPlanes, yuvToPicture } from './color.js';
import { type Picture, rotatePicture } from './picture.js';
import { resizePicture } from './resize.js';
import { type HdrTransfer, toStandardRange } from './tone-map.js';

const MATRICES: Partial<Record<string, YuvMatrix>> = {
  bt709: 'bt709',
  bt470bg: 'bt601',
  smpte170m: 'bt601',
  'bt2020-ncl': 'bt2020',
  rgb: 'rgb',
};

/**
 * The reading of a track's planes from its colour tags. An untagged track is taken as BT.601 limited range at every size
 * (as FFmpeg does), so pass the tags of the track: browsers write a guess of their own on the samples.
 */
export function yuvColor(tags: { matrix?: string | null; fullRange?: boolean | null }): YuvColor {
  return { matrix: MATRICES[tags.matrix ?? ''] ?? 'bt601', fullRange: tags.fullRange ?? false };
}

/** Sampling of the planar formats, by the name without bit depth and alpha mark. */
const SAMPLING: Partial<Record<string, readonly [shiftX: 0 | 1, shiftY: 0 | 1]>> = {
  I420: [1, 1],
  I422: [1, 0],
  I444: [0, 0],
  NV12: [1, 1],
};

/** Converts the samples of one track, one after the other; keeps a scratch buffer between them. */
export class SampleConverter {
  #scratch = new Uint8Array(0);

  /**
   * The sample's picture as it is to be seen: `color` applied, pixels made square, transparency on white, rotation and
   * mirroring carried out. 4:2:0, 4:2:2, 4:4:4 and NV12 in 8, 10 and 12 bits and RGBA are converted here; anything else
   * by the platform, which then also brings a high dynamic range down.
   *
   * @param hdr the curve of a track of high dynamic range
   */
  async toPicture(sample: VideoSample, color: YuvColor, hdr?: HdrTransfer): Promise<Picture> {
    let picture = await this.#stored(sample, color, hdr);
    const { squarePixelWidth: width, squarePixelHeight: height } = sample;
    if (picture.width !== width || picture.height !== height) picture = resizePicture(picture, width, height);
    return rotatePicture(picture, sample.rotation, sample.flip);
  }

  async #stored(sample: VideoSample, color: YuvColor, hdr: HdrTransfer | undefined): Promise<Picture> {
    const { width, height } = sample.visibleRect;
    const [, family = '', alpha = '', depth = ''] = /^(I4\d\d|NV12)(A?)(P1[02])?$/.exec(sample.format ?? '') ?? [];
    const sampling = SAMPLING[family];
    if (!sampling) return this.#interleaved(sample, width, height);

    const [data, layout] = await this.#copy(sample);
    const shift = depth === '' ? 0 : depth === 'P10' ? 2 : 4;
    const planes = layout.map(({ offset, stride }, index) => {
      const end = layout[index + 1]?.offset ?? data.length;
      const bytes = data.subarray(offset, end);
      return shift === 0 ? { bytes, stride } : { bytes: reduceDepth(bytes, shift), stride: stride / 2 };
    });
    const [luma, cb, cr] = planes;
    if (!luma || !cb) throw new Error(`a ${sample.format} frame has ${planes.length} planes`);
    const interleaved = family === 'NV12';
    const frame: YuvPlanes = {
      width,
      height,
      y: luma.bytes,
      yStride: luma.stride,
      cb: cb.bytes,
      cr: interleaved || !cr ? cb.bytes.subarray(1) : cr.bytes,
      chromaStride: cb.stride,
      chromaStep: interleaved ? 2 : 1,
      shiftX: sampling[0],
      shiftY: sampling[1],
    };
    const picture = yuvToPicture(frame, color);
    if (hdr) toStandardRange(picture, hdr);
    const opacity = planes[3];
    if (alpha === 'A' && opacity) blendOverWhite(picture, opacity.bytes, opacity.stride);
    return picture;
  }

  async #interleaved(sample: VideoSample, width: number, height: number): Promise<Picture> {
    const own = sample.format !== null && /^(RGB|BGR)[AX]$/.test(sample.format);
    const [data, [layout]] = await this.#copy(sample, own ? undefined : 'RGBA');
    const format = own ? (sample.format ?? 'RGBA') : 'RGBA';
    return rgbaToPicture(
      { width, height, data, stride: layout?.stride ?? width * 4 },
      format.startsWith('BGR') ? 'bgra' : 'rgba',
      format.endsWith('X'),
    );
  }

  async #copy(sample: VideoSample, format?: 'RGBA') {
    const options: CopyOptions | undefined = format && { format };
    const size = sample.allocationSize(options);
    if (this.#scratch.length !== size) this.#scratch = new Uint8Array(size);
    return [this.#scratch, await sample.copyTo(this.#scratch, options)] as const;
  }
}

/** The published types of the WebCodecs options lack `format`, which the specification and the library have. */
type CopyOptions = NonNullable<Parameters<VideoSample['copyTo']>[1]> & { format: 'RGBA' };

/** 10- or 12-bit little-endian samples to 8 bits, rounded. */
function reduceDepth(bytes: Uint8Array, shift: number): Uint8Array {
  const result = new Uint8Array(bytes.length >> 1);
  const half = 1 << (shift - 1);
  for (let i = 0; i < result.length; i++) {
    const value = (bytes[2 * i]! | (bytes[2 * i + 1]! << 8)) + half;
    result[i] = Math.min(255, value >> shift);
  }
  return result;
}
