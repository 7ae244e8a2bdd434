// Pictures: files in and out, resizing, turning, and the conversion between video planes and RGB.
import assert from 'node:assert/strict';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import sharp from 'sharp';
import {
  createPicture,
  cropPicture,
  MediaError,
  openClip,
  type Picture,
  readPicture,
  resizePicture,
  rotatePicture,
  transformPicture,
  writePicture,
} from '../src/media/index.js';
import { pictureToI420, type YuvMatrix, yuvToPicture } from '../src/media/pictures/color.js';
import { hdrTransfer, toStandardRange } from '../src/media/pictures/tone-map.js';
import { names, psnr, readAll, scene, temporaryFolder } from './media-fixtures.js';

const folder = await temporaryFolder();
const file = (name: string) => join(folder, name);
const toSharp = ({ width, height, data }: Picture) => sharp(data, { raw: { width, height, channels: 3 } });

/** Resolves with the MediaError that `work` ends in. */
async function mediaError(work: Promise<unknown>, path: string): Promise<string> {
  try {
    await work;
  } catch (error) {
    assert(error instanceof MediaError, String(error));
    assert.equal(error.path, path);
    assert(error.message.startsWith(`${path}: `));
    assert(!error.message.includes('\n'));
    return error.reason;
  }
  return assert.fail('no error was thrown');
}

test('a PNG comes back bit for bit, JPEG and WebP nearly so, and all carry their metadata', async () => {
  const picture = scene(75, 50, 3);
  for (const [name, least] of [
    ['a.png', Infinity],
    ['a.jpg', 40],
    ['a.JPEG', 40],
    ['a.webp', 36],
  ] as const) {
    await writePicture(file(name), picture, { metadata: { title: 'the title', comment: 'made by a test' } });
    const back = await readPicture(file(name));
    assert(psnr(picture, back) >= least, `${name}: ${psnr(picture, back)} dB`);
    const { exif } = await sharp(file(name)).metadata();
    assert(exif?.includes('made by a test') && exif.includes('the title'), name);
  }
});

test('the EXIF orientation of a JPEG is applied', async () => {
  const picture = scene(64, 40, 0);
  const turned = {
    1: picture,
    2: rotatePicture(picture, 0, true),
    3: rotatePicture(picture, 180),
    4: rotatePicture(picture, 180, true),
    5: rotatePicture(picture, 90, true),
    6: rotatePicture(picture, 90),
    7: rotatePicture(picture, 270, true),
    8: rotatePicture(picture, 270),
  };
  for (const [orientation, expected] of Object.entries(turned)) {
    const path = file(`orientation${orientation}.jpg`);
    await toSharp(picture)
      .withMetadata({ orientation: Number(orientation) })
      .jpeg({ quality: 100, chromaSubsampling: '4:4:4' })
      .toFile(path);
    const read = await readPicture(path);
    assert.deepEqual([read.width, read.height], [expected.width, expected.height], orientation);
    assert(psnr(read, expected) > 40, `orientation ${orientation}: ${psnr(read, expected)} dB`);
  }
});

test('transparency is composited onto white', async () => {
  const rgba = Uint8Array.from([200, 100, 0, 255, 200, 100, 0, 128, 200, 100, 0, 0]);
  for (const name of ['alpha.png', 'alpha.webp']) {
    const image = sharp(rgba, { raw: { width: 3, height: 1, channels: 4 } });
    await (name.endsWith('png') ? image.png() : image.webp({ lossless: true })).toFile(file(name));
    const { data } = await readPicture(file(name));
    const expected = [200, 100, 0, 227, 177, 127, 255, 255, 255];
    data.forEach((value, index) => {
      assert(Math.abs(value - expected[index]!) <= 1, `${name}: ${data.join(' ')}`);
    });
  }
});

