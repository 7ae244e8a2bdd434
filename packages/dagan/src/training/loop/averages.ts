// Averages in the place of what is trained, as it will be used.
import type { optim } from '@dagan/libtorch';

/**
 * Runs `body` with the averages in their modules' place, and puts these back, also after an error.
 *
 * @param train puts all layers into training, or into use
 */
export async function withAverages<T>(
  averages: readonly optim.ExponentialMovingAverage[],
  train: (training: boolean) => void,
  body: () => T | Promise<T>,
): Promise<T> {
  for (const average of averages) average.swapIn();
  train(false);
  try {
    return await body();
  } finally {
    for (const average of averages) average.swapOut();
    train(true);
  }
}
