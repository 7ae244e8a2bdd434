// The files of weights/faces: they are what the script makes of the installed packages, and say where they come from.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { FaceAnalyzer, loadIdentityNetwork } from 'dagan/faces';
import { FACTS_NAME, makeFaceModels, type NetworkFacts, sha256 } from '../src/face-models.js';
import { readInstalled } from '../src/installed.js';

const folder = fileURLToPath(new URL('../../../../weights/faces/', import.meta.url));
const read = (name: string): Uint8Array => readFileSync(`${folder}${name}`);
const facts: Record<string, NetworkFacts> = JSON.parse(new TextDecoder().decode(read(FACTS_NAME)));

test('each file has the length and SHA-256 that are written down, and its licence beside it', () => {
  const names = readdirSync(folder).filter((name) => /\.(onnx|json)$/.test(name) && name !== 'package.json');
  assert.deepEqual(names.sort(), [...Object.keys(facts), FACTS_NAME].sort());
  for (const [name, { bytes, sha256: digest, license, licenseFile }] of Object.entries(facts)) {
    const file = read(name);
    assert.deepEqual([name, file.length, sha256(file)], [name, bytes, digest]);
    const heading = { MIT: /MIT License/, 'Apache-2.0': /Apache License\s+Version 2\.0/ }[license];
    assert.match(new TextDecoder().decode(read(licenseFile)), heading!);
  }
});

test('the script makes the same bytes from the installed packages', async () => {
  const made = await makeFaceModels(readInstalled);
  assert.deepEqual([...made.keys()].sort(), [...Object.keys(facts), FACTS_NAME].sort());
  for (const [name, bytes] of made) assert.equal(sha256(bytes), sha256(read(name)), name);
});

test('a package of another version is not taken for the one that the files were made from', async () => {
  const source = { package: 'flatbuffers', version: '1.0.0', file: 'package.json' };
  await assert.rejects(readInstalled(source), /flatbuffers 1\.0\.0 is not there: npm install --no-save flatbuffers@1/);
  const short = async () => new Uint8Array(100);
  await assert.rejects(makeFaceModels(short), /has 100 bytes, not 3986256: it is of another version/);
});

test('what measures faces names the package and version that its file was made from', async () => {
  const origin = (name: string): string => {
    const [{ package: from, version }] = facts[name]!.from as [NetworkFacts['from'][number]];
    return `${from} ${version}`;
  };
  await using analyzer = await FaceAnalyzer.load({ mesh: 'refined' });
  await using identity = await loadIdentityNetwork();
  assert.equal(analyzer.measuredBy.detector.version, origin('face-detector.onnx'));
  assert.equal(analyzer.measuredBy.mesh.version, origin('face-mesh-refined.onnx'));
  assert.equal(identity.version, origin('face-identity.onnx'));
});
