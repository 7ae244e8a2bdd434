// The attention's start, on features whose relation is known.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eye, F, manualSeed, randn, type Tensor } from '@dagan/libtorch';
import { CrossModalAttention } from '../src/models/index.js';
import { alignAttention } from '../src/training/animation/align-attention.js';

test('after its start rows of the attention depend on their query, and places find themselves', () => {
  manualSeed(4);
  const attention = new CrossModalAttention(64, 'scaled').requiresGrad_(false);
  const latent = randn([6, 8, 12, 12]);
  const seen = (channels: number): Tensor => {
    const mixed = F.conv2d(latent, randn([channels, 8, 1, 1]));
    return mixed.add(randn([6, channels, 12, 12]).mul(0.5)).add(20); // means are large, as behind a ReLU
  };
  const [depth, appearance] = [seen(64), seen(64)];
  const likeness = (): number => {
    const rows = attention.weights(attention.query(depth), appearance).select(0, 0); // [144, 144]
    const unit = rows.div(rows.square().sum([1], true).sqrt());
    return unit.matmul(unit.transpose(0, 1)).mean().item();
  };
  const before = likeness();
  alignAttention(attention, depth, appearance);
  const rows = attention.weights(attention.query(depth), appearance).select(0, 0);
  const own = rows.mul(eye(144)).sum([1]).mean().item();
  assert.ok(before > 0.9, `rows were alike: ${before}`);
  assert.ok(likeness() < 0.3, `rows differ: ${likeness()}`);
  assert.ok(own > 0.3, `places find themselves: ${own}`);
});
