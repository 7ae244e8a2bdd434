// Runs the tests of the studio's engine, and of the parts of dagan that browsers run, in Chromium. `test.mjs` takes it for a test file.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const { NODE_TEST_CONTEXT: _, ...env } = process.env; // what runs here are no tests of Node's
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
const words = ['run', '--config', join('packages', 'studio', 'vitest.config.ts')];
const { status } = spawnSync(process.execPath, [vitest, ...words], {
  cwd: root,
  env,
  stdio: ['ignore', 'inherit', 'inherit'],
});
process.exitCode = status ?? 1;
