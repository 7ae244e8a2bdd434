// The page as static files in dist/page, with a service worker that knows them all by name, and what lets it be installed.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { brotliCompress, constants } from 'node:zlib';
import { defaultClientConditions, defineConfig, type Plugin } from 'vite';

/** Name of the service worker's file, and the words in it that the build replaces. */
const WORKER = 'service-worker.js';
const FILES = '__STUDIO_FILES__';
const VERSION = '__STUDIO_VERSION__';

/** What browsers show of the page when it is installed as an application. */
const APPLICATION = {
  name: 'DaGAN studio',
  short_name: 'DaGAN',
  description: 'Animate a portrait by a clip or your camera. Everything stays on this device.',
  start_url: './',
  scope: './',
  display: 'standalone',
  background_color: '#f6f5fa',
  theme_color: '#f6f5fa',
  icons: [{ src: 'icon.svg', sizes: 'any', type: 'image/svg+xml', purpose: 'any' }],
};

/** Writes the application's manifest and its icon, under names that stay. */
function installable(): Plugin {
  return {
    name: 'studio-installable',
    apply: 'build',
    generateBundle() {
      const icon = readFileSync(new URL('src/icon.svg', import.meta.url), 'utf8');
      this.emitFile({ type: 'asset', fileName: 'icon.svg', source: icon });
      this.emitFile({ type: 'asset', fileName: 'manifest.webmanifest', source: JSON.stringify(APPLICATION) });
    },
    transformIndexHtml: () => [
      { tag: 'link', attrs: { rel: 'manifest', href: './manifest.webmanifest' }, injectTo: 'head' },
    ],
  };
}

/** Writes the names of all files, and a version that follows from them and what they hold, into the service worker. */
function offline(): Plugin {
  return {
    name: 'studio-offline',
    enforce: 'post',
    generateBundle(_options, bundle) {
      const worker = bundle[WORKER];
      if (worker?.type !== 'chunk') throw new Error(`the build has no ${WORKER}`);
      const others = Object.values(bundle).filter(({ fileName }) => fileName !== WORKER);
      const version = createHash('sha256').update(worker.code);
      for (const file of others.sort((a, b) => (a.fileName < b.fileName ? -1 : 1))) {
        version.update(file.fileName).update(file.type === 'chunk' ? file.code : file.source);
      }
      const names = others.map(({ fileName }) => fileName).filter((name) => !name.endsWith('.map'));
      worker.code = worker.code
        .replace(FILES, names.map((name) => (name === 'index.html' ? './' : name)).join('|'))
        .replace(VERSION, version.digest('hex').slice(0, 16));
    },
  };
}

/** Kinds of files that become smaller by compression. */
const COMPRESSIBLE = /\.(js|mjs|css|html|svg|webmanifest|wasm|onnx|json)$/;

/** Larger files are smaller still at the best quality, but take minutes. */
const QUALITY = 9;

/** Writes every file that becomes smaller a second time, compressed (`.br`), for servers that give what the browser takes. */
function compressed(): Plugin {
  return {
    name: 'studio-compressed',
    apply: 'build',
    async writeBundle({ dir }) {
      const names = await readdir(dir!, { recursive: true });
      const params = { [constants.BROTLI_PARAM_QUALITY]: QUALITY };
      for (const path of names.filter((name) => COMPRESSIBLE.test(name)).map((name) => `${dir}/${name}`)) {
        await writeFile(`${path}.br`, await promisify(brotliCompress)(await readFile(path), { params }));
      }
    },
  };
}

export default defineConfig({
  base: './', // any folder of any host will do
  plugins: [installable(), offline(), compressed()],
  // ONNX Runtime's glue code then comes from the files that it loads anyway.
  resolve: { conditions: ['onnxruntime-web-use-extern-wasm', ...defaultClientConditions] },
  worker: { format: 'es' },
  build: {
    outDir: 'dist/page',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0, // the policy lets nothing run that is not a file
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 2000,
    rollupOptions: {
      input: { index: 'index.html', 'service-worker': 'src/service-worker/service-worker.ts' },
      output: {
        entryFileNames: ({ name }) => (name === 'service-worker' ? WORKER : 'assets/[name]-[hash].js'),
        chunkFileNames: 'assets/[name]-[hash].js',
        assetFileNames: 'assets/[name]-[hash][extname]',
      },
    },
  },
});
