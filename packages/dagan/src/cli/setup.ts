// `dagan setup`: makes LibTorch usable, which training, evaluation and published weights need.
import { PrepareError, prepareAddon } from '@dagan/libtorch/build';
import { Command } from 'commander';
import { UserError } from './errors.js';
import { addCommonOptions, type CommonOptions } from './options.js';
import { Reporter } from './report.js';

const EXAMPLES = `
Animation with the default model and with exported models needs none of this. LibTorch is Debian's (libtorch-dev), the one that
LIBTORCH names, or PyTorch's (LIBTORCH_USE_PYTORCH=1); see docs/libtorch2.md. What exists is kept.

Examples:
  dagan setup
  dagan setup --no-install
  LIBTORCH=/opt/libtorch dagan setup`;

export function setupCommand(): Command {
  const command = new Command('setup')
    .description('compile the native addon for LibTorch, which training, evaluation and published weights need')
    .option('--no-install', 'install no Debian packages, but say which are missing');
  return addCommonOptions(command)
    .addHelpText('after', EXAMPLES)
    .action(async (options: CommonOptions & { install: boolean }) => {
      const reporter = new Reporter(options);
      try {
        const done = await prepareAddon({
          install: options.install,
          onStep: (text) => reporter.notice(text),
          onWarning: (text) => reporter.warn(text),
        });
        reporter.result(`ready: ${done}`);
      } catch (error) {
        if (!(error instanceof PrepareError)) throw error;
        throw new UserError(error.message);
      }
    });
}
