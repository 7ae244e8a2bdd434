// Motion fields, read at places of one's choice.
import { F, type Tensor } from '@dagan/libtorch';

/**
 * Where places of the driving frame come from in the source.
 *
 * @param deformation where every pixel comes from, [N, h, w, 2]
 * @param places [N, P, 2]; those beyond the border come from where the border does
 * @returns [N, P, 2]
 */
export function sourceOf(deformation: Tensor, places: Tensor): Tensor {
  return F.gridSample(deformation.permute(0, 3, 1, 2), places.unsqueeze(1), {
    alignCorners: true,
    paddingMode: 'border',
  }) // [N, 2, 1, P]
    .squeeze(2)
    .transpose(1, 2);
}
