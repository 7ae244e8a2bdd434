// LibTorch from Node, without any faces: a small network fits a sine by gradient descent.
//   node examples/dist/regression.js [STEPS] [OUTPUT]
import { linspace, manualSeed, nn, noGrad, optim, randn, saveStateDict, type Tensor, tidy } from '@dagan/libtorch';

const [steps = '400', output = 'sine.safetensors'] = process.argv.slice(2);

class Net extends nn.Module {
  readonly hidden = new nn.Linear(1, 32); // fields name tensors: `hidden.weight`, `hidden.bias`
  readonly last = new nn.Linear(32, 1);

  forward(x: Tensor): Tensor {
    return this.last.forward(this.hidden.forward(x).tanh()); // [N, 1]
  }
}

manualSeed(0);
const net = new Net();
const adam = new optim.Adam(net.parameters(), { lr: 0.02 });

for (let step = 1; step <= Number(steps); step++) {
  // What is made inside is freed at the end; only the number comes out.
  const loss = tidy(() => {
    const x = randn([64, 1]).mul(2);
    const error = net.forward(x).sub(x.sin()).square().mean(); // []
    adam.zeroGrad();
    error.backward();
    adam.step();
    return error.item();
  });
  if (step % 100 === 0) console.log(`step ${step}: mean squared error ${loss.toExponential(1)}`);
}

const worst = tidy(() =>
  noGrad(() => {
    const x = linspace(-3, 3, 61).reshape(61, 1); // [61, 1]
    return net.forward(x).sub(x.sin()).abs().amax().item();
  }),
);
console.log(`from -3 to 3 the network is at most ${worst.toFixed(2)} off`);
saveStateDict(output, net.stateDict(), { steps });
