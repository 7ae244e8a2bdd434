// `dagan train`: the two stages of training, a command each.
import { Command } from 'commander';
import { trainAnimationCommand } from './train-animation.js';

export function trainCommand(): Command {
  return new Command('train').description('train the animation model from clips').addCommand(trainAnimationCommand());
}
