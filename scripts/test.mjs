// Runs the lint and all compiled tests of all packages; with arguments only the test files whose path contains one of them.
// Usage: node scripts/test.mjs [NAME...]

import { spawnSync } from 'node:child_process';
import { existsSync, globSync, readdirSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
