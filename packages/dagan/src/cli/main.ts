#!/usr/bin/env node
// The command `dagan`.
import { Command, CommanderError } from 'commander';
import { codeOf } from '../errors.js';
import { isDiskFull, toMediaError } from '../media/errors.js';
import { VERSION } from '../version.js';
import { withConfig } from './config.js';
import { describeError, EXIT, exitCodeFor, UsageError } from './errors.js';
import { printJson } from './report.js';

const EXAMPLES = `
Examples:
  dagan animate portrait.jpg talking.mp4 -o out.mp4
  dagan inspect portrait.jpg frame.png -o seen.safetensors
  dagan import vox-adv.pth.tar --depth-encoder encoder.pth --depth-decoder depth.pth -o model.safetensors
  dagan help animate`;

/** The commands by name. Each is loaded when it is asked for: one of them needs a part of the program alone. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  animate: async () => (await import('./animate.js')).animateCommand(),
  motion: async () => (await import('./motion.js')).motionCommand(),
  live: async () => (await import('./live.js')).liveCommand(),
  inspect: async () => (await import('./inspect.js')).inspectCommand(),
  depth: async () => (await import('./depth.js')).depthCommand(),
  attention: async () => (await import('./attention.js')).attentionCommand(),
  keypoints: async () => (await import('./keypoints.js')).keypointsCommand(),
  import: async () => (await import('./import.js')).importCommand(),
  export: async () => (await import('./export.js')).exportCommand(),
  average: async () => (await import('./average.js')).averageCommand(),
  info: async () => (await import('./info.js')).infoCommand(),
  models: async () => (await import('./models.js')).modelsCommand(),
  bench: async () => (await import('./bench.js')).benchCommand(),
  studio: async () => (await import('./studio.js')).studioCommand(),
  serve: async () => (await import('./serve.js')).serveCommand(),
  preprocess: async () => (await import('./preprocess.js')).preprocessCommand(),
  train: async () => (await import('./train.js')).trainCommand(),
  evaluate: async () => (await import('./evaluate.js')).evaluateCommand(),
  ablate: async () => (await import('./ablate.js')).ablateCommand(),
  compare: async () => (await import('./compare.js')).compareCommand(),
  setup: async () => (await import('./setup.js')).setupCommand(),
  completion: async () => (await import('./completion.js')).completionCommand(),
  doctor: async () => doctorCommand(),
};

function doctorCommand(): Command {
  return new Command('doctor')
    .description('report what this machine offers: LibTorch, processor, GPUs, codecs, weights')
    .option('--json', 'say it as JSON')
    .action(async (options: { json?: boolean }) => {
      const { runDoctor } = await import('./doctor.js');
      process.exitCode = await runDoctor(options);
    });
}

/** @param name of the command that is asked for; with any other word all commands are there, as for help */
async function program(name: string | undefined): Promise<Command> {
  const alone = name !== undefined && name !== 'completion' && Object.hasOwn(COMMANDS, name);
  const loading = alone ? [COMMANDS[name]!] : Object.values(COMMANDS);
  const commands = await Promise.all(loading.map((load) => load()));
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

/**
 * Whoever reads what is printed may have read enough (`dagan info ... | head`), and where it is kept the disk may be full: the work
 * goes on without being told of. That results are missing on a full disk is said once, and by the exit code.
 */
function outlivePrinting(): void {
  const outlived = (error: NodeJS.ErrnoException): boolean => {
    if (error.code !== 'EPIPE' && !isDiskFull(error)) throw error;
    return isDiskFull(error);
  };
  process.stderr.on('error', outlived);
  let told = false;
  process.stdout.on('error', (error) => {
    if (!outlived(error) || told) return;
    told = true;
    process.stderr.write(`dagan: ${toMediaError('standard output', error, 'cannot be written').message}\n`);
    process.on('exit', (code) => {
      if (code === 0) process.exitCode = EXIT.failure;
    });
  });
}

async function main(): Promise<void> {
  outlivePrinting();
  stopOn('SIGINT', 130);
  stopOn('SIGTERM', 143);
  stopOn('SIGHUP', 129);
  try {
    const words = process.argv.slice(2);
    const root = await program(words[0]);
    await root.parseAsync(withConfig(words, root), { from: 'user' });
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
