// How fast a browser animates, against ONNX Runtime's Node package: milliseconds per frame and stage, from one run.
//
//   node benchmarks/dist/browser.js [--frames 8] [--rounds 3] [--models starter-256] [--precision float16] [--webgpu] [--cuda]
//
// The browser is /usr/bin/chromium, or the one that CHROMIUM_PATH names. It gets the engine of packages/studio in its
// worker, as the page has it. Exported graphs go into a folder of temporary files, which is removed.
import { createReadStream, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { DaGAN, exportModel, loadOnnxRuntimeEngine, type Picture, trainingPreset } from 'dagan';
import { fillByFormula, publishedName } from 'dagan/models';
import { engineFlow, type Flow, flowLines, measureFlows, renderedHead } from 'dagan/pipelines';
import { type Browser, chromium, type Page } from 'playwright-core';
import { createServer, defaultClientConditions, type ViteDevServer } from 'vite';

const { values } = parseArgs({
  options: {
    frames: { type: 'string', default: '8' },
    rounds: { type: 'string', default: '3' },
    models: { type: 'string', default: 'starter-256' },
    precision: { type: 'string', default: 'float16' },
    webgpu: { type: 'boolean', default: false },
    cuda: { type: 'boolean', default: false },
  },
});
const precision = values.precision === 'float32' ? 'float32' : 'float16';
const threadCounts = availableParallelism() > 1 ? [1, 2] : [1];

const STUDIO = fileURLToPath(new URL('../../packages/studio', import.meta.url));

/** The engine, as far as it is used here; its types are the page's. */
type BrowserEngine = {
  load(order: { url: string; provider: string }): Promise<{ provider: string; description: string }>;
  setPortrait(order: { picture: Picture; square: null }): Promise<unknown>;
  animate(order: {
    frame: Picture;
    square: null;
    motion: 'absolute';
  }): Promise<{ picture: Picture; times: { drive: number; generate: number } }>;
  dispose(): void;
};

/** Serves the engine's source, an empty page that may use threads, and the exported models. */
async function serve(models: string): Promise<ViteDevServer> {
  const server = await createServer({
    root: STUDIO,
    configFile: false,
    logLevel: 'error',
    resolve: { conditions: ['onnxruntime-web-use-extern-wasm', ...defaultClientConditions] },
    optimizeDeps: {
      noDiscovery: true,
      include: ['@bufbuild/protobuf/wire'],
    },
    server: {
      host: '127.0.0.1',
      port: 0,
      fs: { allow: [join(STUDIO, '..', '..')] },
      headers: { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' },
    },
    plugins: [
      {
        name: 'benchmark',
        configureServer({ middlewares, config }) {
          middlewares.use((request, response, next) => {
            const { pathname } = new URL(request.url ?? '/', 'http://localhost');
            const [, kind, model = '', file = ''] = pathname.split('/');
            if (kind !== 'blank' && kind !== 'models') {
              next();
              return;
            }
            for (const [name, value] of Object.entries(config.server.headers)) response.setHeader(name, value ?? '');
            if (kind === 'models') createReadStream(join(models, basename(model), basename(file))).pipe(response);
            else response.setHeader('Content-Type', 'text/html').end('<!doctype html><title>benchmark</title>');
          });
        },
      },
    ],
  });
  return server.listen();
}

/** The engine in a page of its own. */
async function browserFlow(
  browser: Browser,
  address: string,
  { model, provider, threads }: { model: string; provider: 'wasm' | 'webgpu'; threads: number },
): Promise<Flow> {
  const page: Page = await browser.newPage();
  await page.goto(`${address}blank`);
  const engine = await page.evaluateHandle(
    async ({ url, provider, threads }) => {
      const source = '/src/engine/index.ts';
      const { createStudioEngine } = (await import(source)) as {
        createStudioEngine(options: { threads: number }): BrowserEngine;
      };
      const engine = createStudioEngine({ threads });
      await engine.load({ url, provider });
      return engine;
    },
    { url: `${address}models/${model}`, provider, threads },
  );
  // Pictures go over as text: the tool that drives the browser knows no bytes.
  const asText = ({ width, height, data }: Picture) => ({ width, height, text: Buffer.from(data).toString('base64') });
  type Text = ReturnType<typeof asText>;
  return {
    name: provider === 'webgpu' ? 'Chromium, WebGPU' : `Chromium, wasm, ${threads} thr.`,
    async start(picture) {
      await page.evaluate(
        async ({ engine, picture: { width, height, text } }: { engine: BrowserEngine; picture: Text }) => {
          const data = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
          await engine.setPortrait({ picture: { width, height, data }, square: null });
        },
        { engine, picture: asText(picture) } as never,
      );
    },
    async run(frames) {
      const made = await page.evaluate(
        async ({ engine, frames }: { engine: BrowserEngine; frames: Text[] }) => {
          const time = { drive: 0, generate: 0 };
          const pictures: Text[] = [];
          for (const { width, height, text } of frames) {
            const data = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
            const picture = { width, height, data };
            const frame = await engine.animate({ frame: picture, square: null, motion: 'absolute' });
            time.drive += frame.times.drive;
            time.generate += frame.times.generate;
            const made = frame.picture;
            let characters = '';
            for (const byte of made.data) characters += String.fromCharCode(byte);
            pictures.push({ width: made.width, height: made.height, text: btoa(characters) });
          }
          return { ...time, pictures };
        },
        { engine, frames: frames.map(asText) } as never,
      );
      const pictures = made.pictures.map(({ text, ...size }) => ({ ...size, data: Buffer.from(text, 'base64') }));
      return { drive: made.drive, generate: made.generate, pictures };
    },
    dispose: () => void page.close(),
  };
}

const folder = mkdtempSync(join(tmpdir(), 'dagan-benchmark-'));
const server = await serve(folder);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM_PATH ?? '/usr/bin/chromium',
  args: [
    ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
    ...(values.webgpu ? ['--enable-unsafe-webgpu', '--enable-features=Vulkan', '--ignore-gpu-blocklist'] : []),
  ],
});
try {
  console.log(
    `Chromium ${browser.version()}, ${cpus()[0]!.model}, ${precision}, ${values.frames} frames, ${values.rounds} rounds`,
  );
  for (const name of values.models.split(',')) {
    using model = fillByFormula(new DaGAN(trainingPreset(name).model), { rename: publishedName });
    const exported = join(folder, name);
    const { graphs, weights } = await exportModel(model, exported, { precision });
    const bytes = weights.bytes + Object.values(graphs).reduce((sum, graph) => sum + graph.bytes, 0);
    console.log(`\n${name}: ${(bytes / 1e6).toFixed(1)} MB to load`);
    const address = server.resolvedUrls!.local[0]!;
    const flows: Flow[] = [];
    for (const threads of threadCounts) {
      flows.push(engineFlow(`Node, ${threads} thr.`, await loadOnnxRuntimeEngine(exported, { threads })));
    }
    for (const threads of threadCounts) {
      flows.push(await browserFlow(browser, address, { model: name, provider: 'wasm', threads }));
    }
    if (values.webgpu) {
      flows.push(await browserFlow(browser, address, { model: name, provider: 'webgpu', threads: 1 }));
    }
    if (values.cuda) {
      flows.push(engineFlow('Node, CUDA', await loadOnnxRuntimeEngine(exported, { provider: 'cuda' })));
    }
    const times = await measureFlows(flows, { ...renderedHead(Number(values.frames)), rounds: Number(values.rounds) });
    console.log(flowLines(times).join('\n'));
    for (const flow of flows) flow.dispose();
  }
} finally {
  await browser.close();
  await server.close();
  rmSync(folder, { recursive: true });
}
