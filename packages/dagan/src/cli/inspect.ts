// `dagan inspect`: what the networks saw for one pair of pictures, as tensors and as a sheet.
import { basename, extname } from 'node:path';
import { writeSafetensors } from '@dagan/libtorch/checkpoint';
import { Command } from 'commander';
import { writePicture } from '../media/pictures/images.js';
import type { Picture } from '../media/pictures/picture.js';
import { defaultCheckpoint } from '../pipelines/default-model.js';
import { chooseFigureEngine } from '../pipelines/figure-engine.js';
import { inspectPair } from '../pipelines/inspect.js';
import { inspectionSheet } from '../pipelines/inspection-sheet.js';
import { namingPortraits } from '../pipelines/naming-portraits.js';
import { checkWritable, guardInputs } from '../pipelines/pairs.js';
import { readCentre } from '../pipelines/squares.js';
import { VERSION } from '../version.js';
import { UsageError } from './errors.js';
import {
  addCommonOptions,
  addFigureEngineOption,
  addModelOptions,
  type CommonOptions,
  type EngineOptions,
  type KeypointOptions,
  keypointsOption,
  wholeNumber,
} from './options.js';
import { Reporter } from './report.js';

type InspectOptions = CommonOptions &
  EngineOptions &
  KeypointOptions & { output: string; sheet?: string; frame: number; portraits?: string[] };

const EXAMPLES = `
The tensors carry the names of the published code: source, driving, source_disp0 to 3, driving_disp0, kp_source.value,
kp_source.jacobian, kp_driving.*, mask, sparse_deformed, deformation, occlusion_map, source_feature_every8 (every 8th
channel), warped_feature_every8, refined_feature_every8, attention_rows_every256 (every 256th row), deformed, prediction.
Other systems (X2Face, Monkey-Net, ...) have the tensors of their own published code, and deformation and prediction.
ONNX Runtime gives what its graphs hold: no source_disp1 to 3, mask, sparse_deformed, refined_feature_every8.
The driving keypoints are used as they are, as with --absolute. Where keypoints have names the face mesh says where they
are, as in an animation; --keypoints network shows what the model's own detector finds. Pictures are cut to the square
around their centre.

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
    .option('--portraits <files...>', 'more portraits of the same person, for models that merge several (X2Face)')
    .option('--frame <n>', 'frame of a driving clip, counted from 0', wholeNumber(0), 0);
  addFigureEngineOption(addModelOptions(command)).addOption(keypointsOption());
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
  const portraits = options.portraits ?? [];
  const inputs = [source, driving, ...portraits, checkpoint, depthEncoder, depthDecoder].filter(
    (path) => path !== undefined,
  );
  for (const target of [output, sheet]) {
    guardInputs(target, inputs);
    await checkWritable(target);
  }
  const others: Picture[] = [];
  for (const path of portraits) others.push(await readCentre(path, reporter.tell));
  const pictures = {
    others,
    source: await readCentre(source, reporter.tell),
    driving: await readCentre(driving, reporter.tell, options.frame),
  };
  await using figure = await chooseFigureEngine(options, reporter.tell, { use: 'inspection' });
  const { engine, config, metadata, precision } = figure;
  const found = await namingPortraits([source, ...portraits], inspectPair(engine, pictures));
  const tensors = [...found].map(([name, { shape, data }]) => ({ name, dtype: 'float32' as const, shape, data }));
  writeSafetensors(output, tensors, {
    made_by: `dagan ${VERSION}`,
    precision,
    source: basename(source),
    driving: basename(driving),
    config: JSON.stringify(config),
    ...(metadata.sha256 ? { model_sha256: metadata.sha256 } : {}),
  });
  await writePicture(sheet, inspectionSheet(found));
  reporter.result(`${output}: ${found.size} tensors in float32, computed in ${precision}`);
  reporter.result(`${sheet}: the same as pictures`);
}
