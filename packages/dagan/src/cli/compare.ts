// `dagan compare`: the systems of the paper's Tables 1 to 3, on a budget of one's own.
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { compareSystems } from '../evaluation/comparison.js';
import { comparisonTables } from '../evaluation/comparison-report.js';
import { comparedSystems } from '../evaluation/comparison-rows.js';
import { datasetPairs } from '../training/batches/dataset-batches.js';
import {
  addContestOptions,
  type ContestCommandOptions,
  checkContest,
  contestInstruments,
  contestOf,
  DEPTH_OPTION,
  namesOf,
} from './contest.js';
import { UsageError } from './errors.js';
import { datasetOptions, runSession, type SessionResult, type TrainingSession } from './training-session.js';

type CompareOptions = ContestCommandOptions & { systems?: string[]; seeds?: number[] };

const NAMES = comparedSystems();

const EXAMPLES = `
Trains DaGAN and the systems that the paper compares it with (${NAMES.join(', ')})
one after the other with the same data, steps, batches, sizes and widths, each by its own losses; evaluates each on test/
(same person, and across identities); and writes comparison.md, .html and .json, the paper's Tables 1, 2 and 3 with its
figures beside ours, and a report of each protocol. Ctrl-C saves before it ends; --resume goes on. --weight counts for the
systems that have this loss.

Examples:
  dagan compare --data clips/ --depth depth.safetensors --steps 20000 --size 128 -o comparison/
  dagan compare --data clips/ --systems x2face,osfv --steps 5000 --size 64 --channels 16 --seeds 0,1 -o two/`;

export function compareCommand(): Command {
  const command = new Command('compare').description("train and evaluate the systems of the paper's Tables 1 to 3");
  return addContestOptions(command, (own) =>
    own
      .option(...DEPTH_OPTION)
      .option('--systems <names>', 'some of the systems, with commas', namesOf(NAMES, 'system'))
      .option('--seeds <numbers>', "train each once with each of these, with commas (default: --seed's)", seedsOf),
  )
    .addHelpText('after', EXAMPLES)
    .action((options: CompareOptions) => {
      if (options.seeds && options.seed !== undefined) throw new UsageError('--seed or --seeds, not both');
      if (options.depth === undefined && chosen(options).includes('dagan')) {
        throw new UsageError(
          'dagan is guided by face depth: --depth FILE, a trained face-depth network (or --depth untrained, to try things)',
        );
      }
      checkContest(options, 'a comparison');
      return runSession('animation', options, (session) => runCompare(options, session));
    });
}

const chosen = ({ systems = NAMES }: CompareOptions): string[] => systems;

function seedsOf(text: string): number[] {
  const seeds = text.split(',').map((part) => (/^\s*\d+\s*$/.test(part) ? Number(part) : Number.NaN));
  if (seeds.every(Number.isSafeInteger)) return [...new Set(seeds)];
  throw new InvalidArgumentError('They must be whole numbers from 0 on with commas between them.');
}

async function runCompare(options: CompareOptions, session: TrainingSession): Promise<SessionResult> {
  const { reporter, speaks } = session;
  const { output, data, evaluationPairs: heldOutSamples } = options;
  await using instruments = await contestInstruments(options, session);
  const { contest, plan, seed } = contestOf(options, session, instruments);
  const systems = chosen(options);
  const { step, interrupted, result } = await compareSystems({
    ...{ ...contest, output, systems },
    plan: { ...plan, seeds: options.seeds ?? [seed] },
    // Some systems need faces; all get the same pairs, whichever are chosen, so that more of them may come later.
    pairsOf: (own) => datasetPairs(data, datasetOptions(session, { seed: own, heldOutSamples, faceCues: true })),
    onEntrant: ({ label }, number, total) => {
      if (speaks) reporter.notice(`model ${number} of ${total}: ${label}`);
    },
  });
  if (result) reporter.result(comparisonTables(result), { report: result });
  return { outcome: { step, interrupted, best: null }, model: join(output, 'comparison.html') };
}
