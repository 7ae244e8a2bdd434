// `dagan inspect`: what the networks saw for one pair of pictures, as tensors and as a sheet.
import { basename, extname } from 'node:path';
import { saveStateDict } from '@dagan/libtorch';
import { Command } from 'commander';
import { writePicture } from '../media/index.js';
import { defaultCheckpoint } from './default-model.js';
import { UsageError } from './errors.js';
import { inspectPair } from './inspection.js';
import { inspectionSheet } from './inspection-sheet.js';
import { applyThreads, chooseDevice, chooseModel, choosePrecision } from './model.js';
import { addCommonOptions, addModelOptions, type CommonOptions, type ModelOptions, wholeNumber } from './options.js';
import { checkWritable, guardInputs } from './pairs.js';
import { VERSION } from './provenance.js';
import { Reporter } from './report.js';
import { readCentre } from './squares.js';

type InspectOptions = CommonOptions & ModelOptions & { output: string; sheet?: string; frame: number };

const EXAMPLES = `
The tensors carry the names of the published code: source, driving, source_disp0 to 3, driving_disp0, kp_source.value,
kp_source.jacobian, kp_driving.*, mask, sparse_deformed, deformation, occlusion_map, source_feature_every8 (every 8th
channel), warped_feature_every8, refined_feature_every8, attention_rows_every256 (every 256th row), deformed, prediction.
The driving keypoints are used as they are, as with --absolute. Pictures are cut to the square around their centre.

Examples:
  dagan inspect portrait.jpg frame.png -o seen.safetensors --precision float32
  dagan inspect portrait.jpg talking.mp4 --frame 40 -o seen.safetensors --sheet seen.png`;

export function inspectCommand(): Command {
  const command = new Command('inspect')
    .description('write everything the networks see for one pair of pictures')
    .argument('<source>', 'the portrait')
    .argument('<driving>', 'a picture, or a clip or folder of frames of which one frame is taken')
    .requiredOption('-o, --output <file>', 'where the tensors go, a .safetensors file')
    .option(
      '--sheet <file>',
      'where the sheet of pictures goes, .png, .jpg or .webp (default: beside the tensors, .png)',
    )
    .option('--frame <n>', 'frame of a driving clip, counted from 0', wholeNumber(0), 0);
  addModelOptions(command);
  return addCommonOptions(command).addHelpText('after', EXAMPLES).action(runInspect);
}

async function runInspect(source: string, driving: string, options: InspectOptions): Promise<void> {
  const { output } = options;
  if (extname(output).toLowerCase() !== '.safetensors') {
    throw new UsageError(`${output}: tensors are written as .safetensors; end the name after -o with it`);
  }
  const sheet = options.sheet ?? `${output.slice(0, -'.safetensors'.length)}.png`;
  if (!['.png', '.jpg', '.jpeg', '.webp'].includes(extname(sheet).toLowerCase())) {
    throw new UsageError(`${sheet}: the sheet is written as .png, .jpg or .webp`);
  }
  const reporter = new Reporter(options);
  const { checkpoint = defaultCheckpoint(), depthEncoder, depthDecoder } = options;
  const inputs = [source, driving, checkpoint, depthEncoder, depthDecoder].filter((path) => path !== undefined);
  for (const target of [output, sheet]) {
    guardInputs(target, inputs);
    await checkWritable(target);
  }
  const pictures = {
    source: await readCentre(source, reporter),
    driving: await readCentre(driving, reporter, options.frame),
  };
  applyThreads(options);
  const device = chooseDevice(options.device);
  const precision = choosePrecision(options.precision, device);
  const { model, metadata } = chooseModel(options, reporter);
  const found = inspectPair(model.to({ device }), pictures, { precision, device });
  saveStateDict(output, found, {
    made_by: `dagan ${VERSION}`,
    precision,
    source: basename(source),
    driving: basename(driving),
    config: JSON.stringify(model.config),
    ...(metadata.sha256 ? { model_sha256: metadata.sha256 } : {}),
  });
  await writePicture(sheet, inspectionSheet(found));
  reporter.result(`${output}: ${found.size} tensors in float32, computed in ${precision}`);
  reporter.result(`${sheet}: the same as pictures`);
}
