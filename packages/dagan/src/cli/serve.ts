// `dagan serve`: animations over HTTP, as jobs that wait, run, are watched and fetched.
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { chooseEngine } from '../pipelines/choose-engine.js';
import type { JobView } from '../server/jobs/job.js';
import { UserError } from './errors.js';
import {
  addCommonOptions,
  addEngineOption,
  addModelOptions,
  amount,
  type CommonOptions,
  checkFiles,
  type EngineOptions,
  wholeNumber,
} from './options.js';
import { printJson, Reporter } from './report.js';
import { studioFolders } from './studio.js';

type ServeOptions = CommonOptions &
  EngineOptions & {
    host: string;
    port: number;
    tokenFile?: string;
    folder: string;
    jobs: number;
    maxUpload: number;
    maxWaiting: number;
    maxMinutes: number;
    keep: number;
    studio?: boolean;
  };

const PORT = 8348;

/** Milliseconds that running jobs have to stop when the server ends. */
const LONGEST_END = 5000;

/** Where jobs are kept if no folder is named: with the user's other data that programs write. */
const FOLDER = join(process.env.XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'dagan', 'jobs');

const EXAMPLES = `
Whoever can reach the server can start jobs: with an address other than 127.0.0.1 it asks for a token, from a file or from
the variable DAGAN_TOKEN. It speaks HTTP without encryption; before other machines belongs a proxy with a certificate.
docs/serve.md has all addresses; /v1/openapi.json describes them.

Examples:
  dagan serve
  curl -F portrait=@portrait.jpg -F driving=@talking.mp4 http://127.0.0.1:${PORT}/v1/jobs
  dagan serve --host 0.0.0.0 --token-file token.txt --max-upload 50 --folder /var/lib/dagan`;

export function serveCommand(): Command {
  const command = new Command('serve')
    .description('animate portraits for other programs, over HTTP')
    .option('--port <n>', 'the port to serve on; 0 is one that is free', wholeNumber(0, 65535), PORT)
    .option('--host <address>', 'the address to serve on', '127.0.0.1')
    .option('--token-file <file>', 'file that holds the token which requests must send; or the variable DAGAN_TOKEN')
    .option('--folder <folder>', 'where jobs are kept until they are removed', FOLDER)
    .option('--jobs <n>', 'how many jobs run at once', wholeNumber(1, 64), 1)
    .option('--max-upload <MB>', 'most megabytes of one request', amount(0.001, 1e6), 200)
    .option('--max-waiting <n>', 'most jobs that wait', wholeNumber(1, 1e6), 100)
    .option('--max-minutes <n>', 'most minutes that a job may run', amount(0.001, 30_000), 60)
    .option('--keep <hours>', 'hours after which a finished job is removed', amount(0.001, 1e6), 24)
    .option('--studio', 'serve the studio as well, on /');
  addEngineOption(addModelOptions(command, ['int8']));
  return addCommonOptions(command).addHelpText('after', EXAMPLES).action(runServe);
}

async function runServe(options: ServeOptions): Promise<void> {
  const { checkpoint, depthEncoder, depthDecoder, engine, precision, device, threads } = options;
  const model = { checkpoint, depthEncoder, depthDecoder, engine, precision, device, threads };
  checkFiles([checkpoint, depthEncoder, depthDecoder]);
  const reporter = new Reporter(options);
  const token = tokenOf(options);
  const studio = options.studio ? await studioFolders(options, reporter) : undefined;
  await tryModel(model, reporter);
  // Loaded here, as no other command needs them.
  const { startServer } = await import('../server/server.js');
  const { JobQueue } = await import('../server/jobs/job-queue.js');
  const jobs = await JobQueue.open({
    ...{ folder: options.folder, model, atOnce: options.jobs },
    limits: {
      upload: options.maxUpload * 1e6,
      waiting: options.maxWaiting,
      time: options.maxMinutes * 60e3,
      keep: options.keep * 3600e3,
    },
    onChange: (job) => tellJob(job, reporter),
    onFault: (message) => reporter.warn(message),
  });
  try {
    const server = await startServer({ studio, jobs, token, host: options.host, port: options.port });
    const { url } = server;
    endOrderly(() => Promise.all([server.close(), jobs.close()]));
    reporter.notice(`jobs are kept in ${options.folder}`);
    if (options.json) printJson({ type: 'result', url });
    else process.stdout.write(`${url}\n`);
    reporter.notice('Ctrl-C ends it; jobs that wait or run are done when it is started again');
  } catch (error) {
    await jobs.close();
    throw error;
  }
}

/** On Ctrl-C and SIGTERM ends the work before the process ends, so that jobs which run wait again. Once more ends it at once. */
function endOrderly(end: () => Promise<unknown>): void {
  for (const [signal, code] of [['SIGINT', 130] as const, ['SIGTERM', 143] as const]) {
    process.removeAllListeners(signal);
    process.once(signal, async () => {
      process.stderr.write('dagan: stopped\n');
      await Promise.race([end().catch(() => {}), sleep(LONGEST_END)]);
      process.exit(code);
    });
  }
}

/** The token, without the end of its line. */
function tokenOf({ tokenFile }: ServeOptions): string | undefined {
  if (tokenFile === undefined) return process.env.DAGAN_TOKEN || undefined;
  try {
    return readFileSync(tokenFile, 'utf8').trim();
  } catch {
    throw new UserError(`${tokenFile}: the token cannot be read from it`);
  }
}

/** Opens the model once, so that what is wrong with it comes up here and not in every job. */
async function tryModel(model: EngineOptions, reporter: Reporter): Promise<void> {
  const { engine } = await chooseEngine(model, reporter.tell);
  reporter.notice(engine.description);
  engine.dispose();
}

function tellJob({ id, state, portrait, driving, error }: JobView, reporter: Reporter): void {
  const end = error ? ` (${error.code}: ${error.message})` : '';
  reporter.notice(`job ${id}: ${state}${state === 'queued' ? `, ${portrait} by ${driving}` : end}`);
}
