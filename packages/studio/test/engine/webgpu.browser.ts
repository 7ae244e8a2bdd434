// The engine on WebGPU, in a graphics processor that Chromium plays in software. That takes a minute or more, so it is run
// where DAGAN_TEST_WEBGPU is set.
import { expect, test } from 'vitest';
import { animated, furthest, json, picture, psnr, start } from './browser-fixtures.js';

test('on WebGPU, if only in software, a model gives what ONNX Runtime gives in Node', async () => {
  const engine = start(1);
  const frame = await animated(engine, 'small', 'webgpu');
  const expected = await json('expected-small.json');
  expect(furthest(frame.keypoints.value, expected.keypoints)).toBeLessThan(1e-3);
  expect(furthest(frame.insight!.occlusion!.data, expected.occlusion)).toBeLessThan(1e-3);
  expect(psnr(frame.picture, await picture('small-picture'))).toBeGreaterThan(40);
  expect(furthest((await engine.attention({ x: 0.5, y: 0.25 }))!.frame.data, expected.attention)).toBeLessThan(1e-3);
});
