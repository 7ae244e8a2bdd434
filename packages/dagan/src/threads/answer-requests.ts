// The thread's side of `Thread`.
import { parentPort } from 'node:worker_threads';
import { CheckpointError } from '@dagan/libtorch/checkpoint';
import { MediaError } from '../media/errors.js';
import type { ThreadAnswer, ThreadFailure, ThreadRequest } from './messages.js';

/**
 * Answers what the program asks, one request after the other.
 *
 * @param work returns the answer, and the memory in it that is handed over instead of copied
 */
export function answerRequests<Request, Answer>(
  work: (request: Request) => Promise<{ answer: Answer; transfer?: ArrayBuffer[] }>,
): void {
  const follow = async ({ number, request }: ThreadRequest<Request>): Promise<void> => {
    try {
      const { answer, transfer = [] } = await work(request);
      parentPort?.postMessage({ number, answer } satisfies ThreadAnswer<Answer>, transfer);
    } catch (error) {
      parentPort?.postMessage({ number, failure: failureOf(error) } satisfies ThreadAnswer<Answer>);
    }
  };
  let last: Promise<void> = Promise.resolve();
  parentPort?.on('message', (request: ThreadRequest<Request>) => {
    last = last.then(() => follow(request));
  });
}

function failureOf(error: unknown): ThreadFailure {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error) };
  const { name, message, stack } = error;
  return {
    ...{ name, message, stack },
    ...(error instanceof CheckpointError && { path: error.path }),
    ...(error instanceof MediaError && { path: error.path, reason: error.reason }),
  };
}
