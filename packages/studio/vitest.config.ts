// Tests in Chromium: the engine in its worker, and the tests of dagan's modules for browsers that Node runs too.
import { fileURLToPath } from 'node:url';
import { playwright } from '@vitest/browser-playwright';
import { defaultClientConditions } from 'vite';
import { defineConfig } from 'vitest/config';
import { CHROMIUM_ARGUMENTS, findChromium } from './test/chromium.js';
import { fixtureServer } from './test/engine/fixture-server.js';

/** For the tests of WebGPU, which take a minute or more: a graphics processor in software. */
const SOFTWARE_WEBGPU = process.env.DAGAN_TEST_WEBGPU
  ? ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader']
  : [];

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

export default defineConfig({
  root: path('.'),
  plugins: [fixtureServer()],
  resolve: {
    conditions: ['onnxruntime-web-use-extern-wasm', ...defaultClientConditions],
    // The same compiled test files run in Node, where these are Node's own.
    alias: { 'node:test': path('test/node-test.ts'), 'node:assert/strict': path('test/node-assert.ts') },
  },
  worker: { format: 'es' },
  server: {
    fs: { allow: [path('../..')] },
    headers: { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' }, // for threads
  },
  // Nothing is discovered on the way, because that loads the page again in the middle of a test.
  optimizeDeps: {
    noDiscovery: true,
    include: ['@bufbuild/protobuf/wire'],
  },
  test: {
    include: [
      'test/**/*.browser.ts',
      ...['transfer', 'animation'].map((name) => path(`../dagan/dist/test/${name}.test.js`)),
    ],
    exclude: process.env.DAGAN_TEST_WEBGPU ? [] : ['**/webgpu.browser.ts'],
    testTimeout: 300_000,
    hookTimeout: 300_000,
    browser: {
      enabled: true,
      headless: true,
      screenshotFailures: false,
      provider: playwright({
        launchOptions: { executablePath: findChromium(), args: [...CHROMIUM_ARGUMENTS, ...SOFTWARE_WEBGPU] },
      }),
      instances: [{ browser: 'chromium' }],
    },
  },
});
