// The worker's first module: waits for its options and answers the page's calls.
import { serve, type ToldError } from '../rpc.js';
import type { StudioEngineOptions } from './api.js';
import { asEngineError } from './errors.js';
import { Studio } from './studio.js';

const start = ({ data }: MessageEvent<StudioEngineOptions>): void => {
  removeEventListener('message', start);
  serve(new Studio(data), tellEngineError);
};

function tellEngineError(thrown: unknown): ToldError {
  const { name, message, code } = asEngineError(thrown);
  return { name, message, code, fatal: code === 'out-of-memory' };
}

addEventListener('message', start);
