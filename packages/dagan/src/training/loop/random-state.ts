// The state of LibTorch's random numbers, which a resumed run goes on with.
import { keep, randomState, setRandomState, type Tensor } from '@dagan/libtorch';
import { gatherRanks, rankOf, type TrainingPlace } from '../ranks/ranks.js';

/** Random numbers of the processor and, where training runs elsewhere, of that device, by name. The caller frees them. */
export function randomStates(device: string): Map<string, Tensor> {
  const devices = device === 'cpu' ? ['cpu'] : ['cpu', device];
  return new Map(devices.map((each) => [each === 'cpu' ? 'cpu' : 'device', keep(randomState(each))]));
}

/** Takes up the random numbers where `randomStates` saw them. */
export function restoreRandomStates(states: ReadonlyMap<string, Tensor>, device: string): void {
  for (const [name, state] of states) setRandomState(state, name === 'cpu' ? 'cpu' : device);
}

/** Runs `body` without a trace in the random numbers. */
export function keepingRandomNumbers<T>(device: string, body: () => T): T {
  const before = randomStates(device);
  try {
    return body();
  } finally {
    restoreRandomStates(before, device);
    for (const state of before.values()) state.dispose();
  }
}

/** The random numbers of all ranks as a checkpoint holds them: `random.cpu.0` and so on. The caller frees them. */
export function gatherRandomStates(own: ReadonlyMap<string, Tensor>, place: TrainingPlace): Map<string, Tensor> {
  return new Map(
    [...own].flatMap(([name, value]) =>
      gatherRanks(value, place).map((each, rank) => [`random.${name}.${rank}`, each] as const),
    ),
  );
}

/** Takes up this rank's random numbers of a checkpoint; a rank that it does not know keeps those that it has. */
export function restoreOwnRandomStates(tensors: ReadonlyMap<string, Tensor>, place: TrainingPlace): void {
  const { rank } = rankOf(place);
  const own = ['cpu', 'device'].flatMap((name) => {
    const value = tensors.get(`random.${name}.${rank}`);
    return value ? [[name, value] as const] : [];
  });
  restoreRandomStates(new Map(own), place.device);
}