test('grey, palette, 16-bit and CMYK pictures become 8-bit RGB, of an animation the first frame is read', async () => {
  const picture = scene(40, 30, 1);
  await toSharp(picture).toColourspace('b-w').png().toFile(file('grey.png'));
  const grey = await readPicture(file('grey.png'));
  assert.equal(grey.data.length, 40 * 30 * 3);
  for (let i = 0; i < grey.data.length; i += 3) {
    assert(grey.data[i] === grey.data[i + 1] && grey.data[i] === grey.data[i + 2]);
  }
  await toSharp(picture).png({ palette: true }).toFile(file('palette.png'));
  assert(psnr(picture, await readPicture(file('palette.png'))) > 25);
  await toSharp(picture).toColourspace('rgb16').png().toFile(file('deep.png'));
  assert.equal((await sharp(file('deep.png')).metadata()).depth, 'ushort');
  assert(psnr(picture, await readPicture(file('deep.png'))) > 50);
  await toSharp(picture).toColourspace('cmyk').jpeg({ quality: 100 }).toFile(file('cmyk.jpg'));
  assert.equal((await sharp(file('cmyk.jpg')).metadata()).channels, 4);
  assert(psnr(picture, await readPicture(file('cmyk.jpg'))) > 20);
  const two = new Uint8Array([...picture.data, ...scene(40, 30, 20).data]);
  const raw = { width: 40, height: 60, channels: 3 as const, pageHeight: 30 };
  await sharp(two, { raw }).gif().toFile(file('two.gif'));
  const first = await readPicture(file('two.gif'));
  assert.deepEqual([first.width, first.height], [40, 30]);
  assert(psnr(picture, first) > 25);
});

test('a missing, empty, foreign or cut-off picture is one clear error', async () => {
  assert.match(await mediaError(readPicture(file('none.png')), file('none.png')), /no such file/);
  await writeFile(file('empty.png'), '');
  assert.match(await mediaError(readPicture(file('empty.png')), file('empty.png')), /is empty/);
  await writeFile(file('text.png'), 'this is no picture at all');
  assert.match(await mediaError(readPicture(file('text.png')), file('text.png')), /not an image format/);
  assert.match(await mediaError(readPicture(folder), folder), /folder/);
  for (const name of ['cut.jpg', 'cut.png', 'cut.webp']) {
    await writePicture(file(name), scene(200, 150, 0));
    const whole = await readFile(file(name));
    await writeFile(file(name), whole.subarray(0, whole.length >> 1));
    assert.match(await mediaError(readPicture(file(name)), file(name)), /cannot be read as a picture/);
  }
});

test('a picture of more than 8192 x 8192 pixels is read smaller, whatever its shape, and a much larger one refused', async () => {
  const flat = (width: number, height: number) =>
    sharp({ create: { width, height, channels: 3, background: '#336699' } }).png({ compressionLevel: 1 });
  await flat(12_000, 9000).jpeg().toFile(file('phone.jpg')); // 108 megapixels
  await flat(70_000, 1000).toFile(file('wide.png'));
  await flat(20_000, 10).toFile(file('long.png'));
  for (const [name, width, height] of [
    ['phone.jpg', 6000, 4500],
    ['wide.png', 35_000, 500],
    ['long.png', 20_000, 10],
  ] as const) {
    const warnings: string[] = [];
    const picture = await readPicture(file(name), { onWarning: (text) => warnings.push(text) });
    assert.deepEqual([picture.width, picture.height], [width, height]);
    picture.data.subarray(-3).forEach((value, i) => {
      assert.ok(Math.abs(value - [0x33, 0x66, 0x99][i]!) <= 2);
    });
    assert.equal(warnings.length, name === 'long.png' ? 0 : 1);
    for (const text of warnings) assert.match(text, / pixels and is read at 1\/2 of that size$/);
  }
  const { clip } = await readAll(file('phone.jpg'));
  assert.deepEqual([clip.width, clip.height], [6000, 4500]);
  // A header may claim anything: refused before memory is taken for it.
  const claim = await flat(8, 8).toBuffer();
  claim.writeUInt32BE(60_000, 16);
  claim.writeUInt32BE(60_000, 20);
  claim.writeUInt32BE(crc32(claim.subarray(12, 29)), 29);
  await writeFile(file('claim.png'), claim);
  assert.match(
    await mediaError(readPicture(file('claim.png')), file('claim.png')),
    /^has 60000 x 60000 pixels; pictures of up to 16384 x 16384 .* make it smaller first$/,
  );
});

