// `dagan doctor`: what this machine offers for animation, what is missing, and the line that mends it.
import { existsSync, statSync } from 'node:fs';
import { defaultModel, WEIGHT_FOLDERS } from '../pipelines/default-model.js';
import { examineMachine, exitCodeOf, type Finding, formatFindings } from '../pipelines/examine-machine.js';
import { textOf } from './errors.js';
import { printJson } from './report.js';

/** Runs the examination, prints its report and returns the exit code: 1 only if `dagan animate` cannot work. */
export async function runDoctor({ json = false } = {}): Promise<number> {
  const findings = [...(await examineMachine()), weightsFinding()];
  if (json) printJson({ type: 'result', findings });
  else console.log(formatFindings(findings));
  return exitCodeOf(findings);
}

/** Names the model that runs where `--checkpoint` names none. No model is no hindrance: that option takes a file anywhere. */
export function weightsFinding(folders: readonly string[] = WEIGHT_FOLDERS): Finding {
  try {
    const model = defaultModel(folders);
    if (model && !existsSync(model.checkpoint)) {
      const remedy = 'copy the whole folder, or export the model again';
      return { mark: 'warn', subject: 'Weights', text: `${model.checkpoint} is missing`, remedy };
    }
    if (model) {
      const size = `${(statSync(model.checkpoint).size / 1e6).toFixed(1)} MB`;
      return { mark: 'ok', subject: 'Weights', text: `the default model is ${model.name} (${size})` };
    }
  } catch (error) {
    return { mark: 'warn', subject: 'Weights', text: textOf(error as Error) };
  }
  return {
    mark: 'note',
    subject: 'Weights',
    text: 'no model in weights/, and none ships with the program',
    remedy: 'name a checkpoint with --checkpoint FILE; published .pth.tar files work as they are',
  };
}
