// Loads the video library for Node: mediabunny with its FFmpeg-based codecs, silent and without hardware probing.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { systemCode } from '../errors.js';

/** The mediabunny module. */
export type Mediabunny = typeof import('mediabunny');

/** What is printed where the optional codecs are not installed. */
const CODECS_MISSING =
  'video needs the optional package @mediabunny/server, which is not installed here; add it with: npm install @mediabunny/server@1.59.0';

let loaded: Promise<Mediabunny> | undefined;

/** Imports mediabunny and registers the codecs once per process. Throws an `Error` that names the line to install them. */
export function loadCodecs(): Promise<Mediabunny> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<Mediabunny> {
  const mediabunny = await import('mediabunny');
  mediabunny.Logging.level = mediabunny.LogLevel.Silent;
  try {
    const server = await import('@mediabunny/server');
    server.registerMediabunnyServer({ hardwareContext: null });
  } catch (error) {
    if (systemCode(error) === 'ERR_MODULE_NOT_FOUND') throw new Error(CODECS_MISSING, { cause: error });
    throw error;
  }
  await silenceFFmpeg();
  return mediabunny;
}

/** FFmpeg writes a line to stderr for each damaged macroblock; our own errors and warnings say what matters. */
async function silenceFFmpeg(): Promise<void> {
  const resolve = createRequire(import.meta.resolve('@mediabunny/server')).resolve;
  const nodeAv: FFmpegLog = await import(pathToFileURL(resolve('node-av')).href);
  nodeAv.Log.setLevel(nodeAv.AV_LOG_QUIET);
}

type FFmpegLog = { Log: { setLevel(level: number): void }; AV_LOG_QUIET: number };
