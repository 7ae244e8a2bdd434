#!/usr/bin/env node
// The command `dagan`.
import { Command, CommanderError } from 'commander';
import { codeOf } from '../errors.js';
import { VERSION } from '../version.js';
import { ablateCommand } from './ablate.js';
import { animateCommand } from './animate.js';
import { attentionCommand } from './attention.js';
import { averageCommand } from './average.js';
import { benchCommand } from './bench.js';
import { compareCommand } from './compare.js';
import { completionCommand } from './completion.js';
import { withConfig } from './config.js';
import { depthCommand } from './depth.js';
import { runDoctor } from './doctor.js';
import { describeError, EXIT, exitCodeFor, UsageError } from './errors.js';
import { evaluateCommand } from './evaluate.js';
import { exportCommand } from './export.js';
import { importCommand } from './import.js';
import { infoCommand } from './info.js';
import { inspectCommand } from './inspect.js';
import { keypointsCommand } from './keypoints.js';
import { modelsCommand } from './models.js';
import { motionCommand } from './motion.js';
import { preprocessCommand } from './preprocess.js';
import { printJson } from './report.js';
import { serveCommand } from './serve.js';
import { setupCommand } from './setup.js';
import { studioCommand } from './studio.js';
import { trainCommand } from './train.js';

const EXAMPLES = `
Examples:
  dagan animate portrait.jpg talking.mp4 -o out.mp4
  dagan inspect portrait.jpg frame.png -o seen.safetensors
  dagan import vox-adv.pth.tar --depth-encoder encoder.pth --depth-decoder depth.pth -o model.safetensors
  dagan help animate`;

function program(): Command {
  const doctor = new Command('doctor')
    .description('report what this machine offers: LibTorch, processor, GPUs, codecs, weights')
    .option('--json', 'say it as JSON')
    .action(async (options: { json?: boolean }) => {
      process.exitCode = await runDoctor(options);
    });
  const commands = [
    animateCommand(),
    motionCommand(),
    inspectCommand(),
    depthCommand(),
    attentionCommand(),
    keypointsCommand(),
    importCommand(),
    exportCommand(),
    averageCommand(),
    infoCommand(),
    modelsCommand(),
    benchCommand(),
    studioCommand(),
    serveCommand(),
    preprocessCommand(),
    trainCommand(),
    evaluateCommand(),
    ablateCommand(),
    compareCommand(),
    setupCommand(),
    completionCommand(),
    doctor,
  ];
  const root = new Command('dagan')
    .description('Animates a portrait by a driving video, guided by face depth (DaGAN, CVPR 2022).')
    .version(VERSION, '-V, --version', 'print the version')
    .addHelpText('after', EXAMPLES);
  for (const command of commands) root.addCommand(command);
  root.hook('preAction', (_root, command) => {
    if (command.opts<{ output?: unknown }>().output !== '-') return;
    throw new UsageError(
      "-o -: results are not written to standard output; give a file's name, or ./- for a folder of that name",
    );
  });
  for (const command of [root, ...commands, ...commands.flatMap((each) => each.commands)]) {
    command
      .exitOverride()
      .configureHelp({ helpWidth: Math.min(process.stdout.columns ?? 100, 110) })
      .configureOutput({
        outputError: (text, write) => write(`dagan: ${text.replace(/^error: /, '').replace(/\n(?=\()/, ' ')}`),
      })
      .showHelpAfterError(`(see ${pathOf(command)} --help)`);
  }
  return root;
}

/** "dagan train animation" */
const pathOf = (command: Command): string => (command.parent ? `${pathOf(command.parent)} ` : '') + command.name();

/** Half-written outputs are removed as the process exits (see media/files.ts). */
function stopOn(signal: NodeJS.Signals, code: number): void {
  process.on(signal, () => {
    process.stderr.write(process.stderr.isTTY ? '\r\x1b[2Kdagan: stopped\n' : 'dagan: stopped\n');
    process.exit(code);
  });
}

/** Whoever read what is printed may have read enough (`dagan info ... | head`): the work goes on without being told of. */
function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });
  }
}

async function main(): Promise<void> {
  outliveReaders();
  stopOn('SIGINT', 130);
  stopOn('SIGTERM', 143);
  stopOn('SIGHUP', 129);
  try {
    const root = program();
    await root.parseAsync(withConfig(process.argv.slice(2), root), { from: 'user' });
  } catch (error) {
    // Ctrl-C reaches the codec processes too; their end must not be reported before the signal itself has been handled.
    await new Promise((resolve) => setImmediate(resolve));
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? 0 : EXIT.usage;
      return;
    }
    const exitCode = exitCodeFor(error);
    if (process.argv.includes('--json'))
      printJson({ type: 'error', ...codeOf(error), message: describeError(error), exitCode });
    else process.stderr.write(`dagan: ${describeError(error)}\n`);
    if (process.argv.includes('--debug') && error instanceof Error) process.stderr.write(`${error.stack}\n`);
    process.exitCode = exitCode;
  }
}

await main();
