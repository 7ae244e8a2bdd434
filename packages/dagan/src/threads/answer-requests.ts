// The thread's side of `Thread`.
import { parentPort, workerData } from 'node:worker_threads';
import { CheckpointError } from '@dagan/libtorch/checkpoint';
import { codeOf } from '../errors.js';
import { MediaError } from '../media/errors.js';
import { Gate } from './gate.js';
import type { ThreadAnswer, ThreadData, ThreadFailure, ThreadRequest } from './messages.js';

/** The setup that the `Thread` was given. */
export function threadSetup<Setup>(): Setup {
  return (workerData as ThreadData).setup as Setup;
}

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
  const gate = new Gate((workerData as ThreadData).gate);
  const followUnlessShut = async (request: ThreadRequest<Request>): Promise<void> => {
    if (!gate.enter()) return;
    await follow(request);
    if (!gate.leave()) process.exit(); // ends this thread alone
  };
  if (!gate.leave()) process.exit(); // its script has been loaded
  let last: Promise<void> = Promise.resolve();
  parentPort?.on('message', (request: ThreadRequest<Request>) => {
    last = last.then(() => followUnlessShut(request));
  });
}

function failureOf(error: unknown): ThreadFailure {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error) };
  const { name, message, stack } = error;
  return {
    ...{ name, message, stack },
    ...(error instanceof CheckpointError && { path: error.path }),
    ...(error instanceof MediaError && { path: error.path, reason: error.reason }),
    ...codeOf(error),
  };
}
