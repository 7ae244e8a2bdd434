// What outputs say of their origin, in every container, as this program and others read it back.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import sharp from 'sharp';
import { createClipWriter, type MediaMetadata, readMetadata, readPicture, writePicture } from '../src/media/index.js';
import { parseXmp, xmpPacket } from '../src/media/provenance/provenance.js';
import { readXmpBox } from '../src/media/provenance/xmp-box.js';
import { provenance, VERSION } from '../src/pipelines/provenance.js';
import { dagan } from './cli-run.js';
import { inspect, psnr, readAll, scene, temporaryFolder } from './media-fixtures.js';

const folder = await temporaryFolder();
const file = (name: string): string => join(folder, name);

const TRAINED = 'http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia';
const HASH = 'ab'.repeat(32);
/** A name that needs escaping, in more than ASCII. */
const MODEL = `Modèle "256" <a & b's>`;
const metadata = provenance({ name: MODEL, sha256: HASH }, 'trained');

async function writeClip(name: string, about: MediaMetadata | undefined, frames = 3): Promise<void> {
  await using writer = await createClipWriter(file(name), { width: 64, height: 48, frameRate: 25, metadata: about });
  for (let index = 0; index < frames; index++) await writer.add(scene(64, 48, index));
  await writer.finish();
}

const CLIPS = ['clip.mp4', 'clip.mov', 'clip.m4v', 'clip.webm', 'clip.mkv', 'clip.gif', 'clip.webp', 'frames/'];
const PICTURES = ['still.png', 'still.jpg', 'still.webp'];

test('every kind of output says that it is synthetic and by what it was made, and still plays', async () => {
  const expected: MediaMetadata = {
    title: 'Synthetic media',
    comment: `A portrait animated by a driving video: no recording of what is shown. Made by dagan ${VERSION}, model ${MODEL}, sha256 ${HASH}.`,
    origin: {
      digitalSourceType: TRAINED,
      creatorTool: `dagan ${VERSION}`,
      system: MODEL,
      systemVersion: `sha256 ${HASH}`,
    },
  };
  assert.deepEqual(metadata, expected);
  for (const name of CLIPS) {
    await writeClip(name, metadata);
    assert.deepEqual(await readMetadata(file(name)), expected, name);
    const { frames, warnings } = await readAll(file(name));
    assert.equal(frames.length, 3, name);
    assert.deepEqual(warnings, []);
    for (const [index, { picture }] of frames.entries()) assert.ok(psnr(picture, scene(64, 48, index)) > 25, name);
  }
  for (const name of PICTURES) {
    await writePicture(file(name), scene(64, 48, 0), { metadata });
    assert.deepEqual(await readMetadata(file(name)), expected, name);
    assert.ok(psnr(await readPicture(file(name)), scene(64, 48, 0)) > 35, name);
  }
});

test('what is written lies where the formats want it', async () => {
  const packet = xmpPacket(metadata)!;
  for (const name of ['clip.mp4', 'clip.mov']) {
    const bytes = await readFile(file(name));
    const boxes: { type: string; body: Buffer }[] = [];
    for (let at = 0; at < bytes.length; ) {
      const short = bytes.readUInt32BE(at);
      const length = short === 1 ? Number(bytes.readBigUInt64BE(at + 8)) : short;
      assert.ok(length >= 8 && at + length <= bytes.length, `${name}: boxes fill the file`);
      boxes.push({
        type: bytes.toString('latin1', at + 4, at + 8),
        body: bytes.subarray(at + (short === 1 ? 16 : 8), at + length),
      });
      at += length;
    }
    const found = boxes.filter(({ type }) => type === 'uuid');
    assert.equal(found.length, 1);
    assert.equal(found[0]!.body.toString('hex', 0, 16), 'be7acfcb97a942e89c71999491e3afac');
    assert.equal(found[0]!.body.toString('utf8', 16), packet);
    assert.deepEqual([boxes[0]!.type, boxes.some(({ type }) => type === 'moov')], ['ftyp', true]);
    const { tags } = await inspect(file(name));
    assert.deepEqual([tags.title, tags.comment], [metadata.title, metadata.comment]);
  }
  for (const name of ['clip.webm', 'clip.mkv']) {
    const { tags } = await inspect(file(name));
    assert.deepEqual([tags.title, tags.comment], [metadata.title, metadata.comment]);
    assert.equal(tags.raw?.DIGITAL_SOURCE_TYPE, TRAINED);
    assert.equal(tags.raw?.AI_SYSTEM_VERSION_USED, `sha256 ${HASH}`);
  }
  for (const name of [...PICTURES, 'clip.webp', 'frames/000002.png']) {
    const { xmpAsString, exif } = await sharp(file(name)).metadata();
    assert.equal(xmpAsString, packet, name);
    assert.ok(exif?.includes('Synthetic media'), name);
  }
  const png = await readFile(file('still.png'));
  assert.ok(png.includes('iTXt') && png.includes('XML:com.adobe.xmp\0'));
  assert.ok((await readFile(file('still.jpg'))).includes('http://ns.adobe.com/xap/1.0/\0'));
  const webp = await readFile(file('clip.webp'));
  assert.equal(webp.readUInt8(20) & 0x0e, 0x0e, 'animation, EXIF and XMP are announced');
  assert.equal(webp.readUInt32LE(4) + 8, webp.length);
  const gif = await readFile(file('clip.gif'));
  const at = gif.indexOf('XMP DataXMP');
  assert.equal(gif.toString('utf8', at + 11, at + 11 + Buffer.byteLength(packet)), packet);
  assert.equal(gif.readUInt8(at - 1), 11);
});

