// Adam (Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015).
import { noGrad } from '../autograd.js';
import { zeros, zerosLike } from '../creation.js';
import { copyState, type Parameter, type StateDict } from '../nn/module.js';
import { call, runMany } from '../operator.js';
import { keep, tidy } from '../scope.js';
import { type Tensor, tensor } from '../tensor.js';

export type AdamOptions = {
  /** Learning rate. */
  lr?: number;
  /** How slowly the averages of gradient and squared gradient forget. */
  betas?: readonly [number, number];
  eps?: number;
  /** L2 penalty, added to the gradients. */
  weightDecay?: number;
};

/** What Adam knows of one parameter. */
export type AdamState = { step: number; expAvg: Tensor; expAvgSq: Tensor };

/** Adam with bias correction. Parameters whose gradient is null are left alone. */
export class Adam {
  lr: number;
  readonly betas: readonly [number, number];
  readonly eps: number;
  readonly weightDecay: number;
  readonly parameters: readonly Parameter[];
  /** By position in `parameters`; undefined until the parameter's first step. */
  readonly state: (AdamState | undefined)[];

  constructor(
    parameters: readonly Parameter[],
    { lr = 1e-3, betas = [0.9, 0.999], eps = 1e-8, weightDecay = 0 }: AdamOptions = {},
  ) {
    this.parameters = parameters;
    this.state = parameters.map(() => undefined);
    this.lr = lr;
    this.betas = betas;
    this.eps = eps;
    this.weightDecay = weightDecay;
  }

  /** Drops the gradients of all parameters. */
  zeroGrad(): void {
    for (const parameter of this.parameters) parameter.setGrad(null);
  }

  /** One step along the gradients. Parameters with the same number of steps behind them are updated together. */
  step(): void {
    tidy(() =>
      noGrad(() => {
        const groups = new Map<number, { parameters: Tensor[]; gradients: Tensor[]; states: AdamState[] }>();
        this.parameters.forEach((parameter, i) => {
          const gradient = parameter.grad;
          if (!gradient) return;
          this.state[i] ??= freshState(parameter);
          const state = this.state[i];
          state.step += 1;
          const group = groups.get(state.step) ?? { parameters: [], gradients: [], states: [] };
          group.parameters.push(parameter);
          group.gradients.push(gradient);
          group.states.push(state);
          groups.set(state.step, group);
        });
        for (const [step, group] of groups) this.#update(step, group.parameters, group.gradients, group.states);
      }),
    );
  }

  #update(step: number, parameters: Tensor[], gradients: Tensor[], states: AdamState[]): void {
    const [beta1, beta2] = this.betas;
    const averages = states.map((state) => state.expAvg);
    const squares = states.map((state) => state.expAvgSq);
    const g =
      this.weightDecay === 0
        ? gradients
        : runMany('aten::_foreach_add.List', [gradients, parameters], { alpha: this.weightDecay });
    // m <- b1 m + (1 - b1) g,  v <- b2 v + (1 - b2) g^2
    call('aten::_foreach_mul_.Scalar', [averages, beta1]);
    call('aten::_foreach_add_.List', [averages, g], { alpha: 1 - beta1 });
    call('aten::_foreach_mul_.Scalar', [squares, beta2]);
    call('aten::_foreach_addcmul_.Scalar', [squares, g, g, 1 - beta2]);
    // p <- p - lr / (1 - b1^t) * m / (sqrt(v / (1 - b2^t)) + eps)
    const denominators = runMany('aten::_foreach_sqrt', [squares]);
    call('aten::_foreach_div_.Scalar', [denominators, Math.sqrt(1 - beta2 ** step)]);
    call('aten::_foreach_add_.Scalar', [denominators, this.eps]);
    call('aten::_foreach_addcdiv_.Scalar', [parameters, averages, denominators, -this.lr / (1 - beta1 ** step)]);
  }

  /**
   * The averages and numbers of steps as named tensors, for a checkpoint: `0.exp_avg`, `0.exp_avg_sq` and `0.step` for the
   * first parameter, nothing for parameters without a step. The averages stay this object's own; the numbers are new.
   */
  stateDict(): Map<string, Tensor> {
    const tensors = new Map<string, Tensor>();
    this.state.forEach((state, i) => {
      if (!state) return;
      tensors.set(`${i}.exp_avg`, state.expAvg);
      tensors.set(`${i}.exp_avg_sq`, state.expAvgSq);
      tensors.set(`${i}.step`, tensor(state.step, { dtype: 'int64' }));
    });
    return tensors;
  }

  /**
   * Goes on where the optimiser that `state` comes from stood. The learning rate is not part of it.
   * @throws StateDictError, before anything is changed, if names or shapes do not fit the parameters
   */
  loadStateDict(state: StateDict): void {
    const known = [...state.keys()].filter((name) => name.endsWith('.step')).map((name) => Number(name.slice(0, -5)));
    const loaded = this.parameters.map((parameter, i) => (known.includes(i) ? freshState(parameter) : undefined));
    tidy(() => {
      const target = new Map<string, Tensor>();
      loaded.forEach((fresh, i) => {
        if (!fresh) return;
        target.set(`${i}.exp_avg`, fresh.expAvg).set(`${i}.exp_avg_sq`, fresh.expAvgSq);
        target.set(`${i}.step`, zeros([], { dtype: 'int64' }));
      });
      try {
        copyState(state, target);
      } catch (error) {
        disposeOf(loaded);
        throw error;
      }
      loaded.forEach((fresh, i) => {
        if (fresh) fresh.step = target.get(`${i}.step`)!.item();
      });
    });
    disposeOf(this.state);
    loaded.forEach((fresh, i) => {
      this.state[i] = fresh;
    });
  }

  /** Frees the averages. */
  dispose(): void {
    disposeOf(this.state);
    this.state.fill(undefined);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

function freshState(parameter: Parameter): AdamState {
  return { step: 0, expAvg: keep(zerosLike(parameter)), expAvgSq: keep(zerosLike(parameter)) };
}

function disposeOf(states: readonly (AdamState | undefined)[]): void {
  for (const state of states) {
    state?.expAvg.dispose();
    state?.expAvgSq.dispose();
  }
}
