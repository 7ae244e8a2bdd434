// The page as static files in dist/page, with a service worker that knows them all by name.
import { createHash } from 'node:crypto';
import { defaultClientConditions, defineConfig, type Plugin } from 'vite';

/** Name of the service worker's file, and the words in it that the build replaces. */
const WORKER = 'service-worker.js';
const FILES = '__STUDIO_FILES__';
const VERSION = '__STUDIO_VERSION__';

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

export default defineConfig({
  base: './', // any folder of any host will do
  plugins: [offline()],
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
