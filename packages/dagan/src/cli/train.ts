// `dagan train`: the two stages of training, a command each.
import { Command } from 'commander';
import { trainAnimationCommand } from './train-animation.js';
import { trainDepthCommand } from './train-depth.js';

export function trainCommand(): Command {
  return new Command('train')
    .description('train face depth, then the animation model, from clips')
    .addCommand(trainDepthCommand())
    .addCommand(trainAnimationCommand());
}