test('a JPEG that lacks only its end marker is read with a warning, one that lacks more is not', async () => {
  const whole = await sharp(Buffer.from(scene(200, 160, 3).data), { raw: { width: 200, height: 160, channels: 3 } })
    .jpeg({ quality: 90 })
    .toBuffer();
  assert.deepEqual([...whole.subarray(-2)], [0xff, 0xd9]);
  await writeFile(file('endless.jpg'), whole.subarray(0, -2));
  await writeFile(file('half.jpg'), whole.subarray(0, whole.length >> 1));
  await writeFile(file('nearly.jpg'), whole.subarray(0, -40));
  await writeFile(file('whole.jpg'), whole);
  const warnings: string[] = [];
  const picture = await readPicture(file('endless.jpg'), { onWarning: (text) => warnings.push(text) });
  assert.deepEqual(picture, await readPicture(file('whole.jpg')));
  assert.deepEqual(warnings, [`${file('endless.jpg')}: has no end marker; the picture itself is whole`]);
  assert.deepEqual((await readAll(file('endless.jpg'))).warnings.length, 1);
  for (const name of ['half.jpg', 'nearly.jpg']) {
    assert.match(await mediaError(readPicture(file(name)), file(name)), /premature end/);
  }
});

/** The head of an ISO media file of these brands, and what would be its pictures. */
function branded(...brands: string[]): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(12 + 4 * brands.length);
  const version = Buffer.alloc(4);
  const [major, ...compatible] = brands;
  const text = (part: string): Buffer => Buffer.from(part, 'latin1');
  return Buffer.concat([length, text(`ftyp${major}`), version, text(compatible.join('')), Buffer.alloc(200)]);
}

test('pictures of kinds that are not read are called by their name, whatever the file is called, with what to do', async () => {
  const cases: [name: string, bytes: Buffer, says: RegExp][] = [
    ['photo.heic', branded('heic', 'mif1', 'heic'), /^is a HEIC picture.*save it as JPEG first/],
    ['photo.jpg', branded('mif1', 'heic'), /^is a HEIC picture/],
    ['photo.jxl', Buffer.concat([Buffer.from([0xff, 0x0a]), Buffer.alloc(60)]), /^is a JPEG XL picture.*JPEG or PNG/],
    ['photo.bmp', Buffer.concat([Buffer.from('BM'), Buffer.from([9, 9, 0, 0]), Buffer.alloc(60)]), /^is a BMP picture/],
    ['photo.psd', Buffer.concat([Buffer.from('8BPS'), Buffer.alloc(60)]), /^is a Photoshop file/],
  ];
  for (const [name, bytes, says] of cases) {
    await writeFile(file(name), bytes);
    assert.match(await mediaError(readPicture(file(name)), file(name)), says);
    assert.match(await mediaError(openClip(file(name)), file(name)), says);
  }
});

test('a folder of pictures warns of those of other kinds that it leaves out', async () => {
  const folder = join(await temporaryFolder(), 'mixed');
  await mkdir(folder);
  await writePicture(join(folder, '1.png'), scene(16, 16, 0));
  for (const name of ['2.heic', '3.HEIC', 'notes.txt', '.hidden.heic']) await writeFile(join(folder, name), 'x');
  const { frames, warnings } = await readAll(folder);
  assert.equal(frames.length, 1);
  assert.deepEqual(warnings, [
    `${folder}: 2.heic and 1 more are left out, as pictures of that kind are not read here; save them as JPEG or PNG first`,
  ]);
  await rm(join(folder, '1.png'));
  assert.match(
    await mediaError(openClip(folder), folder),
    /^is a folder without pictures .*: 2\.heic and 1 more are left out/,
  );
});

