// Serves the fixtures to the tests in the browser, from the page's own origin, and counts what is asked for.
import { spawnSync } from 'node:child_process';
import { createReadStream, existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Plugin } from 'vite';
import { FIXTURES } from './fixtures.js';

/**
 * Makes the fixtures, in a process of its own, and serves them.
 *
 * - `GET /fixtures/NAME`: a file; status 503 while the server plays dead
 * - `GET /fixtures/:asked`: the files that were asked for since the last time, as JSON
 * - `GET /fixtures/:dead` and `/fixtures/:alive`: plays dead from now on, or no more
 */
export function fixtureServer(): Plugin {
  const folder = mkdtempSync(join(tmpdir(), 'dagan-studio-test-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  let asked: string[] = [];
  let dead = false;
  return {
    name: 'fixture-server',
    configureServer(server) {
      makeFixtures(folder);
      server.middlewares.use((request, response, next) => {
        const { pathname } = new URL(request.url ?? '/', 'http://localhost');
        if (!pathname.startsWith(FIXTURES)) {
          next();
          return;
        }
        const name = normalize(pathname.slice(FIXTURES.length));
        response.setHeader('Cache-Control', 'no-store');
        if (name.startsWith(':')) {
          if (name !== ':asked') dead = name === ':dead';
          response.end(JSON.stringify(asked));
          asked = [];
          return;
        }
        asked.push(name);
        const path = join(folder, name);
        if (dead || name.startsWith('..') || !existsSync(path) || !statSync(path).isFile()) {
          response.writeHead(dead ? 503 : 404).end();
          return;
        }
        createReadStream(path).pipe(response);
      });
    },
  };
}

/** Runs the compiled `make-fixtures.ts`. */
function makeFixtures(folder: string): void {
  const program = fileURLToPath(new URL('../../dist/test/engine/make-fixtures.js', import.meta.url));
  const run = spawnSync(process.execPath, [program, folder], {
    encoding: 'utf8',
    env: { ...process.env, OMP_NUM_THREADS: '1' },
  });
  if (run.status !== 0) throw new Error(`the fixtures could not be made: ${run.stderr}`);
}
