// Signed statements of origin: every container that can hold one, changed files, and unfit certificates and keys.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import {
  type ContentSigner,
  createClipWriter,
  openContentSigner,
  readCredentials,
  readMetadata,
  writePicture,
} from '../src/media/index.js';
import { saveModel } from '../src/models/index.js';
import { provenance } from '../src/pipelines/provenance.js';
import { type TestCertificateOptions, testCertificate } from './certificates.js';
import { dagan, formulaModel, SMALL_WITHOUT_DEPTH } from './cli-run.js';
import { names, readAll, scene, temporaryFolder } from './media-fixtures.js';

const folder = await temporaryFolder();
const file = (name: string): string => join(folder, name);
const metadata = provenance({ name: 'a model', sha256: 'cd'.repeat(32) }, 'trained');

const { certificate, key } = testCertificate();
await writeFile(file('certificate.pem'), certificate);
await writeFile(file('key.pem'), key);
const signer = await openContentSigner({ certificate: file('certificate.pem'), key: file('key.pem') });

async function writeSigned(name: string): Promise<void> {
  await using writer = await createClipWriter(file(name), { width: 64, height: 48, frameRate: 25, metadata, signer });
  for (let index = 0; index < 4; index++) await writer.add(scene(64, 48, index));
  await writer.finish();
}

test('a signed clip plays, says the same as before, names its signer, and shows any change', async () => {
  for (const name of ['clip.mp4', 'clip.mov', 'clip.gif', 'clip.webp']) {
    await writeSigned(name);
    assert.deepEqual(await readCredentials(file(name)), { signer: 'A Signer, Test Studio', intact: true }, name);
    assert.deepEqual(await readMetadata(file(name)), metadata, name);
    const { frames, warnings } = await readAll(file(name));
    assert.deepEqual([frames.length, warnings], [4, []], name);
    const bytes = await readFile(file(name));
    assert.ok(bytes.includes('c2pa.created') && bytes.includes('trainedAlgorithmicMedia'));
    // One bit of the words about the origin.
    bytes[bytes.lastIndexOf('Synthetic media')]! ^= 1;
    await writeFile(file(`changed-${name}`), bytes);
    assert.equal((await readCredentials(file(`changed-${name}`)))?.intact, false, name);
  }
  await using writer = await createClipWriter(file('plain.mp4'), { width: 64, height: 48, frameRate: 25 });
  await writer.add(scene(64, 48, 0));
  await writer.finish();
  assert.equal(await readCredentials(file('plain.mp4')), undefined);
  assert.equal(await readCredentials(file('key.pem')), undefined);
});

test('without the package, each file is told what to install; once it is there, it is used', async () => {
  // Stands in the way of the package until it has been asked for twice.
  const hooks = `let asked = 0;
    export async function resolve(name, context, next) {
      if (name !== '@contentauth/c2pa-wasm' || ++asked > 2) return next(name, context);
      throw Object.assign(new Error('not installed'), { code: 'ERR_MODULE_NOT_FOUND' });
    }`;
  const credentials = new URL('../src/media/provenance/content-credentials.js', import.meta.url).href;
  const program = `import { register } from 'node:module';
    register('data:text/javascript,' + ${JSON.stringify(encodeURIComponent(hooks))});
    const { readCredentials } = await import(${JSON.stringify(credentials)});
    for (const name of ['one.mp4', 'two.mp4', 'clip.mp4']) {
      console.log(await readCredentials(name).then((found) => found.signer, (error) => error.message));
    }`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], {
    cwd: folder,
  });
  const [one, two, clip] = stdout.split('\n');
  assert.match(one!, /^one\.mp4: .*@contentauth\/c2pa-wasm/);
  assert.match(two!, /^two\.mp4: .*@contentauth\/c2pa-wasm/);
  assert.equal(clip, 'A Signer, Test Studio');
});

test('containers that hold no credentials are refused before anything is made', async () => {
  for (const name of ['clip.webm', 'clip.mkv', 'frames/']) {
    const options = { width: 64, height: 48, frameRate: 25, metadata, signer };
    await assert.rejects(createClipWriter(file(name), options), /cannot hold content credentials; \.mp4 .* can/);
  }
  assert.deepEqual(
    (await names(folder)).filter((name) => /webm|mkv|frames|part/.test(name)),
    [],
  );
});

test('certificates and keys that do not fit are refused by name, with what is wrong', async () => {
  const other = testCertificate();
  const expired = testCertificate({ years: -1 });
  const curve = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey;
  const locked = generateKeyPairSync('ed25519').privateKey.export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase: 'secret',
  });
  await writeFile(file('other.key'), other.key);
  await writeFile(file('locked.key'), locked);
  await writeFile(file('curve.key'), curve.export({ type: 'sec1', format: 'pem' }));
  await writeFile(file('expired.pem'), expired.certificate);
  await writeFile(file('expired.key'), expired.key);
  await writeFile(file('damaged.pem'), certificate.replace(/.{40}\n-----END/, '\n-----END'));
  const opening = (name: string, keyName: string) => openContentSigner({ certificate: file(name), key: file(keyName) });
  await assert.rejects(opening('certificate.pem', 'other.key'), /other\.key: is not the key of .*certificate\.pem/);
  await assert.rejects(
    opening('certificate.pem', 'locked.key'),
    /locked\.key: holds no private key .* without a password/,
  );
  await assert.rejects(opening('certificate.pem', 'curve.key'), /curve\.key: is no EC \(P-256/);
  await assert.rejects(opening('certificate.pem', 'none.key'), /none\.key: cannot be read/);
  await assert.rejects(opening('key.pem', 'key.pem'), /key\.pem: holds no certificate/);
  await assert.rejects(opening('damaged.pem', 'key.pem'), /damaged\.pem: holds a damaged certificate/);
  await assert.rejects(opening('expired.pem', 'expired.key'), /expired\.pem: has expired on /);
});

