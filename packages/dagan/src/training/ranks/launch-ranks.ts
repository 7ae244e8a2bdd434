// Starts the ranks of a training on this machine, each in a process of its own, and looks after them.
import { type ChildProcess, spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { freePort } from './free-port.js';

export type LaunchOptions = {
  /** Number of ranks. */
  count: number;
  /** The program, which joins its group by `distributed.initFromEnvironment`. */
  script: string;
  arguments: readonly string[];
  /** Threads of every rank; by default the processor's cores are shared. */
  threads?: number;
  /** Asks the ranks to end well: `stopRequest()` is aborted in each. */
  signal?: AbortSignal;
};

/** A rank has failed; `message` is its last words. */
export class RankError extends Error {
  override readonly name = 'RankError';
  constructor(
    readonly rank: number,
    message: string,
  ) {
    super(`rank ${rank}: ${message}`);
  }
}

/** What a launcher says to its ranks. */
const STOP = 'stop';

/** Milliseconds in which other ranks' errors are still heard after the first, and which ranks have to end by themselves. */
const GRACE = 2000;

/** What a rank says when another one has failed; it is not the cause. */
const CONSEQUENCE = /lost its connection to another rank|timed out after/;

/**
 * Runs the ranks until all have ended. Rank 0 writes to this process's own output; what others write to stderr is kept.
 *
 * @throws RankError of the rank that failed first; the others have been ended by then
 */
export async function launchRanks(options: LaunchOptions): Promise<void> {
  const port = await freePort();
  const threads = options.threads ?? Math.max(1, Math.floor(availableParallelism() / options.count));
  const ranks = Array.from({ length: options.count }, (_, rank) => startRank(rank, port, threads, options));
  const stop = () => {
    for (const { child } of ranks) if (child.connected) child.send(STOP);
  };
  options.signal?.addEventListener('abort', stop);
  if (options.signal?.aborted) stop();
  try {
    await Promise.all(ranks.map(({ ended }) => ended));
  } catch (first) {
    // The error that comes first may tell of another rank's end.
    await Promise.race([Promise.allSettled(ranks.map(({ ended }) => ended)), delay(GRACE)]);
    const errors = ranks.flatMap(({ failure }) => failure() ?? []);
    throw errors.find(({ message }) => !CONSEQUENCE.test(message)) ?? first;
  } finally {
    options.signal?.removeEventListener('abort', stop);
    await endAll(ranks.map(({ child }) => child));
  }
}

/**
 * In a rank: aborted when its launcher asks for an end, or has itself ended; undefined in a process that no launcher
 * started. The terminal's Ctrl-C, which all processes get, is left to the launcher.
 */
export function stopRequest(): AbortSignal | undefined {
  if (!process.connected) return undefined;
  const controller = new AbortController();
  process.on('message', (message) => message === STOP && controller.abort());
  process.on('disconnect', () => controller.abort());
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.removeAllListeners(signal);
    process.on(signal, () => {});
  }
  process.channel?.unref();
  return controller.signal;
}

type Rank = { child: ChildProcess; ended: Promise<void>; failure: () => RankError | null };

function startRank(
  rank: number,
  port: number,
  threads: number,
  { count, script, arguments: rest }: LaunchOptions,
): Rank {
  const place = {
    RANK: `${rank}`,
    LOCAL_RANK: `${rank}`,
    WORLD_SIZE: `${count}`,
    MASTER_ADDR: '127.0.0.1',
    MASTER_PORT: `${port}`,
  };
  const child = spawn(process.execPath, [script, ...rest], {
    env: { ...process.env, ...place, OMP_NUM_THREADS: `${threads}` },
    stdio: ['ignore', rank === 0 ? 'inherit' : 'ignore', 'pipe', 'ipc'],
  });
  let words = '';
  child.stderr!.on('data', (data: Buffer) => {
    if (rank === 0) process.stderr.write(data);
    words = (words + data).slice(-10_000);
  });
  let failed: RankError | null = null;
  const ended = new Promise<void>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) return resolve();
      const lines = words.trim().split('\n');
      const last = lines.at(-1)?.replace(/^dagan: /, '');
      failed = new RankError(rank, signal ? `ended by ${signal}` : last || `ended with code ${code}`);
      reject(failed);
    });
  });
  ended.catch(() => {}); // looked at in launchRanks
  return { child, ended, failure: () => failed };
}

/** Asks what still runs to end, then makes it. */
async function endAll(children: readonly ChildProcess[]): Promise<void> {
  const running = () => children.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
  for (const child of running()) child.kill('SIGKILL');
  // Nothing else may keep this process alive by now, and it has to say why it ends.
  while (running().length > 0) await new Promise((resolve) => setTimeout(resolve, 20));
}

const delay = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds).unref());