test('of what libvips says the line with the reason is shown', async () => {
  const avif = await sharp(Buffer.from(scene(64, 64, 3).data), { raw: { width: 64, height: 64, channels: 3 } })
    .avif()
    .toBuffer();
  await writeFile(file('cut.avif'), avif.subarray(0, avif.length >> 1));
  const said = await mediaError(readPicture(file('cut.avif')), file('cut.avif'));
  assert.match(said, /^cannot be read as a picture: heif: Invalid input: /);
  assert.doesNotMatch(said, /bad seek|\n/);
});

test('a file may have any name that the system allows, in any script', async () => {
  const long = `${'影'.repeat(83)}.png`; // 253 bytes
  await writePicture(file(long), scene(16, 16, 1));
  assert.deepEqual(await readPicture(file(long)), scene(16, 16, 1));
  const most = `${'a'.repeat(251)}.png`;
  await writePicture(file(most), scene(16, 16, 2));
  assert.deepEqual(await readPicture(file(most)), scene(16, 16, 2));
  const wide = `${'é'.repeat(130)}.png`;
  assert.match(await mediaError(writePicture(file(wide), scene(16, 16, 2)), file(wide)), /the name is too long/);
});

test('a picture that cannot be written leaves nothing behind and keeps what was there', async () => {
  const inner = file('inner');
  await mkdir(join(inner, 'taken.png'), { recursive: true });
  await writeFile(join(inner, 'old.png'), 'old');
  const picture = scene(8, 8, 0);
  const missing = join(inner, 'missing', 'a.png');
  assert.match(await mediaError(writePicture(missing, picture), missing), /does not exist/);
  const taken = join(inner, 'taken.png');
  assert.match(await mediaError(writePicture(taken, picture), taken), /is a folder/);
  const ending = join(inner, 'a.bmp');
  assert.match(await mediaError(writePicture(ending, picture), ending), /\.png, \.jpg or \.webp/);
  await assert.rejects(
    writePicture(join(inner, 'old.png'), { ...picture, width: 9 }),
    /9 x 8 RGB picture has 216 bytes/,
  );
  assert.deepEqual(await names(inner), ['old.png', 'taken.png']);
  assert.equal(await readFile(join(inner, 'old.png'), 'utf8'), 'old');
});

/** The documented formula, evaluated directly for one channel of one pixel in float64. */
function triangleSample(
  picture: Picture,
  width: number,
  height: number,
  x: number,
  y: number,
  channel: number,
): number {
  const weights = (output: number, index: number, input: number) => {
    const scale = input / output;
    const centre = (index + 0.5) * scale;
    const all = Array.from({ length: input }, (_, i) =>
      Math.max(0, 1 - Math.abs(i + 0.5 - centre) / Math.max(1, scale)),
    );
    const sum = all.reduce((a, b) => a + b, 0);
    return all.map((value) => value / sum);
  };
  const columns = weights(width, x, picture.width);
  const rows = weights(height, y, picture.height);
  let value = 0;
  for (const [row, a] of rows.entries()) {
    if (a === 0) continue;
    for (const [column, b] of columns.entries()) {
      value += a * b * picture.data[(row * picture.width + column) * 3 + channel]!;
    }
  }
  return value;
}

test('resizing follows its formula when shrinking, enlarging and both at once', () => {
  const picture = scene(37, 23, 0);
  for (let i = 0; i < picture.data.length; i += 7) picture.data[i] = (i * 89) & 255;
  for (const [width, height] of [
    [10, 9],
    [80, 60],
    [16, 50],
    [1, 1],
    [36, 23],
  ] as const) {
    const resized = resizePicture(picture, width, height);
    for (let y = 0; y < height; y += 3) {
      for (let x = 0; x < width; x += 2) {
        for (let channel = 0; channel < 3; channel++) {
          const exact = triangleSample(picture, width, height, x, y, channel);
          const got = resized.data[(y * width + x) * 3 + channel]!;
          assert(Math.abs(got - exact) <= 0.5 + 1e-3, `${width}x${height} at ${x},${y}: ${got}, not ${exact}`);
        }
      }
    }
  }
});