/** A signer with a certificate of this kind. */
async function signerWith(name: string, options: TestCertificateOptions): Promise<ContentSigner> {
  const made = testCertificate(options);
  await writeFile(file(`${name}.pem`), made.certificate);
  await writeFile(file(`${name}.key`), made.key);
  return openContentSigner({ certificate: file(`${name}.pem`), key: file(`${name}.key`) });
}

test('keys of every kind sign', async () => {
  for (const kind of ['P-384', 'P-521', 'RSA', 'Ed25519'] as const) {
    const other = await signerWith(kind, { kind });
    const options = { width: 32, height: 32, frameRate: 25, metadata, signer: other };
    await using writer = await createClipWriter(file(`${kind}.gif`), options);
    await writer.add(scene(32, 32, 0));
    await writer.finish();
    assert.deepEqual(
      await readCredentials(file(`${kind}.gif`)),
      { signer: 'A Signer, Test Studio', intact: true },
      kind,
    );
  }
});

test('a certificate that is not made for signing documents is refused, and no file is left behind', async () => {
  const unfit = await signerWith('unfit', { fit: false });
  const options = { width: 32, height: 32, frameRate: 25, metadata, signer: unfit };
  await using writer = await createClipWriter(file('unfit.gif'), options);
  await writer.add(scene(32, 32, 0));
  await assert.rejects(
    writer.finish(),
    /unfit\.gif: cannot be signed by .*unfit\.pem: certificate params incorrect \(a certificate must be /,
  );
  assert.deepEqual(
    (await names(folder)).filter((name) => /gif$|part$/.test(name) && name.includes('unfit')),
    [],
  );
});

test('`dagan info` names the signer and tells a changed file', async () => {
  const signed = await dagan(folder, ['info', 'clip.mp4']);
  assert.equal(signed.code, 0, signed.stderr);
  assert.match(
    signed.stdout,
    /^signed {4}A Signer, Test Studio \(C2PA\); the file is as it was signed; whether to trust/m,
  );
  assert.match(signed.stdout, /^origin {4}synthetic, made by a trained network;/m);
  const changed = await dagan(folder, ['info', 'changed-clip.mp4']);
  assert.match(changed.stdout, /^signed {4}A Signer, Test Studio \(C2PA\); THE FILE WAS CHANGED/m);
});

test('`dagan animate` signs what it makes, and says which part of it is synthetic', async () => {
  saveModel(file('quick.safetensors'), formulaModel(SMALL_WITHOUT_DEPTH), { name: 'quick' });
  await writePicture(file('face.png'), scene(64, 64, 3));
  await writeSigned('talk.gif');
  const words = [
    'animate',
    'face.png',
    'talk.gif',
    '--checkpoint',
    'quick.safetensors',
    '--crop',
    'none',
    '--end',
    '2',
  ];
  const signing = ['--c2pa-certificate', 'certificate.pem', '--c2pa-key', 'key.pem'];
  const made = await dagan(folder, [...words, '-o', 'out.mp4', '--side-by-side', '--size', '32', ...signing]);
  assert.equal(made.code, 0, made.stderr);
  assert.deepEqual(await readCredentials(file('out.mp4')), { signer: 'A Signer, Test Studio', intact: true });
  const { origin } = await readMetadata(file('out.mp4'));
  assert.match(origin?.digitalSourceType ?? '', /\/compositeWithTrainedAlgorithmicMedia$/);
  assert.equal(origin?.system, 'quick');
  assert.match(origin?.systemVersion ?? '', /^sha256 [0-9a-f]{64}$/);

  const half = await dagan(folder, [...words, '-o', 'half.mp4', ...signing.slice(0, 2)]);
  assert.deepEqual([half.code, half.stdout], [2, '']);
  assert.match(half.stderr, /--c2pa-certificate and --c2pa-key are given together/);
  const silent = await dagan(folder, [...words, '-o', 'half.mp4', '--no-provenance', ...signing]);
  assert.equal(silent.code, 2);
  assert.match(silent.stderr, /--c2pa-certificate.* cannot be used with .*--no-provenance/);
  const webm = await dagan(folder, [...words, '-o', 'half.webm', ...signing]);
  assert.equal(webm.code, 1);
  assert.match(webm.stderr, /half\.webm: cannot hold content credentials/);
  assert.ok(!(await names(folder)).some((name) => name.includes('half')));
});
