// Kinds of picture that people have and that are not read here, told by their first bytes: names lie, and what the codecs say of
// such files helps nobody.
import { extname } from 'node:path';

const SAVE = 'save it as JPEG or PNG first';

/** Brands of ISO media files (ISO/IEC 23008-12) whose pictures are coded as HEVC. */
const HEIC_BRANDS = ['heic', 'heix', 'heim', 'heis', 'hevc', 'hevx'];

const SIGNATURES: readonly (readonly [signature: string, name: string])[] = [
  ['\xff\x0a', 'a JPEG XL picture'],
  ['\0\0\0\x0cJXL ', 'a JPEG XL picture'],
  ['\0\0\0\x0cjP  ', 'a JPEG 2000 picture'],
  ['\xffO\xffQ', 'a JPEG 2000 picture'],
  ['8BPS', 'a Photoshop file'],
  ['v/1\x01', 'an OpenEXR picture'],
  ['FUJIFILM', "a camera's raw picture"],
  ['\0\0\x01\0', 'an icon'],
  ['%PDF', 'a PDF'],
];

/** Endings of the same kinds, and of others that no codec here knows. */
const FOREIGN_EXTENSIONS: readonly string[] = [
  ...['.heic', '.heif', '.hif', '.jxl', '.jp2', '.bmp', '.psd', '.exr', '.ico', '.pdf'],
  ...['.dng', '.cr2', '.cr3', '.nef', '.arw', '.raf', '.orf', '.rw2'],
];

/**
 * What a file is and what to do, to be put behind its name: "is a HEIC picture ..."; undefined for kinds that are read, and for
 * what is no picture.
 *
 * @param head the first 64 bytes or more
 */
export function foreignPicture(head: Uint8Array): string | undefined {
  const text = String.fromCharCode(...head.subarray(0, 64));
  if (text.slice(4, 8) === 'ftyp') {
    const length = new DataView(head.buffer, head.byteOffset).getUint32(0);
    const brands: string[] = text.slice(8, Math.max(12, length)).match(/[\s\S]{4}/g) ?? [];
    if (!brands.some((brand) => HEIC_BRANDS.includes(brand)) || brands.includes('avif')) return undefined;
    return (
      'is a HEIC picture, as iPhones take them, which is not read here; save it as JPEG first, on a Mac with: ' +
      'sips -s format jpeg IN.heic --out OUT.jpg, elsewhere with: heif-convert IN.heic OUT.jpg'
    );
  }
  // Two letters alone also begin texts; a bitmap says its length next, and then four zeros.
  if (text.startsWith('BM') && text.slice(6, 10) === '\0\0\0\0')
    return `is a BMP picture, which is not read here; ${SAVE}`;
  const known = SIGNATURES.find(([signature]) => text.startsWith(signature));
  return known && `is ${known[1]}, which is not read here; ${SAVE}`;
}

/** Whether a name is that of a picture of such a kind. */
export const isForeignPictureName = (name: string): boolean =>
  FOREIGN_EXTENSIONS.includes(extname(name).toLowerCase()) && !name.startsWith('.');

/** A warning of the pictures of such kinds among the names in a folder; undefined if there is none. */
export function leftOutWarning(names: readonly string[]): string | undefined {
  const foreign = names.filter(isForeignPictureName);
  if (foreign.length === 0) return undefined;
  const [first] = foreign;
  const which = foreign.length === 1 ? `${first} is` : `${first} and ${foreign.length - 1} more are`;
  return `${which} left out, as pictures of that kind are not read here; ${SAVE.replace('it', 'them')}`;
}
