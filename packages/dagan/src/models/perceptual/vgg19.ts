// VGG-19 (Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2015) as the measure
// of the perceptual loss.
import { F, nn, type Tensor, tensor, tidy } from '@dagan/libtorch';

/** A network whose features tell how alike two pictures look. Its weights are frozen; gradients pass through it. */
export type PerceptualNetwork = {
  /** Number of feature maps. */
  readonly layers: number;
  /**
   * What the difference of each map is divided by, so that all layers say as much. Divided is the difference, which is one number, and
   * not the maps. Default: 1 for each.
   */
  readonly typical?: readonly number[];
  /** Feature maps of pictures [N, 3, H, W] in [0, 1], the finest first. */
  features(image: Tensor): Tensor[];
};

/** Channels of the convolutions up to relu5_1; halving of the size between the groups. */
const GROUPS = [[64, 64], [128, 128], [256, 256, 256, 256], [512, 512, 512, 512], [512]] as const;

/** Mean and deviation of ImageNet's pictures, red, green and blue. */
const MEAN = [0.485, 0.456, 0.406];
const DEVIATION = [0.229, 0.224, 0.225];

/** The layers under their names in torchvision's state dict, where ReLUs and poolings count too. */
function convolutions(): [string, nn.Conv2d][] {
  const layers: [string, nn.Conv2d][] = [];
  let [position, from] = [0, 3];
  for (const group of GROUPS) {
    for (const to of group) {
      layers.push([`${position}`, new nn.Conv2d(from, to, 3, { padding: 1 })]);
      position += 2; // the convolution and its ReLU
      from = to;
    }
    position += 1; // the pooling
  }
  return layers;
}

/** Features at relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1 of pictures normalised as ImageNet's are. */
export class Vgg19 extends nn.Module implements PerceptualNetwork {
  readonly layers = GROUPS.length;
  /** Under the name that torchvision gives the part before the classifier. */
  readonly convolutions = new nn.ModuleDict(convolutions());

  /** With random weights, frozen. */
  constructor() {
    super();
    this.requiresGrad_(false);
    this.eval();
  }

  /**
   * From torchvision's state dict. Its later layers and its classifier are not looked at.
   *
   * @param state tensors named `features.0.weight` and so on
   * @param prefix that stands before `features.`
   * @throws StateDictError naming what is missing or has another shape
   */
  static fromStateDict(state: nn.StateDict, { prefix = '' }: { prefix?: string } = {}): Vgg19 {
    const network = new Vgg19();
    const needed = new Map<string, Tensor>();
    for (const name of network.stateDict().keys()) {
      const found = state.get(prefix + name);
      if (found) needed.set(name, found);
    }
    network.loadStateDict(needed);
    return network;
  }

  override children(): [string, nn.Module][] {
    return [['features', this.convolutions]];
  }

  features(image: Tensor): Tensor[] {
    return tidy(() => {
      const channelwise = (values: number[]) =>
        tensor(values).view(1, 3, 1, 1).to({ dtype: image.dtype, device: image.device });
      const layers = [...this.convolutions.values()];
      const found: Tensor[] = [];
      let x = image.sub(channelwise(MEAN)).div(channelwise(DEVIATION));
      let next = 0;
      for (const [g, group] of GROUPS.entries()) {
        if (g > 0) x = F.maxPool2d(x, 2);
        for (let i = 0; i < group.length; i++) {
          x = layers[next++]!.forward(x).relu();
          if (i === 0) found.push(x);
        }
      }
      return found;
    });
  }
}
