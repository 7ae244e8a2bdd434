// `dagan bench`: how fast this machine animates, and where the time goes.
import { Command, Option } from 'commander';
import { BENCH, type BenchOptions, benchLines, benchmark } from '../pipelines/bench/benchmark.js';
import { UsageError } from './errors.js';
import { addCommonOptions, type CommonOptions, checkFiles, wholeNumber } from './options.js';
import { Reporter } from './report.js';

type BenchCommandOptions = CommonOptions &
  Omit<BenchOptions, 'engines' | 'precisions'> & {
    engine?: BenchOptions['engines'];
    precision?: BenchOptions['precisions'];
    json?: boolean;
  };

const EXAMPLES = `
All takes turns, so ratios hold on a busy machine. published: the published code's way, float32, all features anew.

Examples:
  dagan bench portrait.jpg talking.mp4 --profile
  dagan bench --preset dagan --engine published libtorch --precision float32 bfloat16`;

export function benchCommand(): Command {
  const command = new Command('bench')
    .description('measure how fast this machine animates, by engine and precision')
    .argument('[portrait]', 'a picture for the networks to see (default: a rendered head)')
    .argument('[driving]', 'a clip; with it a whole animation is measured too, in a process of its own')
    .option('--checkpoint <file>', 'the model, as `animate` takes it; default: the one in weights/')
    .addOption(new Option('--preset <name>', 'instead, one of this kind, weights by formula').choices(BENCH.presets))
    .addOption(new Option('--engine <name...>', 'what is measured (default: what is there)').choices(BENCH.engines))
    .addOption(
      new Option('--precision <kind...>', "of LibTorch's engine (default: what is fast)").choices(BENCH.precisions),
    )
    .option('--frames <n>', 'frames of a round (default: 8)', wholeNumber(1, 1000))
    .option('--rounds <n>', 'rounds, of which the median counts (default: 3)', wholeNumber(1, 1000))
    .option('--threads <n>', 'threads of the processor (default: one per processor)', wholeNumber(1, 1024))
    .option('--profile', 'tell which operators the time goes to, with one thread');
  return addCommonOptions(command).addHelpText('after', EXAMPLES).action(runBench);
}

async function runBench(
  portrait: string | undefined,
  driving: string | undefined,
  { engine: engines, precision: precisions, ...options }: BenchCommandOptions,
): Promise<void> {
  if (portrait && !driving) throw new UsageError(`${portrait}: name a clip after the portrait`);
  if (options.checkpoint && options.preset) throw new UsageError('name a --checkpoint or a --preset, not both');
  checkFiles([portrait, driving, options.checkpoint]);
  const reporter = new Reporter(options);
  const inputs = portrait && driving ? { portrait, driving } : undefined;
  const report = await benchmark({ ...options, engines, precisions, inputs }, reporter.tell);
  reporter.result(benchLines(report).join('\n'), { report });
}