test('without metadata, or with a title alone, nothing is said of the origin', async () => {
  for (const name of CLIPS) {
    const plain = name.replace('clip', 'plain').replace('frames', 'plain');
    await writeClip(plain, undefined, 1);
    assert.deepEqual(await readMetadata(file(plain)), {}, plain);
  }
  for (const name of PICTURES) {
    await writePicture(file(`plain-${name}`), scene(16, 16, 0), { metadata: { title: 'only this' } });
    assert.equal((await readMetadata(file(`plain-${name}`))).origin, undefined, name);
    assert.equal((await sharp(file(`plain-${name}`)).metadata()).xmp, undefined);
  }
  const unnamed = provenance({}, 'composite');
  assert.deepEqual(unnamed.origin, {
    digitalSourceType: 'http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia',
    creatorTool: `dagan ${VERSION}`,
    system: 'DaGAN',
  });
  assert.deepEqual(parseXmp(xmpPacket(unnamed)!), unnamed);
});

test('packets of other programs are read in each of the ways in which XMP can be written', () => {
  const packet = (inner: string, attributes = ''): string =>
    `<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" ${attributes}>${inner}</rdf:Description></rdf:RDF></x:xmpmeta>`;
  const expected = { origin: { digitalSourceType: TRAINED, creatorTool: 'A & B' } };
  assert.deepEqual(
    parseXmp(packet('', `Iptc4xmpExt:DigitalSourceType = '${TRAINED}'\n xmp:CreatorTool="A &#38; B"`)),
    expected,
  );
  assert.deepEqual(
    parseXmp(
      packet(
        `<Iptc4xmpExt:DigitalSourceType>${TRAINED}</Iptc4xmpExt:DigitalSourceType><xap:CreatorTool> A &#x26; B\n</xap:CreatorTool>`,
      ),
    ),
    expected,
  );
  assert.deepEqual(
    parseXmp(packet(`<ext:DigitalSourceType rdf:resource="${TRAINED}"/><xmp:CreatorTool>A &amp; B</xmp:CreatorTool>`)),
    expected,
  );
  assert.deepEqual(
    parseXmp(
      packet(
        '<dc:title>\n<rdf:Alt><rdf:li xml:lang="x-default">First &lt;1&gt;</rdf:li><rdf:li xml:lang="de">Zweiter</rdf:li></rdf:Alt></dc:title>',
      ),
    ),
    { title: 'First <1>' },
  );
  assert.deepEqual(parseXmp(packet('', 'exif:Orientation="1"')), {});
  assert.deepEqual(parseXmp('no packet'), {});
});

test('packets without an end and boxes too short for one state nothing', async () => {
  assert.deepEqual(parseXmp('<dc:title>'.repeat(100_000)), {});
  assert.deepEqual(parseXmp('<dc:title '.repeat(100_000)), {});
  const box = Buffer.alloc(24);
  box.writeUInt32BE(12, 0);
  box.write('uuid', 4, 'latin1');
  Buffer.from('be7acfcb97a942e89c71999491e3afac', 'hex').copy(box, 8);
  await writeFile(file('box.mp4'), box);
  assert.equal(await readXmpBox(file('box.mp4')), undefined);
});

test('files that are missing, empty, cut off or foreign are told apart', async () => {
  await writeFile(file('empty.mp4'), '');
  await writeFile(file('text.mp4'), 'this is a text, not a video, whatever it is called');
  const bytes = await readFile(file('clip.mp4'));
  await writeFile(file('cut.mp4'), bytes.subarray(0, bytes.length - 900));
  const gif = await readFile(file('clip.gif'));
  await writeFile(file('cut.gif'), gif.subarray(0, 600));
  await assert.rejects(readMetadata(file('none.mp4')), /none\.mp4: .*(no such|does not exist)/i);
  await assert.rejects(readMetadata(file('empty.mp4')), /empty\.mp4: is empty/);
  await assert.rejects(readMetadata(file('text.mp4')), /text\.mp4: is neither a picture nor a video/);
  await writeFile(file('short.mp4'), 'hello');
  await assert.rejects(readMetadata(file('short.mp4')), /short\.mp4: is neither a picture nor a video/);
  await assert.rejects(readMetadata(file('cut.gif')), /cut\.gif: is damaged/);
  // The box at the end is cut: the tags before it still tell.
  const cut = await readMetadata(file('cut.mp4'));
  assert.equal(cut.title, 'Synthetic media');
});

test('`dagan info` tells the origin of an output, or that nothing is stated', async () => {
  for (const name of ['clip.mp4', 'clip.webm', 'clip.gif', 'frames/', 'still.jpg']) {
    const { code, stdout, stderr } = await dagan(folder, ['info', name]);
    assert.equal(code, 0, stderr);
    assert.deepEqual(stdout.trimEnd().split('\n'), [
      `file      ${name}`,
      'origin    synthetic, made by a trained network; IPTC trainedAlgorithmicMedia',
      `made by   dagan ${VERSION}`,
      `model     ${MODEL}, sha256 ${HASH}`,
      'title     Synthetic media',
      `comment   ${metadata.comment}`,
    ]);
  }
  const plain = await dagan(folder, ['info', 'plain.mp4']);
  assert.equal(plain.code, 0);
  assert.match(plain.stdout, /^file {6}plain\.mp4\norigin {4}not stated; .*\n$/);
  const missing = await dagan(folder, ['info', 'none.mp4']);
  assert.equal(missing.code, 1);
  assert.match(missing.stderr, /none\.mp4: /);
});
