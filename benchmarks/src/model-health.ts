// What a model's networks do on clips, before one looks at the pictures: does its motion field follow mouths and lids, are its motion
// masks used, does its attention look at faces, and does where a place looks depend on the place?
//
//   node benchmarks/dist/model-health.js MODEL [MODEL ...] --data FOLDER [--every 20] [--limit N] [--size 256] [--threads N]
//
// Clips as for `dagan evaluate`: those of the folder's test/ if it has one. Each clip drives its own first frame.
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { setThreads } from '@dagan/libtorch';
import { FaceAnalyzer, LibtorchEngine, loadModel } from 'dagan';
import { findCases, modelHealth } from 'dagan/evaluation';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    data: { type: 'string' },
    every: { type: 'string', default: '20' },
    limit: { type: 'string' },
    size: { type: 'string', default: '256' },
    threads: { type: 'string', default: `${availableParallelism()}` },
  },
});
if (!values.data || positionals.length === 0) {
  console.error('usage: model-health.js MODEL [MODEL ...] --data FOLDER');
  process.exit(2);
}
setThreads(Number(values.threads));

/** A motion mask that takes less of the picture on average is empty. */
const EMPTY = 0.01;

const number = (value: number | null, digits = 2): string => value?.toFixed(digits) ?? '–';
const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;

const limit = values.limit === undefined ? undefined : Number(values.limit);
const cases = await findCases(values.data, { protocol: 'self', limit });
await using analyzer = await FaceAnalyzer.load({ mesh: 'refined' });
for (const checkpoint of positionals) {
  const engine = new LibtorchEngine(loadModel({ checkpoint }).model, { size: Number(values.size) });
  try {
    const { frames, lost, field, masks, attention } = await modelHealth(engine, analyzer, cases, {
      every: Number(values.every),
    });
    const lines = [
      `${checkpoint}: ${cases.length} clips, ${frames} frames${lost > 0 ? `, ${lost} without a face left out` : ''}`,
      `  motion field: mouth opening ${number(field.mouthOpening)}, mouth width ${number(field.mouthWidth)}, ` +
        `lids ${number(field.lids)} of the change (1 is right, 0 is none)`,
      `  mesh points ${number(field.distance, 4)} from where they belong; unmoved ${number(field.unmoved, 4)}`,
      masks
        ? `  motion masks: ${masks.filter((share) => share > EMPTY).length} of ${masks.length} used (above ${percent(EMPTY)}): ` +
          masks.map((share) => (100 * share).toFixed(1)).join(' ')
        : '  motion masks: not told',
      attention
        ? `  attention: the face's places put ${percent(attention.mass)} of their weight on the face, which is ` +
          `${percent(attention.area)} of the picture; mean cosine of two rows ${number(attention.similarity)}`
        : '  attention: none',
    ];
    console.log(lines.join('\n'));
  } finally {
    engine.dispose();
  }
}
