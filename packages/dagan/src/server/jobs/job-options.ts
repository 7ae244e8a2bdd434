// What may be chosen of a job, as a schema: requests are checked by it, and the description of the interface contains it. Nothing
// in it names a file of the server.
import { z } from 'zod';
import { MOTION_PARTS } from '../../animation/face-parts.js';
import { INNER_MOUTHS } from '../../animation/inner-mouth.js';
import { DIRECTIONS } from '../../animation/motion-template.js';
import type { ClipSettings } from '../../pipelines/animate-clip.js';
import { backgroundOf } from '../../pipelines/background.js';
import type { CropChoice } from '../../pipelines/told-squares.js';

/** Formats of results; a picture where one drives. */
export const RESULT_FORMATS = ['mp4', 'webm', 'mov', 'mkv', 'gif', 'webp', 'png', 'jpg'] as const;

const amount = (least: number, most: number) => z.number().min(least).max(most).optional();
const crop = z
  .union([z.enum(['auto', 'none']), z.strictObject({ left: z.int(), top: z.int(), side: z.int().min(16).max(16384) })])
  .optional();
const faceNumber = z.int().min(1).max(1000).optional();
const frameNumber = z.int().min(0).optional();

const fields = z.strictObject({
  format: z.enum(RESULT_FORMATS).default('mp4').describe('of the result; png and jpg where a picture drives'),
  motion: z.enum(['relative', 'absolute']).optional().describe('default: relative; absolute for a picture'),
  adaptScale: z.boolean().optional().describe('scale relative motion by the sizes of the two faces'),
  referenceFrame: z
    .union([z.enum(['auto', 'first']), z.int().min(0)])
    .optional()
    .describe('frame of the driver from which motion is measured; default auto: the one most like the portrait'),
  strength: amount(0, 4).describe('of all motion; default 1'),
  parts: z
    .strictObject(Object.fromEntries(MOTION_PARTS.map((part) => [part, amount(0, 4)])))
    .optional()
    .describe('strength by part of the face; default 1 each'),
  mouth: amount(-1, 1).describe('open the mouth by so much, all the time'),
  lids: amount(-1, 1).describe('open the eyes wider, or close them'),
  brows: amount(-1, 1).describe('raise the brows, or lower them'),
  smile: amount(-1, 1).describe('draw the corners of the mouth out and up, or in and down'),
  yaw: amount(-90, 90).describe('degrees, for models with heads in space'),
  pitch: amount(-90, 90).describe('likewise'),
  roll: amount(-90, 90).describe('likewise'),
  keypoints: z.enum(['auto', 'mesh', 'network']).optional().describe('what finds named keypoints'),
  innerMouth: z
    .enum(INNER_MOUTHS)
    .optional()
    .describe(
      "what a mouth shows that the portrait has shut; default auto: the inside of the driver's, or a drawn one",
    ),
  smoothing: amount(0, 1).describe('take trembling out of the motion; default: none'),
  crop: crop.describe("the portrait's square: auto finds the face, none takes the centre, or one in pixels"),
  face: faceNumber.describe('which face of the portrait, counted from the left; default: the largest'),
  faces: z
    .union([z.literal('all'), z.array(z.int().min(1).max(1000)).min(1).max(100)])
    .optional()
    .describe('several faces at once, all back in the one picture: all, or these, counted from the left'),
  drivingCrop: crop.describe("the driver's square, likewise"),
  drivingFace: faceNumber.describe('which face of the driver, likewise'),
  drivingFaces: z
    .array(z.int().min(1).max(1000))
    .min(1)
    .max(100)
    .optional()
    .describe('with faces: the face of the driver that moves each of them, in their order; default: one moves all'),
  background: z
    .union([
      z.enum(['moving', 'still', 'transparent', 'black', 'white', 'grey', 'green']),
      z.string().regex(/^#[0-9a-fA-F]{6}$/),
    ])
    .optional()
    .describe('what stands behind the person; default moving'),
  pasteBack: z.boolean().optional().describe('put the animated square back into the whole portrait'),
  sideBySide: z.boolean().optional().describe('show portrait, driver, depth, keypoints and result beside each other'),
  size: z.int().min(16).max(4096).optional().describe('side of the result in pixels; default 256'),
  frameRate: amount(0.1, 240).describe("frames per second; default: the driver's"),
  start: frameNumber.describe('first frame of the driver'),
  end: frameNumber.describe('frame of the driver before which to stop'),
  direction: z.enum(DIRECTIONS).optional().describe('of a motion template'),
  loops: z.int().min(1).max(1000).optional().describe('show a motion template so many times'),
  speed: amount(0.05, 20).describe('of a motion template; 0.5 takes twice the time'),
  sound: z.boolean().optional().describe("take the driver's sound over; default true"),
});

export type JobOptions = z.infer<typeof fields>;

/** The schema with what must fit together. */
export const jobOptions = fields
  .refine(({ start = 0, end = Infinity }) => end > start, { path: ['end'], error: 'must be after start' })
  .refine(({ sideBySide, pasteBack, background }) => !sideBySide || !(pasteBack || background), {
    path: ['sideBySide'],
    error: 'goes with neither pasteBack nor background',
  })
  .refine(({ faces }) => !Array.isArray(faces) || new Set(faces).size === faces.length, {
    path: ['faces'],
    error: 'names a face twice',
  })
  .refine(({ faces, crop, face, sideBySide }) => !faces || !(crop || face || sideBySide), {
    path: ['faces'],
    error: 'goes with none of crop, face and sideBySide',
  })
  .refine(
    ({ faces, drivingFaces, drivingCrop, drivingFace }) => !drivingFaces || (faces && !drivingCrop && !drivingFace),
    {
      path: ['drivingFaces'],
      error: 'goes with faces, and with neither drivingCrop nor drivingFace',
    },
  )
  .refine(({ crop, face }) => face === undefined || (crop ?? 'auto') === 'auto', {
    path: ['face'],
    error: 'goes with crop auto',
  })
  .refine(({ drivingCrop, drivingFace }) => drivingFace === undefined || (drivingCrop ?? 'auto') === 'auto', {
    path: ['drivingFace'],
    error: 'goes with drivingCrop auto',
  });

/** The schema as JSON Schema (2020-12). */
export const jobOptionsSchema = (): object => {
  const { $schema: _, ...schema } = z.toJSONSchema(fields, { io: 'input' });
  return schema;
};

/** Options as the library's settings, but for `faces` and `drivingFaces`, which one animation of many has. */
export function settingsOf(options: JobOptions): ClipSettings {
  const {
    format: _,
    faces: _all,
    drivingFaces: _each,
    strength,
    parts,
    mouth,
    lids,
    brows,
    smile,
    yaw,
    pitch,
    roll,
    ...rest
  } = options;
  const { crop, face, drivingCrop, drivingFace, background, ...settings } = rest;
  return {
    ...settings,
    controls: { strength, parts, retarget: { mouth, lids, brows, smile }, angles: { yaw, pitch, roll } },
    crop: cropOf(crop, face),
    drivingCrop: drivingCrop === undefined && drivingFace === undefined ? undefined : cropOf(drivingCrop, drivingFace),
    background: background === undefined ? undefined : backgroundOf(background),
  };
}

function cropOf(crop: JobOptions['crop'] = 'auto', face: number | undefined): CropChoice {
  if (typeof crop === 'object') return { kind: 'square', square: crop };
  return crop === 'none' ? { kind: 'none' } : { kind: 'auto', face };
}
