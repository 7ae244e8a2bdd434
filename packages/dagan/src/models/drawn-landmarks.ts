// Landmarks as pictures: 68 points of the face mesh, joined by lines in a colour for each part of the face. It is all that some systems
// see of the driver (Zakharov et al., 2019; Ha et al., 2020). The points are chosen to lie where the 68 points of the iBUG
// annotation do, part by part.
import { arange, noGrad, type Tensor, tensor, tidy, where, zeros } from '@dagan/libtorch';
import type { MotionSpace } from '../tensors/motion-space.js';

/** Of the face mesh, from the person's right to left: a line through a part of the face, and its colour. */
type Line = { points: readonly number[]; closed: boolean; colour: readonly [red: number, green: number, blue: number] };

const LINES: readonly Line[] = [
  {
    points: [234, 93, 132, 58, 172, 150, 176, 148, 152, 377, 400, 379, 397, 288, 361, 323, 454], // jaw
    closed: false,
    colour: [0.2, 1, 0.2],
  },
  { points: [70, 63, 105, 66, 107], closed: false, colour: [1, 0.6, 0] }, // right brow
  { points: [336, 296, 334, 293, 300], closed: false, colour: [1, 1, 0] }, // left brow
  { points: [168, 6, 195, 4], closed: false, colour: [0, 0.4, 1] }, // bridge of the nose
  { points: [64, 98, 2, 327, 294], closed: false, colour: [0, 1, 1] }, // base of the nose
  { points: [33, 160, 158, 133, 153, 144], closed: true, colour: [1, 0, 0.5] }, // right eye
  { points: [362, 385, 387, 263, 373, 380], closed: true, colour: [1, 0, 1] }, // left eye
  { points: [61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181], closed: true, colour: [1, 0, 0] }, // lips outside
  { points: [78, 81, 13, 311, 308, 402, 14, 178], closed: true, colour: [1, 1, 1] }, // lips inside
];

/** The 68 points of the mesh, part by part. */
export const LANDMARK_POINTS: readonly number[] = LINES.flatMap(({ points }) => [...points]);

/** What moves in models that see drawn landmarks: 68 points in the plane. */
export const LANDMARK_MOTION: MotionSpace = { dimensions: 2, matrices: 'jacobians', meshPoints: LANDMARK_POINTS };

/** The pieces of all lines, one line after the other, by the places of their ends among the 68. */
const PIECES = LINES.flatMap(({ points, closed }) => {
  const places = points.map((point) => LANDMARK_POINTS.indexOf(point));
  const tos = closed ? [...places.slice(1), places[0]!] : places.slice(1);
  return tos.map((to, i) => [places[i]!, to] as const);
});

/** Width of a line, in sides of the picture. */
const WIDTH = 1 / 96;

/** More than the squared distance of any two places of a picture, in pixels. */
const FAR = 1e12;

/**
 * Draws lines without steps: how much of a pixel is coloured follows from its distance to the line. Later lines cover earlier ones.
 *
 * @param landmarks [N, 68, 2], -1 and 1 at the centres of the outermost pixels; a line to a point that is not a number is left out
 * @param size height and width of the drawing in pixels
 * @returns [N, 3, H, W] in [0, 1], black where there is no line. No gradient reaches the landmarks
 */
export function drawLandmarks(landmarks: Tensor, [height, width]: readonly [number, number]): Tensor {
  return tidy(() =>
    noGrad(() => {
      const { device } = landmarks;
      const [columns, rows] = [
        arange(width, { device }).view(1, 1, 1, width),
        arange(height, { device }).view(1, 1, height, 1),
      ];
      const pixelsOf = (axis: 0 | 1, length: number): Tensor =>
        landmarks
          .select(2, axis)
          .add(1)
          .mul((length - 1) / 2);
      const [x, y] = [pixelsOf(0, width), pixelsOf(1, height)]; // [N, 68]
      const [froms, tos] = [0, 1].map((end) =>
        tensor(
          PIECES.map((ends) => ends[end]!),
          { dtype: 'int64' },
        ).to({ device }),
      );
      const endsOf = (places: Tensor): Place => {
        const along = (values: Tensor): Tensor => values.indexSelect(1, places).unsqueeze(2).unsqueeze(3);
        return [along(x), along(y)]; // [N, P, 1, 1]
      };
      const [from, to] = [endsOf(froms!), endsOf(tos!)];
      const reach = (WIDTH * Math.min(height, width) + 1) / 2;
      let drawing = zeros([landmarks.size(0), 3, height, width], { device });
      let first = 0;
      for (const { points, closed, colour } of LINES) {
        const count = closed ? points.length : points.length - 1;
        const some = ([u, v]: Place): Place => [u.narrow(1, first, count), v.narrow(1, first, count)];
        const opacity = tidy(() => {
          const squared = squaredDistance([columns, rows], some(from), some(to)).amin([1], true); // [N, 1, H, W]
          return squared.sqrt().neg().add(reach).clamp(0, 1);
        });
        const paint = tensor([...colour], { shape: [1, 3, 1, 1] }).to({ device });
        drawing = drawing.add(opacity.mul(paint.sub(drawing)));
        first += count;
      }
      return drawing;
    }),
  );
}

type Place = readonly [x: Tensor, y: Tensor];

/** From every pixel to pieces of lines, squared: [N, P, H, W]; far where an end is not a number. */
function squaredDistance([column, row]: Place, [x, y]: Place, [toX, toY]: Place): Tensor {
  const [dx, dy] = [toX.sub(x), toY.sub(y)]; // [N, P, 1, 1]
  const [across, down] = [column.sub(x), row.sub(y)]; // [N, P, 1, W], [N, P, H, 1]
  const length = dx.square().add(dy.square()).clamp(1e-6);
  const share = across.mul(dx).add(down.mul(dy)).div(length).clamp(0, 1); // along the piece
  const squared = across
    .sub(share.mul(dx))
    .square()
    .add(down.sub(share.mul(dy)).square());
  return where(squared.eq(squared), squared, FAR);
}

/** @throws TypeError if there are not as many sets of landmarks as portraits */
export function requireLandmarks(portraits: readonly Tensor[], landmarks: readonly Tensor[]): void {
  if (landmarks.length === portraits.length) return;
  throw new TypeError(`${portraits.length} portraits come with the landmarks of ${landmarks.length}`);
}

/** @throws TypeError, as models without a network that finds landmarks do where one is asked to */
export function askTheMesh(): never {
  throw new TypeError('landmarks of the face mesh move this model, and it has no network that finds them');
}
