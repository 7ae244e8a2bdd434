// `dagan models`: the models that are found without being named, and whether files are as they were written.
import { Command } from 'commander';
import { WEIGHT_FOLDERS } from '../pipelines/default-model.js';
import { listModels, verifyModel } from '../pipelines/list-models.js';
import { describeError, EXIT } from './errors.js';
import { addCommonOptions, type CommonOptions, checkFiles } from './options.js';
import { Reporter } from './report.js';

const EXAMPLES = `
A model that is named runs with --checkpoint; without it the default one of these folders does. The variable DAGAN_WEIGHTS
names another folder; of several models in it, the one called "default" is the default.

Examples:
  dagan models
  dagan models verify
  DAGAN_WEIGHTS=~/weights dagan models`;

export function modelsCommand(): Command {
  const list = new Command('models').description('list the models that are found without being named, or verify them');
  const verify = new Command('verify')
    .description('check that models are as they were written')
    .argument('[models...]', 'model files or exported folders (default: all that are found)');
  addCommonOptions(verify).action(async (paths: string[], _options: CommonOptions, command: Command) => {
    const reporter = new Reporter(command.optsWithGlobals());
    checkFiles(paths);
    for (const path of paths.length > 0 ? paths : listModels().map((model) => model.path)) {
      try {
        const sha256 = await verifyModel(path);
        reporter.result(`${path}: sound, sha256 ${sha256}`, { path, sha256 });
      } catch (error) {
        reporter.warn(describeError(error));
        process.exitCode = EXIT.failure;
      }
    }
  });
  return addCommonOptions(list)
    .addCommand(verify)
    .addHelpText('after', EXAMPLES)
    .action((options: CommonOptions) => {
      const reporter = new Reporter(options);
      const models = listModels();
      for (const { path, isDefault, bytes, name = 'unnamed', license, ...rest } of models) {
        const facts = [name, `${(bytes / 1e6).toFixed(1)} MB`, license].filter((fact) => fact).join(', ');
        const values = { path, isDefault, bytes, name, license, ...rest };
        reporter.result(`${isDefault ? '*' : ' '} ${path}: ${facts}`, values);
      }
      if (models.length === 0) reporter.notice(`no model is in ${WEIGHT_FOLDERS.join(' or ')}`);
    });
}
