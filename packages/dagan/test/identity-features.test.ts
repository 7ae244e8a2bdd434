// The identity network with gradients: the same numbers as the one that ONNX Runtime runs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { noGrad, tidy } from '@dagan/libtorch';
import { cosineSimilarity, loadIdentityNetwork } from '../src/faces/identity.js';
import { readPicture } from '../src/media/index.js';
import { resizePicture } from '../src/media/pictures/resize.js';
import { loadIdentityFeatures } from '../src/models/perceptual/identity.js';
import { pictureToTensor } from '../src/tensors/pictures.js';
import { noise } from './small-models.js';

const network = loadIdentityFeatures();
const file = fileURLToPath(new URL('../../../../examples/portrait.png', import.meta.url));
const portrait = resizePicture(await readPicture(file), 256, 256);

test('a face has the embedding that ONNX Runtime finds', async () => {
  await using reference = await loadIdentityNetwork();
  // A mesh whose region is the part of the square that the network looks at.
  const [side, x, y] = [(0.777 * 256) / 1.4, 128, 0.554 * 256];
  const box = { left: x - side / 2, top: y - side / 2, width: side, height: side };
  const expected = await reference.embed(portrait, { points: new Float64Array(3 * 468), box });
  const found = noGrad(() => tidy(() => network.embedding(pictureToTensor(portrait)).toFloat32Array()));
  assert.ok(cosineSimilarity(found, expected) > 0.98, `cosine ${cosineSimilarity(found, expected)}`);
});

test('the same face in other light is nearer than noise, and gradients reach the picture', () => {
  tidy(() => {
    const picture = pictureToTensor(portrait);
    const cosine = (other: typeof picture) => network.embedding(picture).mul(network.embedding(other)).sum().item();
    const [dim, other] = noGrad(() => [cosine(picture.mul(0.8)), cosine(noise(256))]);
    assert.ok(dim! > 0.9 && dim! > other! + 0.2, `${dim} and ${other}`);
    const learned = picture.clone().requiresGrad_();
    network.embedding(learned).narrow(1, 0, 100).sum().backward();
    assert.ok(learned.grad!.abs().amax().item() > 0);
  });
});
