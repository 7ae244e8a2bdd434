// Says what a file that is not a checkpoint looks like, so that the error can name the mix-up.

type Signature = {
  readonly at: number;
  readonly bytes: string;
  readonly is: string;
};

const ARCHIVE = 'unpack it and name the checkpoint inside';
const PICTURE = 'name the checkpoint in its place';

/** Leading bytes of common files, as latin-1 text. */
const SIGNATURES: readonly Signature[] = [
  { at: 0, bytes: '\x89PNG', is: `a PNG image; ${PICTURE}` },
  { at: 0, bytes: '\xff\xd8\xff', is: `a JPEG image; ${PICTURE}` },
  { at: 0, bytes: 'GIF8', is: `a GIF image; ${PICTURE}` },
  { at: 8, bytes: 'WEBP', is: `a WebP image; ${PICTURE}` },
  { at: 4, bytes: 'ftyp', is: `an MP4 or MOV video; ${PICTURE}` },
  { at: 0, bytes: '\x1aE\xdf\xa3', is: `a WebM or Matroska video; ${PICTURE}` },
  { at: 0, bytes: '%PDF', is: 'a PDF document' },
  { at: 0, bytes: '\x1f\x8b', is: `a gzip archive; ${ARCHIVE}` },
  { at: 0, bytes: 'BZh', is: `a bzip2 archive; ${ARCHIVE}` },
  { at: 0, bytes: '\xfd7zXZ', is: `an xz archive; ${ARCHIVE}` },
  { at: 0, bytes: '\x28\xb5\x2f\xfd', is: `a zstd archive; ${ARCHIVE}` },
  { at: 0, bytes: '7z\xbc\xaf', is: `a 7z archive; ${ARCHIVE}` },
  { at: 0, bytes: 'Rar!', is: `a RAR archive; ${ARCHIVE}` },
  { at: 257, bytes: 'ustar', is: `a tar archive; ${ARCHIVE} (checkpoints named .pth.tar are usually no tar archives)` },
  { at: 0, bytes: '\x89HDF', is: 'an HDF5 file, as Keras writes; convert it to safetensors' },
  { at: 0, bytes: '\x93NUMPY', is: 'a NumPy array; convert it to safetensors' },
  { at: 0, bytes: 'GGUF', is: 'a GGUF language model' },
  { at: 0, bytes: '\x7fELF', is: 'a program' },
];

/**
 * Describes the file whose first bytes are `head`, with the remedy where there is one.
 * @param head up to the first 1024 bytes
 */
export function describeContent(head: Uint8Array): string {
  if (head.length === 0) return 'empty; download or write it again';
  const text = Buffer.from(head.buffer, head.byteOffset, head.byteLength).toString('latin1');
  const signature = SIGNATURES.find(({ at, bytes }) => text.startsWith(bytes, at));
  if (signature) return signature.is;
  if (text.startsWith('version https://git-lfs')) {
    return 'a Git LFS pointer, not the file it points to; fetch the file with `git lfs pull`';
  }
  const start = text.replace(/^(\xef\xbb\xbf)?\s+/, '').toLowerCase();
  if (/^<(!doctype html|html|head|body|!--|\?xml)/.test(start)) {
    return 'a web page; the download saved a message of the web site, open it in a browser to see why';
  }
  if (head.every((byte) => byte >= 32 || (byte >= 9 && byte <= 13))) {
    const line = text
      .trim()
      .split(/[\r\n]/, 1)[0]!
      .slice(0, 60);
    return `a text file that begins with ${JSON.stringify(line)}`;
  }
  if (head.every((byte) => byte === 0)) return 'filled with zeros; the download or the disk failed, fetch it again';
  return 'of an unknown kind';
}
