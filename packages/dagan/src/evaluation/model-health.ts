// What a model's networks do on real clips, before one looks at the pictures: whether its motion field follows mouths and lids,
// whether its motion masks are used, and where its attention looks.
import { tensor, tidy } from '@dagan/libtorch';
import type { Engine, Inspection } from '../animation/engine.js';
import { OUTLINE } from '../data/portraits/face-surface.js';
import type { FaceAnalyzer } from '../faces/analyzer.js';
import {
  addFieldTransfers,
  type FieldTransfer,
  type FieldTransferFigures,
  fieldTransfer,
  fieldTransferFigures,
  NO_FIELD_TRANSFER,
} from '../faces/field-transfer.js';
import { contains } from '../faces/geometry.js';
import { type FaceMesh, MESH_POINTS } from '../faces/mesh.js';
import type { Picture } from '../media/pictures/picture.js';
import type { MotionField } from '../tensors/values.js';
import type { EvaluationCase } from './cases.js';
import { drivingFrames, readFrame } from './frame-source.js';
import { type AttentionUse, attentionUse } from './metrics/attention-use.js';
import { maskShares } from './metrics/mask-use.js';
import { mean } from './statistics.js';

/** The figures, over all frames in which both faces were found. */
export type ModelHealth = {
  frames: number;
  /** Frames that were left out because a face was not found. */
  lost: number;
  /** How much of the driver's mouth and lids the motion field brings about. */
  field: FieldTransferFigures;
  /** Mean of each motion mask, the background's first; null if the engine does not tell. */
  masks: number[] | null;
  /** Where places of the portrait's face look; null if the model has no attention. */
  attention: AttentionUse | null;
};

/** How many places of the face ask at most: their rows are alike where they are close. */
const ASKING = 96;

/**
 * Drives the first frame of clips by the clips (absolute motion) and looks at what the networks make of it.
 *
 * @param cases of the protocol `self`
 * @param options.every every how many-th frame of a clip is looked at
 * @throws MediaError if a frame cannot be read
 */
export async function modelHealth(
  engine: Engine,
  analyzer: FaceAnalyzer,
  cases: readonly EvaluationCase[],
  { every, onCase }: { every: number; onCase?: (name: string) => void },
): Promise<ModelHealth> {
  const fields: FieldTransfer[] = [];
  const masks: number[][] = [];
  const attentions: AttentionUse[] = [];
  let [frames, lost] = [0, 0];
  for (const each of cases) {
    onCase?.(each.name);
    const source = await readFrame(each.source, engine.size);
    const portrait = await analyzer.track(source);
    await engine.setSource(source);
    let field = NO_FIELD_TRANSFER;
    let previous: FaceMesh | undefined;
    for await (const { picture } of drivingFrames(each, { size: engine.size, every })) {
      const face = await analyzer.track(picture, previous);
      previous = face;
      if (!portrait || !face) {
        lost++;
        continue;
      }
      frames++;
      const [driving] = await engine.drive([picture]);
      const seen = await engine.inspect(driving!.keypoints, { withTensors: true });
      if (seen.deformation) {
        field = addFieldTransfers(field, fieldTransferOf(seen.deformation, picture, face, portrait));
      }
      const mask = seen.tensors?.get('mask');
      if (mask) masks.push(maskShares(mask));
      const attention = attentionOf(seen, picture, face, portrait);
      if (attention) attentions.push(attention);
    }
    fields.push(field);
  }
  const meanOf = (name: keyof AttentionUse): number => mean(attentions.map((use) => use[name]));
  return {
    frames,
    lost,
    field: fieldTransferFigures(...fields),
    masks: masks.length > 0 ? masks[0]!.map((_, i) => mean(masks.map((shares) => shares[i]!))) : null,
    attention:
      attentions.length > 0 ? { mass: meanOf('mass'), area: meanOf('area'), similarity: meanOf('similarity') } : null,
  };
}

/** The motion field at the points of the mesh. */
function fieldTransferOf(
  { width, height, data }: MotionField,
  { width: side }: Picture,
  face: FaceMesh,
  portrait: FaceMesh,
): FieldTransfer {
  /** x, y from -1 to 1 at the centres of the outermost pixels, and whether that is inside, [1, P, 3]. */
  const placesOf = ({ points }: FaceMesh): number[][][] => [
    Array.from({ length: MESH_POINTS }, (_, i) => {
      const [x, y] = [0, 1].map((axis) => (2 * (points[i * 3 + axis]! - 0.5)) / (side - 1) - 1) as [number, number];
      return [x, y, Math.max(Math.abs(x), Math.abs(y)) <= 1 ? 1 : 0];
    }),
  ];
  return tidy(() =>
    fieldTransfer(tensor(data, { shape: [1, height, width, 2] }), tensor(placesOf(face)), tensor(placesOf(portrait))),
  );
}

/** What the portrait's face asks, and whether the face in the frame answers. */
function attentionOf(
  { attention }: Inspection,
  { width: side }: Picture,
  face: FaceMesh,
  portrait: FaceMesh,
): AttentionUse | null {
  if (!attention) return null;
  const { width, height } = attention;
  /** The places whose middle lies in a face. */
  const placesIn = ({ points }: FaceMesh): number[] => {
    const outline = OUTLINE.map((index) => [points[index * 3]!, points[index * 3 + 1]!] as const);
    return Array.from({ length: width * height }, (_, place) => place).filter((place) => {
      const [column, row] = [place % width, Math.floor(place / width)];
      return contains(outline, ((column + 0.5) * side) / width, ((row + 0.5) * side) / height);
    });
  };
  const inside = placesIn(portrait);
  if (inside.length < 2) return null;
  const step = Math.ceil(inside.length / ASKING);
  return attentionUse(
    attention,
    inside.filter((_, i) => i % step === 0),
    placesIn(face),
  );
}
