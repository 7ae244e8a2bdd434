// `dagan ablate`: the paper's Table 4, on a budget of one's own.
import { join } from 'node:path';
import { Command } from 'commander';
import { ablate } from '../evaluation/ablation.js';
import { ablationTable } from '../evaluation/ablation-report.js';
import { ABLATION_ROWS } from '../evaluation/ablation-rows.js';
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
import { datasetOptions, runSession, type SessionResult, type TrainingSession } from './training-session.js';

type AblateOptions = ContestCommandOptions & { depth: string; rows?: string[] };

const NAMES = ABLATION_ROWS.map(({ preset }) => preset);

const EXAMPLES = `
Trains the eight models of the paper's Table 4 (${NAMES.join(', ')})
one after the other with the same steps, sizes and widths, evaluates each on test/ (same person, and across identities),
and writes ablation.md, ablation.html, ablation.json and a report of each protocol. Ctrl-C saves before it ends; --resume
goes on. At small sizes and few steps the order of rows may differ from the paper's.

Examples:
  dagan ablate --data clips/ --depth depth.safetensors --steps 20000 --size 128 -o ablation/
  dagan ablate --data clips/ --depth untrained --steps 20 --size 64 --channels 8 --limit 2 --every 25 -o try/`;

export function ablateCommand(): Command {
  const command = new Command('ablate').description("train and evaluate the rows of the paper's Table 4");
  return addContestOptions(command, (own) =>
    own
      .requiredOption(...DEPTH_OPTION)
      .option('--rows <names>', 'some of the rows, with commas', namesOf(NAMES, 'row')),
  )
    .addHelpText('after', EXAMPLES)
    .action((options: AblateOptions) => {
      checkContest(options, 'an ablation');
      return runSession('animation', options, (session) => runAblate(options, session));
    });
}

async function runAblate(options: AblateOptions, session: TrainingSession): Promise<SessionResult> {
  const { reporter, speaks } = session;
  const { output, rows, data, evaluationPairs: heldOutSamples } = options;
  await using instruments = await contestInstruments(options, session);
  const { contest, plan, seed } = contestOf(options, session, instruments);
  const { step, interrupted, result } = await ablate({
    ...contest,
    output,
    rows: ABLATION_ROWS.filter(({ preset }) => rows?.includes(preset) ?? true),
    plan: { ...plan, seed },
    pairs: await datasetPairs(data, datasetOptions(session, { seed, heldOutSamples })),
    onRow: ({ label }, number) => {
      if (speaks) reporter.notice(`row ${number}: ${label}`);
    },
  });
  if (result) reporter.result(ablationTable(result));
  return { outcome: { step, interrupted, best: null }, model: join(output, 'ablation.html') };
}