test('enlarged by Lanczos a picture is nearer to the original than bilinearly, and edges stay within black and white', () => {
  const original = createPicture(96, 80);
  for (let i = 0; i < 96 * 80; i++) {
    const wave = Math.sin((i % 96) / 1.3) * Math.cos(Math.floor(i / 96) / 1.5);
    original.data.fill(128 + 90 * wave, 3 * i, 3 * i + 3);
  }
  const small = resizePicture(original, 48, 40);
  const [sharp, plain] = (['lanczos', 'bilinear'] as const).map((enlarge) =>
    psnr(resizePicture(small, 96, 80, { enlarge }), original),
  );
  assert.ok(sharp! > plain! + 0.5, `${sharp} dB and ${plain} dB`);
  assert.deepEqual(resizePicture(original, 31, 80, { enlarge: 'lanczos' }), resizePicture(original, 31, 80));
  const edge = createPicture(16, 1);
  edge.data.fill(255, 24);
  const row = resizePicture(edge, 64, 1, { enlarge: 'lanczos' }).data;
  assert.ok(
    row.subarray(0, 90).every((value) => value < 40),
    'black stays dark',
  );
  assert.ok(
    row.subarray(102).every((value) => value > 215),
    'white stays light',
  );
  const flat = createPicture(20, 20);
  flat.data.fill(255);
  assert.ok(resizePicture(flat, 47, 90, { enlarge: 'lanczos' }).data.every((value) => value === 255));
});

test('resizing to the same size copies, and a flat picture stays flat at any size', () => {
  const picture = scene(31, 17, 5);
  const same = resizePicture(picture, 31, 17);
  assert.deepEqual(same, picture);
  assert.notEqual(same.data, picture.data);
  for (const level of [0, 1, 127, 254, 255]) {
    const flat = createPicture(50, 41);
    flat.data.fill(level);
    for (const [width, height] of [
      [7, 90],
      [256, 256],
      [13, 3],
    ] as const) {
      assert(
        resizePicture(flat, width, height).data.every((value) => value === level),
        `${level}`,
      );
    }
  }
});

test('turning moves every pixel to its place and four quarter turns are none', () => {
  // 1 2 3      4 1        3 2 1
  // 4 5 6  ->  5 2  and   6 5 4 when mirrored
  //            6 3
  const numbered = createPicture(3, 2);
  for (let i = 0; i < 6; i++) numbered.data.fill(i + 1, i * 3, i * 3 + 3);
  const read = ({ data }: Picture) => [...data].filter((_, index) => index % 3 === 0);
  assert.deepEqual(read(rotatePicture(numbered, 90)), [4, 1, 5, 2, 6, 3]);
  assert.deepEqual(read(rotatePicture(numbered, 180)), [6, 5, 4, 3, 2, 1]);
  assert.deepEqual(read(rotatePicture(numbered, 270)), [3, 6, 2, 5, 1, 4]);
  assert.deepEqual(read(rotatePicture(numbered, 0, true)), [3, 2, 1, 6, 5, 4]);
  let turned = scene(9, 5, 2);
  for (let i = 0; i < 4; i++) turned = rotatePicture(turned, 90);
  assert.deepEqual(turned, scene(9, 5, 2));
});

test('cropping takes the rectangle, covering keeps proportions, and a crop outside is refused', () => {
  const picture = scene(20, 10, 0);
  const part = cropPicture(picture, { left: 3, top: 2, width: 4, height: 5 });
  assert.deepEqual([...part.data.subarray(0, 3)], [...picture.data.subarray((2 * 20 + 3) * 3, (2 * 20 + 4) * 3)]);
  assert.throws(() => cropPicture(picture, { left: 18, top: 0, width: 4, height: 5 }), RangeError);
  assert.throws(() => cropPicture(picture, { left: 0.5, top: 0, width: 4, height: 5 }), RangeError);
  const covered = transformPicture(picture, { size: [10, 10], fit: 'cover' });
  assert.deepEqual(covered, cropPicture(picture, { left: 5, top: 0, width: 10, height: 10 }));
  const filled = transformPicture(picture, { crop: { left: 2, top: 2, width: 8, height: 4 }, size: [4, 4] });
  assert.deepEqual(filled, resizePicture(cropPicture(picture, { left: 2, top: 2, width: 8, height: 4 }), 4, 4));
});

