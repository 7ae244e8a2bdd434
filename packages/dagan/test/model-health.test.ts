// What a model's networks do: attention and masks whose use is known, and an engine whose motion is known.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { manualSeed, randn } from '@dagan/libtorch';
import { type AttentionFactors, attentionRow, type Engine } from '../src/animation/index.js';
import { attentionUse, findCases, maskShares, modelHealth } from '../src/evaluation/index.js';
import { FaceAnalyzer } from '../src/faces/index.js';
import { createPicture, readPicture, writePicture } from '../src/media/index.js';
import { CrossModalAttention } from '../src/models/index.js';
import { grimacing, PORTRAIT } from './evaluation-fixtures.js';

const near = (actual: number | null, expected: number, within: number): void => {
  assert.ok(actual !== null && Math.abs(actual - expected) <= within, `${actual} instead of ${expected}`);
};

describe('attention', () => {
  /** Factors of 2 x 2 places whose rows are the softmax of what is given: a query picks a column of the scores. */
  const scored = (scores: readonly (readonly number[])[]): AttentionFactors => ({
    ...{ width: 2, height: 2 },
    query: Float32Array.from([0, 1, 2, 3].flatMap((place) => [0, 1, 2, 3].map((i) => (i === place ? 1 : 0)))),
    key: Float32Array.from(scores.flat()),
  });
  const high = 50; // its softmax is 1 to the last digit

  test('where every place looks at the same one, rows are alike, whoever asks', () => {
    const border = scored([0, 1, 2, 3].map(() => [high, 0, 0, 0]));
    const { mass, area, similarity } = attentionUse(border, [1, 2, 3], [1, 2, 3]);
    near(mass, 0, 1e-6);
    near(similarity, 1, 1e-6);
    assert.equal(area, 0.75);
  });

  test('where each place looks at itself, no two rows are alike, and the face looks at the face', () => {
    const own = scored([0, 1, 2, 3].map((place) => [0, 1, 2, 3].map((i) => (i === place ? high : 0))));
    const { mass, similarity } = attentionUse(own, [1, 2, 3], [1, 2, 3]);
    near(mass, 1, 1e-6);
    near(similarity, 0, 1e-6);
  });

  test('attention that looks everywhere alike puts as much on the face as there is of it', () => {
    const even = scored([0, 1, 2, 3].map(() => [0, 0, 0, 0]));
    const { mass, area, similarity } = attentionUse(even, [0, 1], [2]);
    near(mass, area, 1e-6);
    near(similarity, 1, 1e-6);
    assert.throws(() => attentionUse(even, [0], [2]), /at least two places/);
  });
});

test('keys that stand for several places share their weight among them', () => {
  manualSeed(5);
  const attention = new CrossModalAttention(16, 'scaled', 2);
  const [depth, warped] = [randn([1, 16, 4, 6]), randn([1, 16, 4, 6])];
  const [query, key] = [attention.query(depth), attention.key(warped)]; // [1, 24, 2], [1, 2, 6]
  const factors = { width: 6, height: 4, query: query.toFloat32Array(), key: key.toFloat32Array() };
  const weights = attention.weights(query, warped).toFloat32Array(); // [1, 24, 6]
  for (const place of [0, 9, 23]) {
    const { data } = attentionRow(factors, place);
    near(
      data.reduce((sum, weight) => sum + weight, 0),
      1,
      1e-6,
    );
    // Row 1, column 2 belongs to the key in row 0, column 1 of 2 x 3; row 3, column 5 to the last one.
    near(data[1 * 6 + 2]!, weights[place * 6 + 1]! / 4, 1e-6);
    near(data[3 * 6 + 5]!, weights[place * 6 + 5]! / 4, 1e-6);
  }
});

test("a motion mask's share is its mean over pictures and places", () => {
  // Two pictures, two masks, 1 x 2 places.
  const shares = maskShares({ shape: [2, 2, 1, 2], data: Float32Array.from([1, 0.5, 0, 0.5, 0.75, 0.75, 0.25, 0.25]) });
  assert.deepEqual(shares, [0.75, 0.25]);
});

describe('a clip that opens its mouth', () => {
  let root: string;
  let analyzer: FaceAnalyzer;
  const SIDE = 64;
  before(async () => {
    root = mkdtempSync(join(tmpdir(), 'dagan-health-'));
    const clip = join(root, 'anna');
    mkdirSync(clip);
    analyzer = await FaceAnalyzer.load({ mesh: 'refined' });
    const portrait = await readPicture(PORTRAIT);
    const mesh = (await analyzer.track(portrait))!;
    const still = { opening: 0, width: 0, smile: 0, lids: 0, brows: 0, gaze: 0 };
    for (const [i, opening] of [0, 0.05, 0.1, 0.02].entries()) {
      await writePicture(join(clip, `${i}.png`), grimacing(portrait, mesh, { ...still, opening }));
    }
    await writePicture(join(clip, '4.png'), createPicture(256, 256));
  });
  after(async () => {
    await analyzer.close();
    rmSync(root, { recursive: true });
  });

  /** An engine that moves nothing; its attention has every place look at the picture's middle. */
  const unmoving = (): Engine => {
    const places = SIDE * SIDE;
    const grid = Float32Array.from({ length: 2 * places }, (_, i) => {
      const place = i >> 1;
      return (2 * (i % 2 === 0 ? place % SIDE : Math.floor(place / SIDE))) / (SIDE - 1) - 1;
    });
    const keypoints = { value: new Float32Array(2), jacobian: null };
    const middle = (SIDE / 2) * SIDE + SIDE / 2;
    const mask = { shape: [1, 2, 1, 1], data: Float32Array.from([1, 0]) };
    return {
      ...{ description: 'moves nothing', size: 256, batchSize: 1 },
      setSource: async () => ({ keypoints, disparity: null }),
      drive: async (frames) => frames.map(() => ({ keypoints, disparity: null })),
      generate: async () => [],
      inspect: async () => ({
        picture: createPicture(256, 256),
        deformation: { width: SIDE, height: SIDE, data: grid },
        occlusion: null,
        attention: {
          ...{ width: SIDE, height: SIDE },
          query: new Float32Array(places).fill(1),
          key: Float32Array.from({ length: places }, (_, place) => (place === middle ? 50 : 0)),
        },
        tensors: new Map([['mask', mask]]),
      }),
      twin: () => assert.fail('nobody asks'),
      dispose: () => {},
    };
  };

  test('a field without motion transfers nothing; masks and attention are told; frames without a face are counted', async () => {
    const cases = await findCases(root, { protocol: 'self' });
    const { frames, lost, field, masks, attention } = await modelHealth(unmoving(), analyzer, cases, { every: 1 });
    assert.deepEqual([frames, lost], [3, 1]);
    near(field.mouthOpening, 0, 0.05);
    near(field.distance, field.unmoved!, 1e-6);
    assert.deepEqual(masks, [1, 0]);
    near(attention!.mass, 1, 1e-6);
    near(attention!.similarity, 1, 1e-6);
    assert.ok(attention!.area > 0.1 && attention!.area < 0.5, `${attention!.area}`);
  });
});
