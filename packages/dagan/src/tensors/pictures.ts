// Pictures and maps in plain memory, and as the tensors that networks take.
import { type Tensor, tensor, tidy } from '@dagan/libtorch';
import type { Picture } from '../media/pictures/picture.js';
import type { ScalarMap, TensorValues } from './values.js';

/** A tensor's numbers in float32, in plain memory. */
export function tensorToValues(value: Tensor): TensorValues {
  const data = tidy(() => value.to({ dtype: 'float32', device: 'cpu' }).contiguous().toFloat32Array());
  return { shape: value.shape, data };
}

/** RGB bytes [H, W, 3] -> [1, 3, H, W] in [0, 1]. */
export function pictureToTensor({ width, height, data }: Picture): Tensor {
  return tidy(() =>
    tensor(data, { shape: [1, height, width, 3] })
      .permute(0, 3, 1, 2)
      .to({ dtype: 'float32' })
      .div(255),
  );
}

/** [N, 3, H, W] in [0, 1] -> N pictures. */
export function tensorToPictures(images: Tensor): Picture[] {
  const [count, , height, width] = images.shape as [number, number, number, number];
  const bytes = tidy(() =>
    images.permute(0, 2, 3, 1).mul(255).round().clamp(0, 255).to({ dtype: 'uint8', device: 'cpu' }).toUint8Array(),
  );
  const size = height * width * 3;
  return Array.from({ length: count }, (_, i) => ({ width, height, data: bytes.subarray(i * size, (i + 1) * size) }));
}

/** N maps from [N, 1, H, W]. */
export function tensorToMaps(maps: Tensor): ScalarMap[] {
  const [n, , height, width] = maps.shape as [number, number, number, number];
  const data = maps.toFloat32Array();
  const size = height * width;
  return Array.from({ length: n }, (_, i) => ({ width, height, data: data.slice(i * size, (i + 1) * size) }));
}