/** One pixel of given plane values as RGB. */
function pixel(y: number, cb: number, cr: number, matrix: YuvMatrix, fullRange: boolean): number[] {
  const plane = (value: number) => Uint8Array.from([value]);
  const size = { width: 1, height: 1, yStride: 1, chromaStride: 1, chromaStep: 1, shiftX: 0, shiftY: 0 } as const;
  return [...yuvToPicture({ ...size, y: plane(y), cb: plane(cb), cr: plane(cr) }, { matrix, fullRange }).data];
}

test('video levels become the colours of the standards', () => {
  for (const matrix of ['bt601', 'bt709', 'bt2020'] as const) {
    assert.deepEqual(pixel(235, 128, 128, matrix, false), [255, 255, 255]);
    assert.deepEqual(pixel(16, 128, 128, matrix, false), [0, 0, 0]);
    assert.deepEqual(pixel(255, 128, 128, matrix, true), [255, 255, 255]);
    assert.deepEqual(pixel(77, 128, 128, matrix, true), [77, 77, 77]);
  }
  const near = (got: number[], expected: number[]) => {
    got.forEach((value, index) => {
      assert(Math.abs(value - expected[index]!) <= 2, `${got}, not ${expected}`);
    });
  };
  // 100 % red, green and blue as the standards tabulate them for 8 bits, limited range.
  near(pixel(81, 90, 240, 'bt601', false), [255, 0, 0]);
  near(pixel(145, 54, 34, 'bt601', false), [0, 255, 0]);
  near(pixel(41, 240, 110, 'bt601', false), [0, 0, 255]);
  near(pixel(63, 102, 240, 'bt709', false), [255, 0, 0]);
  near(pixel(173, 42, 26, 'bt709', false), [0, 255, 0]);
  near(pixel(32, 240, 118, 'bt709', false), [0, 0, 255]);
  near(pixel(74, 97, 240, 'bt2020', false), [255, 0, 0]);
  assert.deepEqual(pixel(2, 3, 1, 'rgb', true), [1, 2, 3]);
});

test('RGB to 4:2:0 and back keeps a smooth picture within two levels and greys exact, in full range', () => {
  for (const matrix of ['bt601', 'bt709', 'bt2020'] as const) {
    for (const fullRange of [true, false]) {
      for (const [width, height] of [
        [256, 192],
        [255, 191],
      ] as const) {
        const flat = createPicture(width, height);
        for (let i = 0; i < flat.data.length; i++) flat.data[i] = [90, 150, 210][i % 3]!;
        for (const [original, limit] of [
          [flat, 2],
          [scene(width, height, 0), 4],
        ] as const) {
          const planes = pictureToI420(original, { matrix, fullRange });
          assert.deepEqual([planes.width, planes.height], [256, 192]);
          const back = i420(planes, { matrix, fullRange });
          const same = cropPicture(back, { left: 0, top: 0, width, height });
          const worst = same.data.reduce((most, value, i) => Math.max(most, Math.abs(value - original.data[i]!)), 0);
          assert(worst <= limit, `${matrix} ${fullRange} ${width}: ${worst}`);
        }
      }
    }
    const greys = createPicture(256, 2);
    for (let i = 0; i < greys.data.length; i++) greys.data[i] = Math.floor(i / 3) & 254;
    assert.deepEqual(i420(pictureToI420(greys, { matrix, fullRange: true }), { matrix, fullRange: true }), greys);
  }
  assert.throws(() => pictureToI420(scene(2, 2, 0), { matrix: 'rgb', fullRange: true }), RangeError);
});

