// How fast the camera drives, as it is measured and limited.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrameCap, LivePace } from '../src/live-pace.js';

test('a limit lets through as many pictures as it says, whatever the camera’s beat', () => {
  for (const [camera, most, expected] of [
    [30, 24, 24],
    [30, 20, 20],
    [30, 15, 15],
    [25, 10, 10],
    [30, 60, 30],
    [30, null, 30],
  ] as const) {
    const cap = new FrameCap();
    const seconds = 10;
    const times = Array.from({ length: camera * seconds }, (_, i) => 5000 + (1000 * i) / camera);
    const used = times.filter((now) => cap.lets(now, most)).length;
    assert.ok(Math.abs(used - expected * seconds) <= 2, `${used} of a camera with ${camera} and at most ${most}`);
  }
});

test('after a pause there is no burst to make up for it', () => {
  const cap = new FrameCap();
  assert.equal(cap.lets(0, 5), true);
  const after = Array.from({ length: 30 }, (_, i) => 60_000 + (1000 * i) / 30);
  assert.ok(after.filter((now) => cap.lets(now, 5)).length <= 6);
});

test('frames a second and latency follow what was shown; a first frame that took long is soon forgotten', () => {
  const pace = new LivePace();
  pace.begin(0);
  let figures = pace.shown(0, 900);
  assert.ok(Math.abs(figures.latency - 900) < 1e-9);
  for (let i = 1; i <= 30; i++) figures = pace.shown(900 + 40 * i - 70, 900 + 40 * i);
  assert.ok(Math.abs(figures.latency - 70) < 10, `${figures.latency} ms`);
  assert.ok(Math.abs(figures.rate - 25) < 2, `${figures.rate} frames a second`);
  pace.begin(10_000);
  assert.ok(Math.abs(pace.shown(10_000, 10_050).rate - 20) < 1e-9, 'a pause does not count');
});
