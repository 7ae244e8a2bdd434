// Where a motion field stretches the source there is nothing to be moved to what is between: lips that part show what is behind them.
import { cat, noGrad, type Tensor, tidy } from '@dagan/libtorch';

/** No stretch counts for more than that to so many times the area. */
const MOST = 20;

/**
 * By how many doublings a field spreads the source over more than twice its area, 0 where it does not -> [N, 1, h, w], without a
 * gradient. Where it turns the source over nothing can be shown either: that counts most.
 *
 * @param deformation where each driving position comes from in the source, [N, h, w, 2]
 */
export function stretchOf(deformation: Tensor): Tensor {
  return noGrad(() =>
    tidy(() => {
      const [down, right] = [differences(deformation, 1), differences(deformation, 2)]; // [N, h, w, 2]
      const part = (way: Tensor, axis: 0 | 1): Tensor => way.select(3, axis);
      const area = part(right, 0)
        .mul(part(down, 1))
        .sub(part(right, 1).mul(part(down, 0))); // of the source, [N, h, w]
      return area
        .clamp(1 / MOST, null)
        .log()
        .mul(-1 / Math.LN2)
        .sub(1)
        .relu()
        .unsqueeze(1);
    }),
  );
}

/** How far the field goes per pixel along an axis, in pixels: central differences, of a field that goes on as it ends. */
function differences(field: Tensor, axis: 1 | 2): Tensor {
  const size = field.size(axis);
  const line = (at: number): Tensor => field.narrow(axis, at, 1);
  const before = line(0).mul(2).sub(line(1));
  const after = line(size - 1)
    .mul(2)
    .sub(line(size - 2));
  const padded = cat([before, field, after], axis);
  return padded
    .narrow(axis, 2, size)
    .sub(padded.narrow(axis, 0, size))
    .mul(size - 1)
    .div(4);
}