function i420(planes: ReturnType<typeof pictureToI420>, color: { matrix: YuvMatrix; fullRange: boolean }): Picture {
  const { width, height, data } = planes;
  const luma = width * height;
  const chroma = { chromaStride: width / 2, chromaStep: 1, shiftX: 1, shiftY: 1 } as const;
  const cb = data.subarray(luma, luma + luma / 4);
  const cr = data.subarray(luma + luma / 4);
  return yuvToPicture({ width, height, y: data.subarray(0, luma), yStride: width, cb, cr, ...chroma }, color);
}

test('an odd last column and row are repeated once, and extreme colours stay in range', () => {
  const picture = createPicture(3, 3);
  for (let i = 0; i < picture.data.length; i++) picture.data[i] = [0, 0, 255][i % 3]!;
  const { width, height, data } = pictureToI420(picture, { matrix: 'bt601', fullRange: true });
  assert.deepEqual([width, height, data.length], [4, 4, 24]);
  assert(data.subarray(0, 16).every((value) => value === data[0]));
  assert.equal(data[16], 255);
});

/** The signal, 0 to 255, with which HLG and PQ transmit light, 1 for diffuse white (Rec. ITU-R BT.2100, BT.2408). */
const signalOf = {
  pq(light: number): number {
    const y = ((light * 203) / 10_000) ** (2610 / 16384);
    return 255 * ((3424 / 4096 + (2413 / 128) * y) / (1 + (2392 / 128) * y)) ** (2523 / 32);
  },
  /** Of grey, whose screen light is the scene's to the power of 1.2. */
  hlg(light: number): number {
    const scene = ((light * 203) / 1000) ** (1 / 1.2);
    const curved = scene <= 1 / 12 ? Math.sqrt(3 * scene) : 0.17883277 * Math.log(12 * scene - 0.28466892) + 0.55991073;
    return 255 * curved;
  },
};

const srgb = (light: number): number => 255 * (light <= 0.0031308 ? 12.92 * light : 1.055 * light ** (1 / 2.4) - 0.055);

test('of a high dynamic range the ordinary part stays as it is, and what is brighter still differs', () => {
  for (const transfer of ['hlg', 'pq'] as const) {
    assert.equal(hdrTransfer(transfer), transfer);
    for (const light of [0.02, 0.1, 0.2, 0.5, 0.7]) {
      const picture = createPicture(1, 1);
      picture.data.fill(Math.round(signalOf[transfer](light)));
      toStandardRange(picture, transfer);
      for (const value of picture.data) assert.ok(Math.abs(value - srgb(light)) <= 6, `${transfer} ${light}: ${value}`);
      assert.ok(Math.max(...picture.data) - Math.min(...picture.data) <= 1, 'grey stays grey');
    }
    const ramp = createPicture(256, 1);
    for (let i = 0; i < 768; i++) ramp.data[i] = Math.floor(i / 3);
    toStandardRange(ramp, transfer);
    for (let i = 3; i < 768; i++) assert.ok(ramp.data[i]! >= ramp.data[i - 3]!, 'brighter never becomes darker');
    assert.ok(ramp.data[765]! > ramp.data[3 * Math.round(signalOf[transfer](1))]!, 'highlights keep their drawing');
  }
  assert.equal(hdrTransfer('bt709'), undefined);
});

test('the colours of BT.2020 become as lively as they were, not grey', () => {
  // A skin tone of sRGB in BT.2020 and PQ.
  const [red, green, blue] = [0.5, 0.25, 0.15];
  const wide = [
    0.6274 * red + 0.3293 * green + 0.0433 * blue,
    0.0691 * red + 0.9195 * green + 0.0114 * blue,
    0.0164 * red + 0.088 * green + 0.8956 * blue,
  ];
  const picture = createPicture(1, 1);
  picture.data.set(wide.map((light) => Math.round(signalOf.pq(light))));
  toStandardRange(picture, 'pq');
  [red, green, blue].forEach((light, i) => {
    assert.ok(Math.abs(picture.data[i]! - srgb(light)) <= 6, `${[...picture.data]}`);
  });
});
