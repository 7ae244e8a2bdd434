// How much arithmetic models take per frame, as they are computed in use, and how many weights they have.
//
//   node benchmarks/dist/flops.js [PRESET ...] [--size 256]
//
// The source is computed once per portrait; a frame is drive and generate.
import { parseArgs } from 'node:util';
import { prepareForInference, TRAINING_PRESETS } from 'dagan';
import { modelOperations, systemOf } from 'dagan/models';
import { anyPreset, SYSTEM_PRESETS } from 'dagan/training';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { size: { type: 'string', default: '256' } },
});
const size = Number(values.size);

const giga = (operations: number): string => (operations / 1e9).toFixed(2).padStart(7);

console.log(`GFLOP at ${size} x ${size}      source   drive  generate  a frame   weights, millions`);
const presets = [...Object.keys(TRAINING_PRESETS), ...Object.keys(SYSTEM_PRESETS)];
for (const name of positionals.length > 0 ? positionals : presets) {
  const { model: config } = anyPreset(name);
  using model = systemOf(config).build(config);
  const weights = model.parameters().reduce((sum, { numel }) => sum + numel, 0);
  const { source, drive, generate } = modelOperations(prepareForInference(model), size);
  const parts = [source, drive, generate].map(giga).join(' ');
  console.log(`${name.padEnd(24)} ${parts}  ${giga(drive + generate)}   ${(weights / 1e6).toFixed(1)}`);
}
